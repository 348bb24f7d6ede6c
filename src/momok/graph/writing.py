"""Writing momok's own folder format, whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from momok.errors import DataError
from momok.graph.entities_file import PICTURE_SEPARATOR
from momok.graph.features import save_features
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.names import flatten
from momok.storage import write_folder, write_through

__all__ = ["FORMAT", "VERSION", "write_momok_folder"]

FORMAT, VERSION = "momok-graph", 1
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def write_momok_folder(
    graph: MultimodalGraph,
    path: str | Path,
    *,
    with_features: bool = True,
    overwrite: bool = False,
    also: Sequence[Path] = (),
) -> None:
    """Write a graph as a folder that reads back with the same ids, facts and split.

    Args:
        graph: the graph.
        path: the folder; it appears once all of it is written.
        with_features: write features and pictures too; without them the folder is a small record
            of labels, names and facts.
        overwrite: replace a folder of momok's format that is there already.
        also: files that are copied into the folder as they are.

    Raises:
        DataError: the folder exists (and is not a graph to overwrite), or a label cannot be
            written: it is blank or holds a tab, a line break or half a surrogate pair.
        StorageError: the disk refused; what was there before is untouched.
    """
    folder = Path(path)
    for kind, labels in (("entity", graph.entities.labels), ("relation", graph.relations.labels)):
        _check_labels(kind, labels)
    overwrite = overwrite and (folder / "graph.json").is_file()
    with write_folder(folder, overwrite=overwrite) as draft:
        pictures = _copy_pictures(graph, draft) if with_features else ("",) * graph.num_entities
        _write_graph_json(graph, draft)
        _write_entities(graph, pictures, draft)
        relations = zip(graph.relations.labels, graph.relation_names, strict=True)
        _write_rows(draft / "relations.tsv", [("label", "name"), *relations])
        _write_facts(graph, draft)
        for features in graph.features.values() if with_features else ():
            save_features(draft / "features", features, graph.entities)
        for file in also:
            write_through(draft / file.name, file.read_bytes())


def _check_labels(kind: str, labels: Sequence[str]) -> None:
    for label in labels:
        if not label or any(c in label for c in "\t\n\r"):
            raise DataError(
                f"the {kind} label {label!r} cannot be written: a label is not blank and has no "
                f"tab and no line break"
            )
        try:
            label.encode()
        except UnicodeEncodeError:
            raise DataError(f"the {kind} label {label!r} cannot be written as UTF-8") from None


def _write_graph_json(graph: MultimodalGraph, folder: Path) -> None:
    about = {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "description": graph.about,
        "licence": graph.licence,
        "split": graph.split,
        "split_notes": graph.split_notes,
    }
    _write_text(folder / "graph.json", json.dumps(about, ensure_ascii=False, indent=2) + "\n")


def _write_entities(graph: MultimodalGraph, pictures: Sequence[str], folder: Path) -> None:
    columns: dict[str, Sequence[str]] = {
        "label": graph.entities.labels,
        "name": graph.entity_names,
        "description": graph.descriptions,
        "picture": pictures,
        "type": graph.entity_types,
        **graph.attributes,
    }
    _write_rows(folder / "entities.tsv", [tuple(columns), *zip(*columns.values(), strict=True)])


def _write_facts(graph: MultimodalGraph, folder: Path) -> None:
    entities, relations = graph.entities.labels, graph.relations.labels
    for split in SPLIT_NAMES:
        facts = graph.facts(split).tolist()
        labelled = ((entities[h], relations[r], entities[t]) for h, r, t in facts)
        _write_rows(folder / f"{split}.tsv", labelled)


def _write_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows of texts; tabs and line breaks in them become blanks (labels have none)."""
    _write_text(path, "".join("\t".join(map(flatten, row)) + "\n" for row in rows))


def _write_text(path: Path, text: str) -> None:
    # A first label that begins with U+FEFF would be read as a byte order mark; a mark before it
    # is what the reader takes off instead.
    encoding = "utf-8-sig" if text.startswith("\ufeff") else "utf-8"
    write_through(path, text.encode(encoding))


def _copy_pictures(graph: MultimodalGraph, folder: Path) -> tuple[str, ...]:
    """Copy each picture file once, and give the paths in the folder for each entity."""
    cells = [""] * graph.num_entities
    copied: dict[Path, str] = {}
    for entity, pictures in graph.all_pictures.items():
        for number, picture in enumerate(pictures):
            if picture not in copied:
                suffix = picture.suffix if _SUFFIX.fullmatch(picture.suffix) else ""
                place = f"{entity}_{number}" if number else str(entity)
                copied[picture] = f"pictures/{place}{suffix}"
                (folder / "pictures").mkdir(exist_ok=True)
                shutil.copyfile(picture, folder / copied[picture])
        cells[entity] = PICTURE_SEPARATOR.join(copied[picture] for picture in pictures)
    return tuple(cells)
