"""The named graphs, the one way to load any graph, and which folder to write features into."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from momok.errors import DataError
from momok.graph.benchmark_format import is_benchmark_folder, read_benchmark_folder
from momok.graph.entities_file import NUMBERS_FILE, PICTURE_LINKS, read_table
from momok.graph.graph import MultimodalGraph, Split
from momok.graph.momok_format import (
    is_momok_folder,
    read_graph_json,
    read_momok_folder,
    write_momok_folder,
)
from momok.graph.names import read_id_list, suggest_near_misses
from momok.graph.splits import make_clean

DATA_VARIABLE = "MOMOK_DATA"
_BUNDLED = Path(__file__).parent


@dataclass(frozen=True)
class CatalogEntry:
    """A graph that is known by name.

    Attributes:
        name: its name, and that of its folder.
        about: one sentence.
        bundled: it comes with momok; others are looked for on this machine.
        origin: where its files are published.
    """

    name: str
    about: str
    bundled: bool = False
    origin: str = ""


_MOMOK_ORIGIN = "https://github.com/zjukg/MoMoK"
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry("world", "countries, cities, languages, currencies, with flags", bundled=True),
    CatalogEntry("MKG-W", "15,000 entities of Wikidata", origin=_MOMOK_ORIGIN),
    CatalogEntry("MKG-Y", "15,000 entities of YAGO", origin=_MOMOK_ORIGIN),
    CatalogEntry("DB15K", "12,842 entities of DBpedia", origin=_MOMOK_ORIGIN),
    CatalogEntry("KVC16K", "16,015 Chinese concepts and things", origin=_MOMOK_ORIGIN),
)


def load_graph(
    source: str | Path, *, split: Split = "clean", strict: bool = False
) -> MultimodalGraph:
    """Load a graph by its name in the catalog or from a folder.

    Args:
        source: a name, in any case (``"world"``, ``"mkg-w"``), or a folder in the published
            benchmark format or momok's own. A text with a path separator is a folder.
        split: ``clean`` mends splits that share facts (see ``momok.graph.splits``) and leaves
            others alone; ``published`` takes them as they are. A folder that records its split
            (written by ``write_momok_folder``) is left as recorded.
        strict: malformed lines and unknown labels are errors instead of findings.

    Raises:
        DataError: there is no such name or folder, a file is missing, or it is malformed.
    """
    if not isinstance(source, str | Path):
        raise DataError(
            f"load_graph takes a name or a folder, not a {type(source).__name__}; "
            f"momok.graph_from_frames(facts) makes a graph of a frame, an array or a list of facts"
        )
    if split not in get_args(Split):
        raise DataError(f"split {split!r}: expected 'clean' or 'published'")
    graph, _ = open_folder(source, strict=strict, modalities=True)
    recorded = any(finding.kind == "recorded-split" for finding in graph.findings)
    return make_clean(graph) if split == "clean" and not recorded else graph


def open_folder(
    source: str | Path, *, strict: bool = False, modalities: bool = False
) -> tuple[MultimodalGraph, Path]:
    """Read a graph by its name or from a folder, split as published, and give its folder.

    Args:
        modalities: read features and find pictures too; without, files that do not fit are no
            error.

    Raises:
        DataError: there is no such name or folder, a file is missing, or it is malformed.
    """
    folder = find_graph_folder(source)
    read = read_momok_folder if is_momok_folder(folder) else read_benchmark_folder
    graph = read(folder, strict=strict, modalities=modalities)
    entry = None if isinstance(source, Path) else find_entry(source)
    if entry:
        graph = replace(graph, name=entry.name, source=entry.name)
    return graph, folder


def find_graph_folder(source: str | Path) -> Path:
    """Find the folder of a graph, by its name in the catalog or by its path.

    Raises:
        DataError: there is no such name or folder, or no graph is in it.
    """
    entry = None if isinstance(source, Path) else find_entry(source)
    folder = _require_folder(entry) if entry else _check_folder(source)
    if not (is_momok_folder(folder) or is_benchmark_folder(folder)):
        raise DataError(
            f"{folder}: is no graph: neither graph.json (momok's format) nor entity2id.txt "
            f"(the published benchmarks) is in it"
        )
    return folder


def _normalise(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).casefold()


def find_entry(source: str) -> CatalogEntry | None:
    """Find a graph of the catalog by its name, in any case, with or without hyphens."""
    return next((e for e in CATALOG if _normalise(e.name) == _normalise(source)), None)


def find_name(source: str) -> str:
    """Find the name that a graph will have, without loading it.

    Raises:
        DataError: there is no such name or folder, or no graph is in it.
    """
    entry = find_entry(source)
    return entry.name if entry else read_name_of(find_graph_folder(source))


def _check_folder(source: str | Path) -> Path:
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise DataError(
            f"{folder}: is a file; expected the folder of a graph, which "
            f"momok data build {shlex.quote(str(folder))} --out FOLDER makes of a file of facts"
        )
    names = [entry.name for entry in CATALOG]
    if isinstance(source, str) and folder.name == source:
        known = suggest_near_misses(source, names) or f"; the catalog has {', '.join(names)}"
        raise DataError(f"there is no graph and no folder {source!r}{known}")
    raise DataError(f"{folder}: there is no such folder")


def find_folder(entry: CatalogEntry) -> Path | None:
    """Find the folder of a graph of the catalog on this machine, if it is here."""
    places = list_places(entry)
    return next((p for p in places if is_benchmark_folder(p) or is_momok_folder(p)), None)


def _require_folder(entry: CatalogEntry) -> Path:
    folder = find_folder(entry)
    if folder is not None:
        return folder
    places = list_places(entry)
    if entry.bundled:
        raise DataError(f"{places[0]}: the bundled graph is missing; install momok again")
    raise DataError(
        f"{entry.name} is not on this machine (looked in {', '.join(map(str, places))}); "
        f"momok data fetch {entry.name} gets it from {entry.origin}; where it is elsewhere, set "
        f"{DATA_VARIABLE} to the folder that holds the folder {entry.name}"
    )


def list_places(entry: CatalogEntry) -> list[Path]:
    """List where a graph may lie: beside momok if bundled, else in the folders for data.

    The first place is where ``momok data fetch`` puts it.
    """
    if entry.bundled:
        return [_BUNDLED / entry.name]
    given = os.environ.get(DATA_VARIABLE)
    home = Path(given).expanduser() if given else Path.home() / ".local" / "share" / "momok"
    return [home / entry.name, Path(entry.name)]


def find_writable_folder(source: str, out: Path | None = None) -> Path:
    """Give a folder with a graph's facts that features can be written into.

    Args:
        out: write to a copy here instead of the graph's own folder. Where a copy of the same graph
            is there already, it is taken.

    Raises:
        DataError: the graph comes with momok, cannot be found or written to; or ``out`` is taken
            by something else.
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
    """Read the labels of a folder's entities, in its order, and nothing else."""
    if is_momok_folder(folder):
        return read_table(folder / "entities.tsv").labels
    return tuple(read_id_list(folder / "entity2id.txt")[0])


def read_name_of(folder: Path) -> str:
    """Read the name of a graph from its folder: that in graph.json, else the folder's own."""
    name = read_graph_json(folder).get("name") if is_momok_folder(folder) else None
    return name or folder.resolve().name
