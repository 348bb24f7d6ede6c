"""Entities that share a vector or a picture, which then cannot tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momok.graph.doctor.diagnosis import MAX_EXAMPLES, Severity, say_count
from momok.graph.graph import MultimodalGraph

__all__ = ["Sharing", "find_sharing"]

_WARNING_SHARE = 0.1
_NAMED = 3  # entities of each group


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How much is shared.

    Attributes:
        count: entities that share something with another.
        extent: the groups in words.
        examples: the first entities of the largest groups.
    """

    count: int
    extent: str
    examples: tuple[str, ...]

    def grade(self, total: int) -> Severity:
        """Grade by the share of all entities that have the modality."""
        return "warning" if self.count >= _WARNING_SHARE * total else "note"


def find_sharing(
    groups: NDArray[np.int64], entities: NDArray[np.int64], graph: MultimodalGraph
) -> Sharing | None:
    """Find the groups that several entities are in; None where there is no such group.

    Args:
        groups: the group ``[n]`` of each vector or picture, numbered from 0.
        entities: the entity id ``[n]`` of each.
        graph: names the entities.
    """
    keys = np.unique(groups * graph.num_entities + entities)  # each entity once in a group
    groups, entities = np.divmod(keys, graph.num_entities)
    sizes = np.bincount(groups)
    shared = sizes > 1
    if not shared.any():
        return None
    largest = np.argsort(-sizes, kind="stable")[:MAX_EXAMPLES]
    examples = []
    for group in largest[shared[largest]]:
        members = entities[groups == group][:_NAMED]
        more = f" and {sizes[group] - _NAMED:,} more" if sizes[group] > _NAMED else ""
        examples.append(" = ".join(graph.entities.labels[i] for i in members) + more)
    return Sharing(
        count=len(np.unique(entities[shared[groups]])),
        extent=f"{say_count(shared.sum(), 'group')}, the largest of {int(sizes.max()):,}",
        examples=tuple(examples),
    )
