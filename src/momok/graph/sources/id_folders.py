"""Facts as ids with lists of labels beside them: folders of OpenKE, MyGO and PyKEEN.

OpenKE::

    entity2id.txt relation2id.txt           the count, then "label id"
    train2id.txt valid2id.txt test2id.txt   the count, then "head tail relation"

MyGO, whose ``entity2id.txt``, where it is there, gives labels to entities that are mere numbers::

    entities.txt relations.txt              a label a line; the line, from 0, is the id
    train.txt valid.txt test.txt            "head relation tail": labels, or ids

PyKEEN's ``TriplesFactory.to_path_binary``, and of a ``Dataset`` one such folder each in
``training``, ``validation`` and ``testing``; the pickled settings beside them are not opened::

    entity_to_id.tsv.gz relation_to_id.tsv.gz   header: id, label
    numeric_triples.tsv.gz                      header: head, relation, tail
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from momok.arrays import Ints
from momok.errors import DataError, FormatError
from momok.graph.graph import SPLIT_NAMES, SplitName
from momok.graph.names import order_labels, read_id_list
from momok.graph.sources.fact_tables import read_table
from momok.graph.sources.raw import UNSPLIT, RawGraph, TableOptions, merge_sources
from momok.graph.sources.text_tables import LINE, LINE_TEXT, read_text_lines, read_text_table
from momok.graph.text_files import FindingLog, read_lines
from momok.graph.triples import Triples

PYKEEN_TRIPLES = "numeric_triples.tsv.gz"
_PYKEEN_SPLITS: dict[str, SplitName] = {
    "training": "train",
    "validation": "valid",
    "testing": "test",
}
_BLANK = 16  # bytes: a larger file is no empty split
_TOLERATED = 0.5  # of the lines may be unusable; with more, the file is something else


def read_openke(path: Path, *, strict: bool = False) -> RawGraph:
    """Read an OpenKE folder; its splits are kept, and those it lacks are left out.

    Raises:
        FormatError: a list of labels is malformed, ids are not 0 to n - 1, the columns look like
            those of another order; or reading is strict and a line cannot be used.
    """
    log = FindingLog(path, strict)
    entities = _read_labels(path / "entity2id.txt", log)
    relations = _read_labels(path / "relation2id.txt", log)
    files = {split: path / f"{split}2id.txt" for split in SPLIT_NAMES}
    if not files["train"].is_file():
        raise DataError(f"{files['train']}: the file is missing")
    empty = [s for s in SPLIT_NAMES[1:] if files[s].is_file() and _is_empty(files[s])]
    notes = [f"{files[split].name} is empty and left out" for split in empty]
    sizes = len(entities), len(relations)
    triples: dict[str, Triples] = {
        split: _read_id_facts(file, sizes, log)
        for split, file in files.items()
        if file.is_file() and split not in empty
    }
    return RawGraph(
        entities=entities,
        relations=relations,
        triples=triples,
        findings=log.findings,
        notes=notes,
        name=path.resolve().name,
    )


def _is_empty(path: Path) -> bool:
    """Tell a file without facts: blank, or with the count 0 alone."""
    return path.stat().st_size < _BLANK and path.read_bytes().strip() in (b"", b"0")


def read_mygo(path: Path, *, strict: bool = False) -> RawGraph:
    """Read a MyGO folder; its splits are kept.

    Raises:
        FormatError: a list is malformed; or reading is strict and a line cannot be used.
    """
    log, notes = FindingLog(path, strict), list[str]()
    labels = [_read_list(path / f"{name}.txt") for name in ("entities", "relations")]
    triples: dict[str, Triples] = {}
    for split in SPLIT_NAMES:
        triples[split] = _read_mygo_facts(path / f"{split}.txt", labels, log)
    if not len(triples["train"]):
        raise FormatError(f"{path / 'train.txt'}: no fact has labels that entities.txt lists")
    for which, name in enumerate(("entity2id.txt", "relation2id.txt")):
        size = len(labels[which])
        if not (path / name).is_file() or labels[which] != list(map(str, range(size))):
            continue
        labels[which] = _read_labels(path / name, log)
        if len(labels[which]) != size:
            raise FormatError(
                f"{path / name}: lists {len(labels[which]):,} labels for the {size:,} ids of the "
                f"facts"
            )
        notes.append(f"{name} gives the labels of the ids")
    return RawGraph(
        entities=labels[0],
        relations=labels[1],
        triples=triples,
        findings=log.findings,
        notes=notes,
        name=path.resolve().name,
    )


def read_pykeen_folder(path: Path, *, strict: bool = False) -> RawGraph:
    """Read what ``TriplesFactory.to_path_binary`` or ``Dataset.to_directory_binary`` wrote."""
    if not (path / PYKEEN_TRIPLES).is_file():
        folders = {path / name: split for name, split in _PYKEEN_SPLITS.items()}
        return merge_sources(
            [(s, read_pykeen_folder(f, strict=strict)) for f, s in folders.items() if f.is_dir()]
        )
    log = FindingLog(path, strict)
    entities, relations = (
        _read_pykeen_labels(path / f"{kind}_to_id.tsv.gz", log) for kind in ("entity", "relation")
    )
    sizes = len(entities), len(relations)
    triples = _read_id_facts(path / PYKEEN_TRIPLES, sizes, log, ["head", "relation", "tail"])
    return RawGraph(
        entities=entities, relations=relations, triples={UNSPLIT: triples}, findings=log.findings
    )


def read_pykeen(source: Any) -> RawGraph:
    """Read a PyKEEN ``TriplesFactory``, or a ``Dataset`` with its training, validation and testing.

    Inverse triples that PyKEEN adds for training are no facts and are not taken.

    Raises:
        DataError: it is neither.
    """
    if not hasattr(source, "mapped_triples"):
        parts = {split: getattr(source, name, None) for name, split in _PYKEEN_SPLITS.items()}
        if parts["train"] is None:
            raise DataError(
                f"{type(source).__name__} is neither a PyKEEN TriplesFactory nor a Dataset: it has "
                f"no mapped_triples and no training"
            )
        return merge_sources([(s, read_pykeen(part)) for s, part in parts.items() if part])
    triples = np.asarray(source.mapped_triples).astype(np.int64).reshape(-1, 3)
    num_relations = getattr(source, "real_num_relations", source.num_relations)
    return RawGraph(
        entities=_order(getattr(source, "entity_to_id", None), source.num_entities),
        relations=_order(getattr(source, "relation_to_id", None), num_relations),
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


def _read_pykeen_labels(path: Path, log: FindingLog) -> list[str]:
    frame = read_text_table(path, log, TableOptions(delimiter="\t", quotes=True), least=2).frame
    if frame.drop(LINE).row(0) != ("id", "label"):
        raise FormatError(f"{path}:1: expected the header id, label")
    rows = frame.slice(1).select(LINE, "1", "0").iter_rows()
    return order_labels(path, rows)


def _read_labels(path: Path, log: FindingLog) -> list[str]:
    """Read labels and their ids; a count in front that is wrong is noted."""
    labels, count = read_id_list(path)
    if count not in (None, len(labels)):
        message = f"labels are listed in {path.name}, not as many as its first line says"
        log.reject("count", message, (f"{path.name}:1: {count}",), len(labels))
    return labels


def _read_list(path: Path) -> list[str]:
    """Read labels, one a line in the order of ids."""
    lines = read_lines(path)
    return order_labels(path, [(i + 1, line.strip(), str(i)) for i, line in enumerate(lines)])


def _read_mygo_facts(path: Path, labels: list[list[str]], log: FindingLog) -> Triples:
    table = read_table(path, TableOptions(header=False, strict=log.strict))
    log.findings.extend(table.findings)
    facts = table.triples[UNSPLIT]
    ends, kinds = _match(table.entities, labels[0]), _match(table.relations, labels[1])
    matched = np.stack([ends[facts[:, 0]], kinds[facts[:, 1]], ends[facts[:, 2]]], axis=1)
    known = (matched >= 0).all(axis=1)
    places = (
        f"{path.name}: {table.entities[h]} | {table.relations[r]} | {table.entities[t]}"[:120]
        for h, r, t in facts[~known]
    )
    message = f"lines of {path.name} have a label that its lists do not have; left out"
    log.reject("unknown-label", message, places, int((~known).sum()))
    return matched[known]


def _match(tokens: list[str], labels: list[str]) -> Ints:
    """Give the ids of labels, or of what are the ids themselves; -1 for others."""
    ids = {label: position for position, label in enumerate(labels)}
    if ids.keys().isdisjoint(tokens):
        ids = {str(position): position for position in range(len(labels))}
    return np.array([ids.get(token, -1) for token in tokens], dtype=np.int64)


def _read_id_facts(
    path: Path, sizes: tuple[int, int], log: FindingLog, header: Sequence[str] = ()
) -> Triples:
    """Read facts ``[n, 3]`` from lines of three ids; without a header the first is the count."""
    order = [header.index(role) for role in ("head", "relation", "tail")] if header else [0, 2, 1]
    lines = read_text_lines(path)
    first = lines[LINE_TEXT][0].strip()
    if first.split() != header if header else not first.isdecimal():
        expected = f"the header {' '.join(header)}" if header else "the number of facts alone"
        raise FormatError(f"{path}:{lines[LINE][0]}: expected {expected}, found {first[:120]!r}")
    lines = lines.slice(1)
    if not len(lines):
        raise FormatError(f"{path}: has no fact")
    tidy = lines[LINE_TEXT].str.strip_chars(" \t\r").str.replace_all(r"[ \t]+", " ")
    fields = tidy.str.split_exact(" ", 3).struct.unnest()
    ids = fields.select(pl.all().cast(pl.Int64, strict=False).fill_null(-1)).to_numpy()
    good = (ids[:, :3] >= 0).all(axis=1) & fields.to_series(3).is_null().to_numpy()
    facts = np.ascontiguousarray(ids[:, order], dtype=np.int64)
    _, relation, tail = facts[good].max(axis=0, initial=-1)
    if relation >= sizes[1] > tail >= 0:
        raise FormatError(
            f"{path}: column {order[1] + 1} should hold relation ids, but goes up to {relation} "
            f"where there are {sizes[1]} relations, and column {order[2] + 1} does not: the "
            f"columns are in another order (OpenKE's is head tail relation)"
        )
    known = good & (facts < (sizes[0], sizes[1], sizes[0])).all(axis=1)
    for kind, what, bad in (
        ("malformed", "are not three ids", ~good),
        ("unknown-label", "have an unknown id", good & ~known),
    ):
        rows = lines.filter(pl.Series(bad))
        places = [f"{path.name}:{n}: {text[:120]!r}" for n, text in rows.head(5).iter_rows()]
        if len(rows) > _TOLERATED * len(lines):
            raise FormatError(
                f"{path.parent / places[0]}: this and others of the {len(lines):,} lines "
                f"({len(rows):,}) {what}; expected ids of the labels that are listed"
            )
        log.reject(kind, f"lines of {path.name} {what}; left out", places, len(rows))
    if not header and int(first) != len(lines):
        message = f"facts are in {path.name}, not as many as its first line says"
        log.reject("count", message, (f"{path.name}:1: {first}",), len(lines))
    return facts[known]
