"""What a source is, told by the files of a folder, or by the name and first bytes of a file.

A format that is a folder is one entry of ``FOLDER_FORMATS``: how it is recognised, and read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from momok.errors import DataError
from momok.graph.benchmark_format import is_benchmark_folder, read_benchmark_folder
from momok.graph.entities_file import read_numbers
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph, SplitName
from momok.graph.momok_format import is_momok_folder, read_momok_folder
from momok.graph.names import make_readable
from momok.graph.sources import id_folders
from momok.graph.sources.compressed import is_container, is_member, list_members, name_content
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.records import is_json_table, refuse_other_formats

_RDF = (".nt", ".ttl", ".rdf", ".owl", ".xml", ".jsonld", ".json", ".nq", ".trig", ".n3")
_RECORDS = (".parquet", ".pq", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson")
_TABLES = (".csv", ".tsv", ".tab", ".txt", ".psv", "")
_KNOWN = (*_RDF, *_RECORDS, *_TABLES)
_SPLITS: dict[str, SplitName] = {
    **{"train": "train", "training": "train"},
    **{"valid": "valid", "validation": "valid", "val": "valid", "dev": "valid"},
    **{"test": "test", "testing": "test"},
}
FACTS = ("facts", "triples", "graph", "edges", "kg", "statements")
ENTITIES = ("entities", "nodes", "items")
_PICTURES = ("pictures", "images", "photos")


@dataclass(frozen=True)
class FolderFormat:
    """A format that is a folder.

    Attributes:
        recognise: whether a folder is of the format, by the files that are there.
        read: reads it: ``read(path, strict=...)``; strict, a line of no use is an error.
    """

    recognise: Callable[[Path], bool]
    read: Callable[..., RawGraph]
    because: str


# Findings on the splits, which building looks at again, and one on a record that it rewrites.
_COUNTED_LATER = ("overlap", "unseen-entity", "recorded-split")


def read_graph_folder(path: Path, *, strict: bool = False) -> RawGraph:
    """Read a benchmark folder (MoMoK, MMRNS and others of its kind) or momok's own."""
    own = is_momok_folder(path)
    read = read_momok_folder if own else read_benchmark_folder
    graph = read(path, strict=strict)
    features = path / "features"
    recorded = any(finding.kind == "recorded-split" for finding in graph.findings)
    lost = len(graph.withheld)
    withheld = [f"{path}: {lost:,} facts of withheld.tsv are left out: they are in no split"]
    return RawGraph(
        entities=list(graph.entities.labels),
        relations=list(graph.relations.labels),
        triples={split: graph.facts(split) for split in SPLIT_NAMES},
        rejected=[
            (graph.entities.labels[h], graph.relations.labels[r], graph.entities.labels[t])
            for h, r, t in graph.rejected.tolist()
        ],
        names=_given_names(graph.entities.labels, graph.entity_names),
        relation_names=_given_names(graph.relations.labels, graph.relation_names),
        descriptions=_given(graph, graph.descriptions),
        types=_given(graph, graph.entity_types),
        pictures={
            graph.entities.labels[entity]: [str(path.resolve()) for path in several]
            for entity, several in graph.all_pictures.items()
        },
        numbers=read_numbers(path) if own else {},
        fact_columns=graph.fact_columns,
        attributes={name: _given(graph, values) for name, values in graph.attributes.items()},
        findings=[finding for finding in graph.findings if finding.kind not in _COUNTED_LATER],
        features=features if features.is_dir() else None,
        split_notes=list(graph.split_notes) if recorded and graph.split == "clean" else None,
        notes=withheld if lost else [],
        name=graph.name,
        about=graph.about,
        licence=graph.licence,
    )


def _given(graph: MultimodalGraph, values: tuple[str, ...]) -> dict[str, str]:
    return {
        label: value for label, value in zip(graph.entities.labels, values, strict=True) if value
    }


def _given_names(labels: tuple[str, ...], names: tuple[str, ...]) -> dict[str, str]:
    pairs = zip(labels, names, strict=True)
    return {label: name for label, name in pairs if name != make_readable(label)}


