"""Several sources to one graph: labels that are the same are one entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from momok.graph.graph import SplitName
from momok.graph.sources.raw import UNSPLIT, RawGraph, translate_ids
from momok.graph.triples import Triples

_Value = TypeVar("_Value")


def merge_sources(parts: Sequence[tuple[SplitName | None, RawGraph]]) -> RawGraph:
    """Merge sources; of two names or texts of one label the first is kept.

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
        entity_ids = translate_ids(part.entities, entities)
        relation_ids = translate_ids(part.relations, relations)
        for own, facts in part.triples.items():
            moved = np.stack(
                [entity_ids[facts[:, 0]], relation_ids[facts[:, 1]], entity_ids[facts[:, 2]]],
                axis=1,
            )
            triples.setdefault(split or own, []).append(moved)
    if len(triples) > 1 and UNSPLIT in triples:
        triples.setdefault("train", []).extend(triples.pop(UNSPLIT))
    graphs = [part for _, part in parts]
    return RawGraph(
        entities=list(entities),
        relations=list(relations),
        triples={split: np.concatenate(several) for split, several in triples.items()},
        names=_merge([g.names for g in graphs]),
        relation_names=_merge([g.relation_names for g in graphs]),
        descriptions=_merge([g.descriptions for g in graphs]),
        types=_merge([g.types for g in graphs]),
        pictures=_merge([g.pictures for g in graphs]),
        numbers=_merge_tables([g.numbers for g in graphs]),
        attributes=_merge_tables([g.attributes for g in graphs]),
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
