"""Which entities may be answers: those of a type, or a list, for heads and for tails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np

from momok.arrays import Ints
from momok.errors import ConfigError, UnknownLabelError
from momok.graph.graph import MultimodalGraph
from momok.graph.names import shorten, suggest_near_misses

Side = Literal["head", "tail"]
Name: TypeAlias = str | int
"""An entity or relation: its label, its name, or its id."""
Entities: TypeAlias = str | Sequence[Name]
"""Entities by label, name or id; or those of a type, by its name."""
Among: TypeAlias = Entities | Mapping[Side, Entities]
"""The entities that may be answers; or those for heads and those for tails, apart: a side that is
not there takes all."""


def resolve_candidates(graph: MultimodalGraph, among: Among | None) -> dict[Side, Ints]:
    """Ids, ascending, of the entities that may be answers on a side; a side without takes all.

    Raises:
        MomokError: as ``resolve_entities``.
        ConfigError: a side that is neither ``head`` nor ``tail``.
    """
    if among is None:
        return {}
    if not isinstance(among, Mapping):
        found = resolve_entities(graph, among)
        return dict.fromkeys(get_args(Side), found)
    for side in among or ("",):
        if side not in get_args(Side):
            raise ConfigError(f"among: {side!r}: expected 'head', 'tail' or both")
    return {side: resolve_entities(graph, given) for side, given in among.items()}


def resolve_entities(graph: MultimodalGraph, given: Entities | Ints) -> Ints:
    """Ids, ascending, of entities of a type, or of those given by label, name or id.

    Raises:
        UnknownLabelError: no entity is of this type, or there is no such entity.
        AmbiguousNameError: several share a name.
        ConfigError: no entity is given.
    """
    if isinstance(given, str):
        found = [i for i, kind in enumerate(graph.entity_types) if kind == given]
        if not found:
            kinds = sorted(set(filter(None, graph.entity_types)))
            meant = suggest_near_misses(given, kinds) or (
                f"; there are {shorten(', '.join(kinds), 200)}" if kinds else "; it has no types"
            )
            raise UnknownLabelError(f"{graph.name} has no entities of the type {given!r}{meant}")
    elif not isinstance(given, Iterable):
        raise ConfigError(f"{given!r}: expected a type of entities, or a list of them")
    else:
        found = [graph.find_entity(name) for name in given]
    if not found:
        raise ConfigError("no entities are given; expected a type or a list that has some")
    return np.unique(np.array(found, dtype=np.int64))
