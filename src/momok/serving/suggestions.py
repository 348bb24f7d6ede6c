"""Which questions are worth asking about an entity.

A role is one side of a relation: 2R of them. What kind of thing an entity is shows in its roles: of
one that plays for a club it is worth asking where it was born, of one that is a river not. So roles
are proposed that other entities with a role in common have too.

Shapes: N entities, R relations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from momok.graph import MultimodalGraph
from momok.serving.fact_index import FactIndex

__all__ = ["RoleTable"]

_BLOCK = 4096
_MOST_ROLES = 1024  # beyond it, only an entity's own roles are asked about


class RoleTable:
    """How often roles go together: P(role b | role a) over the entities with role a, [2R, 2R]."""

    def __init__(self, graph: MultimodalGraph, facts: FactIndex) -> None:
        self._facts = facts
        roles = 2 * graph.num_relations
        self._popular = np.argsort(
            -np.array([len(facts.answers(_turn(r, roles))) for r in range(roles)])
        )
        self._given: NDArray[np.float64] | None = None
        if roles <= _MOST_ROLES:
            self._given = _count_together(graph.num_entities, roles, facts)

    def propose(self, entity: int, limit: int) -> list[int]:
        """Roles in 0..2R-1, most fitting first: its own and those that go with them."""
        own = self._facts.roles(entity)
        if not len(own):
            return [int(role) for role in self._popular[:limit]]
        if self._given is None:
            return [int(role) for role in own[:limit]]
        fit = self._given[own].max(axis=0)
        order = np.argsort(-fit, kind="stable")[:limit]
        return [int(role) for role in order if fit[role] > 0.0]


def _turn(role: int, roles: int) -> int:
    """The other side's role of the same relation."""
    return (role + roles // 2) % roles


def _count_together(num_entities: int, roles: int, facts: FactIndex) -> NDArray[np.float64]:
    together = np.zeros((roles, roles))
    members = [facts.answers(_turn(role, roles)) for role in range(roles)]
    for start in range(0, num_entities, _BLOCK):
        block = np.zeros((min(_BLOCK, num_entities - start), roles), dtype=np.float32)
        for role, entities in enumerate(members):
            begin, end = np.searchsorted(entities, [start, start + _BLOCK])
            block[entities[begin:end] - start, role] = 1.0
        together += block.T @ block
    return together / np.maximum(np.diag(together)[:, None], 1.0)