FOLDER_FORMATS: dict[str, FolderFormat] = {
    "momok": FolderFormat(
        is_momok_folder, read_graph_folder, "momok's own folder: graph.json is there"
    ),
    "openke": FolderFormat(
        lambda path: (path / "train2id.txt").is_file(),
        id_folders.read_openke,
        "OpenKE: train2id.txt is there",
    ),
    "mygo": FolderFormat(
        lambda path: (path / "entities.txt").is_file() and (path / "train.txt").is_file(),
        id_folders.read_mygo,
        "MyGO: entities.txt and train.txt are there",
    ),
    "pykeen": FolderFormat(
        lambda path: any(
            (path / place / id_folders.PYKEEN_TRIPLES).is_file() for place in ("", "training")
        ),
        id_folders.read_pykeen_folder,
        "PyKEEN: numeric_triples.tsv.gz is there",
    ),
    "benchmark": FolderFormat(
        is_benchmark_folder, read_graph_folder, "a published benchmark: entity2id.txt is there"
    ),
}
"""By name, in the order in which they are tried."""


def detect_format(path: Path) -> tuple[str, str]:
    """Tell the format of a source, and why it is taken for it.

    Raises:
        DataError: there is no such file or folder, or a folder holds nothing that is known.
    """
    if path.is_dir():
        return _detect_folder(path)
    if not path.exists() and not is_member(path):
        raise DataError(f"{path}: there is no such file or folder")
    if is_container(path):
        refuse_other_formats(path)
        if find_split_files(path) or find_named(path, FACTS):
            return "splits", "an archive with files of facts"
        members = list_members(path)
        raise DataError(
            f"{path}: holds {len(members):,} files, and none is named train, facts or triples; "
            f"unpack it, or name one, as in {path / members[0]}"
        )
    suffix = Path(name_content(path)).suffix.lower()
    if suffix in _RDF and not (suffix == ".json" and is_json_table(path)):
        return "rdf", f"RDF by its name (*{suffix})"
    return "table", f"a table by its name (*{suffix})" if suffix else "a table"


def _detect_folder(path: Path) -> tuple[str, str]:
    for kind, known in FOLDER_FORMATS.items():
        if known.recognise(path):
            return kind, known.because
    if find_split_files(path):
        return "splits", "files named train, valid or test are there"
    if find_named(path, FACTS):
        return "splits", "a file of facts is there"
    present = sorted(entry.name for entry in path.iterdir())[:8]
    raise DataError(
        f"{path}: holds no graph that is known here: neither train, valid and test files, nor a "
        f"file named facts or triples, nor entity2id.txt, entities.txt or graph.json; it has "
        f"{', '.join(present) or 'nothing'}; name the files of facts themselves"
    )


def find_split_files(folder: Path) -> dict[SplitName, Path]:
    """Find the files of a folder that are named train, valid or test.

    Raises:
        DataError: two files may be the same split.
    """
    found: dict[SplitName, Path] = {}
    for path in _list_files(folder):
        split = _SPLITS.get(_bare_name(path))
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"{folder}: both {found[split].name} and {path.name} may be the {split} facts; "
                f"give --train, --valid and --test"
            )
        found[split] = path
    return {split: found[split] for split in SPLIT_NAMES if split in found and "train" in found}


def find_named(folder: Path, names: Collection[str]) -> Path | None:
    """Find the one file of a folder, of any kind that is known, with one of the names."""
    found = [path for path in _list_files(folder) if _bare_name(path) in names]
    if len(found) > 1:
        shown = " and ".join(path.name for path in found[:3])
        raise DataError(f"{folder}: {shown} may be meant; name the files themselves")
    return found[0] if found else None


def find_pictures(folder: Path) -> Path | None:
    """Find the folder of pictures beside the facts."""
    return next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)


def _list_files(folder: Path) -> list[Path]:
    """List the files of a folder or archive whose names tell a format that is known."""
    if folder.is_dir():
        files = [path for path in folder.iterdir() if path.is_file()]
    else:
        files = [folder / member for member in list_members(folder)]
    packed = re.compile(r"\.(gz|gzip|bz2|xz|zst|zstd|zip)$")
    return sorted(
        path for path in files if Path(packed.sub("", path.name.lower())).suffix in _KNOWN
    )


def _bare_name(path: Path) -> str:
    return path.name.split(".", 1)[0].lower()
