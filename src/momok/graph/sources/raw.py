"""What every source of facts gives, before it is split and written as a graph.

Notation: N entities, R relations, n facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import polars as pl

from momok.arrays import Ints
from momok.errors import DataError
from momok.graph.fact_columns import merge_fact_columns
from momok.graph.graph import SPLIT_NAMES, SplitName
from momok.graph.names import make_readable, suggest_near_misses
from momok.graph.text_files import Finding
from momok.graph.triples import Triples

_Value = TypeVar("_Value")

UNSPLIT = "all"
"""The key of ``RawGraph.triples`` for facts that their source does not split."""


@dataclass(frozen=True, kw_only=True)
class RawGraph:
    """Facts and what is known of the entities besides, as a source has them.

    Attributes:
        entities: the labels of the N entities, each once; the position is the id.
        relations: the labels of the R relations, each once.
        triples: facts ``[n, 3]``, head, relation and tail ids, which may repeat: under ``train``
            and, where the source has them, ``valid`` and ``test``, or else all under ``all``.
        rejected: facts that people have said are false, by labels.
        names: display names of entities by label.
        relation_names: display names of relations by label.
        descriptions: longer texts by entity label.
        types: the kind of thing by entity label.
        pictures: by entity label: paths of files, or URLs.
        numbers: by attribute and entity label: a value; dates are decimal years.
        attributes: further texts: by name of the attribute and entity label.
        fact_columns: weights of facts, and texts about them (see ``momok.graph.fact_columns``).
        notes: what was taken for what, in sentences: the format and why, columns, dialect.
        features: a folder of feature files by label (see ``momok.graph.features``) to be copied.
        split_notes: how momok split the facts, where the source records that it did.
        name: the name of the graph, "" where the source does not say.

    Raises:
        DataError: ids are out of range, or the splits are neither ``all`` nor with ``train``.
    """

    entities: list[str]
    relations: list[str]
    triples: dict[str, Triples]
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    relation_names: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    fact_columns: pl.DataFrame | None = None
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    features: Path | None = None
    split_notes: list[str] | None = None
    name: str = ""
    about: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Check the splits and the ids."""
        splits = set(self.triples)
        if splits != {UNSPLIT} and not {"train"} <= splits <= set(SPLIT_NAMES):
            raise DataError(
                f"facts are given as {', '.join(sorted(splits)) or 'nothing'}; "
                f"expected '{UNSPLIT}', or 'train' with 'valid' and 'test'"
            )
        limits = np.array([len(self.entities), len(self.relations), len(self.entities)])
        for split, triples in self.triples.items():
            if triples.ndim != 2 or triples.shape[1] != 3 or triples.dtype != np.int64:
                raise DataError(
                    f"{split} facts are {triples.dtype} {triples.shape}, expected int64 [n, 3]"
                )
            if len(triples) and ((triples.min(0) < 0) | (triples.max(0) >= limits)).any():
                raise DataError(f"{split} facts have ids that no label has")


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How to read tables of facts; what is None is found in the file.

    Attributes:
        columns: the columns of head, relation and tail, by the names in the header or by position
            from 1; of head and tail where ``relation`` is given.
        quotes: whether quotes around a field are not part of it.
        encoding: of the text, as Python names it; None for UTF-8.
        weight: the column of weights, by name or position as ``columns``; False for none.
        kept: further columns of which the texts are kept, by name or position.
        held_out: the facts are to choose or judge a model with, and the table may lack the columns
            that are asked for beside its facts.
    """

    columns: tuple[str, ...] | None = None
    delimiter: str | None = None
    header: bool | None = None
    quotes: bool | None = None
    encoding: str | None = None
    relation: str | None = None
    weight: str | Literal[False] | None = None
    kept: tuple[str, ...] = ()
    held_out: bool = False
    strict: bool = False


def number_labels(labels: pl.Series) -> tuple[list[str], Ints]:
    """Number labels in order of first appearance: give each once, and the numbers ``[n]``."""
    distinct = labels.unique(maintain_order=True).rename("label")
    numbered = distinct.to_frame().with_columns(id=pl.int_range(pl.len(), dtype=pl.Int64))
    found = labels.rename("label").to_frame().join(numbered, "label", "left", maintain_order="left")
    numbers: Ints = found["id"].to_numpy()
    return distinct.to_list(), numbers


def translate_ids(labels: Iterable[str], known: dict[str, int]) -> Ints:
    """Give for the labels of one vocabulary their ids in another, which learns the new ones."""
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)


def find_relations(raw: RawGraph, given: Iterable[str], option: str) -> list[int]:
    """Find relations by label, by name or by the last part of an IRI.

    Raises:
        DataError: there is no such relation; the option is named.
    """
    places: dict[int, None] = {}
    for name in given:
        found = [
            i
            for i, label in enumerate(raw.relations)
            if name in (label, raw.relation_names.get(label), make_readable(label))
        ]
        if not found:
            near = suggest_near_misses(name, raw.relations)
            raise DataError(f"{option} {name!r}: there is no such relation{near}")
        places.update(dict.fromkeys(found))
    return list(places)


def drop_facts(raw: RawGraph, relations: Sequence[int]) -> RawGraph:
    """Leave out relations with their facts, and the entities that are in these alone."""
    before = np.zeros(len(raw.entities), dtype=np.bool_)
    after = before.copy()
    stay = ~np.isin(np.arange(len(raw.relations)), relations)
    triples: dict[str, Triples] = {}
    for split, facts in raw.triples.items():
        triples[split] = facts[stay[facts[:, 1]]]
        before[facts[:, [0, 2]]] = True
        after[triples[split][:, [0, 2]]] = True
    kept = after | ~before
    ends, kinds = np.cumsum(kept) - 1, np.cumsum(stay) - 1
    for split, facts in triples.items():
        triples[split] = np.stack([ends[facts[:, 0]], kinds[facts[:, 1]], ends[facts[:, 2]]], 1)
    return replace(
        raw,
        triples=triples,
        entities=[label for label, keep in zip(raw.entities, kept, strict=True) if keep],
        relations=[label for label, keep in zip(raw.relations, stay, strict=True) if keep],
    )


def leave_out(raw: RawGraph, relations: Iterable[str]) -> RawGraph:
    """Leave out the facts of relations, as ``drop_facts``, and say so.

    Raises:
        DataError: there is no such relation.
    """
    places = find_relations(raw, relations, "--leave-out")
    rest = drop_facts(raw, places)
    count = sum(map(len, raw.triples.values())) - sum(map(len, rest.triples.values()))
    if not count:
        return raw
    gone = len(raw.entities) - len(rest.entities)
    note = f"left out as asked: {count:,} facts of {', '.join(raw.relations[i] for i in places)}"
    note += f", and {gone:,} entities that are in no other fact" * bool(gone)
    return replace(rest, notes=[*raw.notes, note])


def merge_sources(parts: Sequence[tuple[SplitName | None, RawGraph]]) -> RawGraph:
    """Merge sources to one graph: labels that are the same are one entity.

    Of two names or texts of one label the first is kept.

    Args:
        parts: each with the split that its facts belong to, None where the source itself says.
            Facts without a split, where others have one, are train facts.
    """
    if len(parts) == 1 and parts[0][0] is None:
        return parts[0][1]
    entities: dict[str, int] = {}
    relations: dict[str, int] = {}
    triples: dict[str, list[Triples]] = {}
    for split, part in parts:
        ends = translate_ids(part.entities, entities)
        kinds = translate_ids(part.relations, relations)
        for own, facts in part.triples.items():
            moved = np.stack([ends[facts[:, 0]], kinds[facts[:, 1]], ends[facts[:, 2]]], axis=1)
            triples.setdefault(split or own, []).append(moved)
    if len(triples) > 1 and UNSPLIT in triples:
        triples.setdefault("train", []).extend(triples.pop(UNSPLIT))
    graphs = [part for _, part in parts]
    return RawGraph(
        entities=list(entities),
        relations=list(relations),
        triples={split: np.concatenate(several) for split, several in triples.items()},
        rejected=[fact for g in graphs for fact in g.rejected],
        names=_merge([g.names for g in graphs]),
        relation_names=_merge([g.relation_names for g in graphs]),
        descriptions=_merge([g.descriptions for g in graphs]),
        types=_merge([g.types for g in graphs]),
        pictures=_merge([g.pictures for g in graphs]),
        numbers=_merge_tables([g.numbers for g in graphs]),
        attributes=_merge_tables([g.attributes for g in graphs]),
        fact_columns=merge_fact_columns(g.fact_columns for g in graphs),
        findings=[finding for g in graphs for finding in g.findings],
        notes=list(dict.fromkeys(note for g in graphs for note in g.notes)),
        features=next((g.features for g in graphs if g.features), None),
        name=next((g.name for g in graphs if g.name), ""),
        about=next((g.about for g in graphs if g.about), ""),
        licence=next((g.licence for g in graphs if g.licence), ""),
    )


def _merge(tables: Sequence[dict[str, _Value]]) -> dict[str, _Value]:
    merged: dict[str, _Value] = {}
    for table in reversed(tables):
        merged.update(table)
    return merged


def _merge_tables(tables: Sequence[dict[str, dict[str, _Value]]]) -> dict[str, dict[str, _Value]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: _merge([table.get(name, {}) for table in tables]) for name in names}
