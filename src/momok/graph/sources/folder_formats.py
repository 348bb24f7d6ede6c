"""The formats that are a folder: how each is recognised, and read; an entry each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from momok.graph.benchmark_format import is_benchmark_folder, read_benchmark_folder
from momok.graph.entities_file import read_numbers
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.momok_format import is_momok_folder, read_momok_folder
from momok.graph.names import make_readable
from momok.graph.sources import id_folders
from momok.graph.sources.raw import RawGraph


class FolderReader(Protocol):
    """Reads a folder; with ``strict`` a line that cannot be used is an error."""

    def __call__(self, path: Path, *, strict: bool = False) -> RawGraph: ...


@dataclass(frozen=True)
class FolderFormat:
    """A format that is a folder.

    Attributes:
        recognise: whether a folder is of the format, by the files that are there.
        read: how it is read.
        because: what recognised it, for the user.
    """

    recognise: Callable[[Path], bool]
    read: FolderReader
    because: str


# Findings on the splits, which building looks at again, and one on a record that it rewrites.
_COUNTED_LATER = ("overlap", "unseen-entity", "recorded-split")


def read_graph_folder(path: Path, *, strict: bool = False) -> RawGraph:
    """Read a benchmark folder (MoMoK, MMRNS and others of its kind) or momok's own.

    Raises:
        DataError, FormatError, FeatureError: see ``read_benchmark_folder``, ``read_momok_folder``.
    """
    own = is_momok_folder(path)
    read = read_momok_folder if own else read_benchmark_folder
    graph = read(path, strict=strict)
    features = path / "features"
    recorded = any(finding.kind == "recorded-split" for finding in graph.findings)
    return RawGraph(
        entities=list(graph.entities.labels),
        relations=list(graph.relations.labels),
        triples={split: graph.facts(split) for split in SPLIT_NAMES},
        names=_given_names(graph.entities.labels, graph.entity_names),
        relation_names=_given_names(graph.relations.labels, graph.relation_names),
        descriptions=_given(graph, graph.descriptions),
        types=_given(graph, graph.entity_types),
        pictures={
            graph.entities.labels[entity]: [str(path.resolve()) for path in several]
            for entity, several in graph.all_pictures.items()
        },
        numbers=read_numbers(path) if own else {},
        attributes={name: _given(graph, values) for name, values in graph.attributes.items()},
        findings=[finding for finding in graph.findings if finding.kind not in _COUNTED_LATER],
        features=features if features.is_dir() else None,
        split_notes=list(graph.split_notes) if recorded and graph.split == "clean" else None,
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
        id_folders.is_openke_folder, id_folders.read_openke, "OpenKE: train2id.txt is there"
    ),
    "mygo": FolderFormat(
        id_folders.is_mygo_folder,
        id_folders.read_mygo,
        "MyGO: entities.txt and train.txt are there",
    ),
    "pykeen": FolderFormat(
        id_folders.is_pykeen_folder,
        id_folders.read_pykeen_folder,
        "PyKEEN: numeric_triples.tsv.gz is there",
    ),
    "benchmark": FolderFormat(
        is_benchmark_folder, read_graph_folder, "a published benchmark: entity2id.txt is there"
    ),
}
"""By name, in the order in which they are tried."""
