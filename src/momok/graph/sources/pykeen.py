"""PyKEEN's triples, in memory and as its ``to_path_binary`` writes them; nothing is unpickled.

A folder of a ``TriplesFactory`` holds::

    entity_to_id.tsv.gz relation_to_id.tsv.gz   header: id, label
    numeric_triples.tsv.gz                      header: head, relation, tail
    base.pth                                    settings, pickled: not read

and that of a ``Dataset`` one such folder each, ``training``, ``validation`` and ``testing``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from momok.errors import DataError, FormatError
from momok.graph.fact_reader import FindingLog
from momok.graph.graph import SplitName
from momok.graph.sources.id_folders import Columns, read_id_triples
from momok.graph.sources.merging import merge_sources
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.sources.text_tables import LINE, read_text_table

__all__ = ["is_pykeen_folder", "read_pykeen", "read_pykeen_folder"]

_TRIPLES, _ENTITIES = "numeric_triples.tsv.gz", "entity_to_id.tsv.gz"
_RELATIONS = "relation_to_id.tsv.gz"
_SPLITS: dict[str, SplitName] = {"training": "train", "validation": "valid", "testing": "test"}


def read_pykeen(source: Any) -> RawGraph:
    """Read a PyKEEN ``TriplesFactory``, or a ``Dataset`` with its training, validation and testing.

    Inverse triples that PyKEEN adds for training are no facts and are not taken.

    Args:
        source: the factory or data set. PyKEEN itself is not needed.

    Raises:
        DataError: it is neither.
    """
    if hasattr(source, "mapped_triples"):
        return _read_factory(source)
    factories = [
        (split, getattr(source, name))
        for name, split in _SPLITS.items()
        if getattr(source, name, None) is not None
    ]
    if not any(split == "train" for split, _ in factories):
        raise DataError(
            f"{type(source).__name__} is neither a PyKEEN TriplesFactory nor a Dataset: it has no "
            f"mapped_triples and no training"
        )
    return merge_sources([(split, _read_factory(factory)) for split, factory in factories])


def _read_factory(factory: Any) -> RawGraph:
    mapped = factory.mapped_triples
    mapped = mapped.numpy() if hasattr(mapped, "numpy") else mapped  # a tensor
    triples = np.array(mapped, dtype=np.int64).reshape(-1, 3)
    num_relations = getattr(factory, "real_num_relations", factory.num_relations)
    entities = _order(getattr(factory, "entity_to_id", None), factory.num_entities)
    relations = _order(getattr(factory, "relation_to_id", None), num_relations)
    return RawGraph(
        entities=entities,
        relations=relations,
        triples={UNSPLIT: triples[triples[:, 1] < num_relations]},
        notes=["PyKEEN triples factory"],
    )


def _order(ids: Mapping[str, int] | None, size: int) -> list[str]:
    """Give the labels by id; factories without labels have their ids instead."""
    labels = list(map(str, range(size)))
    for label, position in (ids or {}).items():
        if position < size:
            labels[position] = str(label)
    return labels


def is_pykeen_folder(path: Path) -> bool:
    """Tell the folder of a factory or a data set by its files."""
    return (path / _TRIPLES).is_file() or (path / "training" / _TRIPLES).is_file()


def read_pykeen_folder(path: Path, *, strict: bool = False) -> RawGraph:
    """Read what ``TriplesFactory.to_path_binary`` or ``Dataset.to_directory_binary`` wrote.

    Raises:
        DataError: a file is missing.
        FormatError: a file is malformed.
    """
    if (path / _TRIPLES).is_file():
        return _read_factory_folder(path, strict)
    parts = [
        (split, _read_factory_folder(path / name, strict))
        for name, split in _SPLITS.items()
        if (path / name).is_dir()
    ]
    return merge_sources(list(parts))


def _read_factory_folder(path: Path, strict: bool) -> RawGraph:
    log = FindingLog(path, strict)
    entities, relations = _read_map(path / _ENTITIES, log), _read_map(path / _RELATIONS, log)
    triples = read_id_triples(
        path / _TRIPLES,
        Columns(head=0, relation=1, tail=2),
        (len(entities), len(relations)),
        log,
        header=["head", "relation", "tail"],
    )
    return RawGraph(
        entities=entities, relations=relations, triples={UNSPLIT: triples}, findings=log.findings
    )


def _read_map(path: Path, log: FindingLog) -> list[str]:
    frame = read_text_table(path, log, least=2, delimiter="\t", quotes=True).frame
    if frame.drop(LINE).row(0) != ("id", "label"):
        raise FormatError(f"{path}:1: expected the header id, label")
    ids, labels = frame["0"].slice(1).to_list(), frame["1"].slice(1).to_list()
    if ids != list(map(str, range(len(ids)))):
        raise FormatError(f"{path}: expected the ids 0, 1, 2, ... in order")
    if len(set(labels)) != len(labels):
        raise FormatError(f"{path}: a label has two ids")
    return labels
