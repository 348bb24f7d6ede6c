"""Which folder to write features into: the graph's own, or a copy that the user asks for."""

from __future__ import annotations

import os
from pathlib import Path

from momok.errors import DataError
from momok.graph.benchmark_format import read_ids
from momok.graph.catalog import find_entry, find_graph_folder, load_graph
from momok.graph.entities_file import NUMBERS_FILE, PICTURE_LINKS, read_table
from momok.graph.momok_format import is_momok_folder, read_graph_json, write_momok_folder


def find_writable_folder(source: str, out: Path | None = None) -> Path:
    """Give a folder with a graph's facts that features can be written into.

    Args:
        source: a name of the catalog, or a folder.
        out: write to a copy here instead of the graph's own folder. Where a copy of the same graph
            is there already, it is taken.

    Raises:
        DataError: the graph comes with momok, cannot be found or written to; or ``out`` is taken
            by something else.
        StorageError: the disk refused the copy.
    """
    if out is not None:
        return _find_copy(source, out)
    entry = find_entry(source)
    if entry is not None and entry.bundled:
        raise DataError(
            f"{entry.name} comes with momok and stays as it is; give --out FOLDER for a copy of it "
            f"with these features"
        )
    folder = find_graph_folder(source)
    if not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222:  # for root, all is
        raise DataError(
            f"{folder}: cannot be written to; give --out FOLDER for a copy of the graph"
        )
    return folder


def _find_copy(source: str, out: Path) -> Path:
    out = out.expanduser()
    if not is_momok_folder(out):
        graph, folder = load_graph(source), find_graph_folder(source)
        beside = [folder / name for name in (NUMBERS_FILE, PICTURE_LINKS)]  # no part of a graph
        write_momok_folder(graph, out, also=[file for file in beside if file.is_file()])
        return out
    if read_labels_of(out) != load_graph(source).entities.labels:
        raise DataError(f"{out}: is another graph than {source}; choose another folder")
    return out


def read_labels_of(folder: Path) -> tuple[str, ...]:
    """Read the labels of a folder's entities, in its order, and nothing else.

    Raises:
        DataError: the list of entities is missing or malformed.
    """
    if is_momok_folder(folder):
        return read_table(folder / "entities.tsv").labels
    return read_ids(folder / "entity2id.txt").labels


def read_name_of(folder: Path) -> str:
    """Read the name of a graph from its folder: that in graph.json, else the folder's own.

    Raises:
        DataError: graph.json is malformed.
    """
    name = read_graph_json(folder).get("name") if is_momok_folder(folder) else None
    return name or folder.resolve().name
