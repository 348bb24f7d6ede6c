"""Which questions about an entity are worth asking.

A role is one side of a relation: 2R of them. What kind of thing an entity is shows in its roles: of
one that plays for a club it is worth asking where it was born, of one that is a river not. So roles
are proposed that other entities with a role in common have too.

Shapes: N entities, R relations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from momok.graph.fact_index import FactIndex

_BLOCK = 4096  # entities
_MOST_ROLES = 1024  # beyond it, only an entity's own roles are asked about


class RoleTable:
    """How often roles go together: P(role b | role a) over the entities with role a, [2R, 2R]."""

    def __init__(self, facts: FactIndex) -> None:
        self._facts = facts
        roles, entities = np.divmod(facts.keys, facts.num_entities)  # a query is a role
        num_roles = 2 * facts.num_relations
        counts = np.bincount(roles, minlength=num_roles)
        self._popular = np.argsort(-counts, kind="stable")
        self._given: NDArray[np.float64] | None = None
        if num_roles <= _MOST_ROLES:
            together = np.zeros((num_roles, num_roles))
            order = np.argsort(entities, kind="stable")
            roles, entities = roles[order], entities[order]
            for start in range(0, facts.num_entities, _BLOCK):
                begin, end = np.searchsorted(entities, [start, start + _BLOCK])
                block = np.zeros((_BLOCK, num_roles), dtype=np.float32)
                block[entities[begin:end] - start, roles[begin:end]] = 1.0
                together += block.T @ block
            self._given = together / np.maximum(counts[:, None], 1)

    def propose(self, entity: int, limit: int) -> list[int]:
        """Roles in 0..2R-1, most fitting first: its own and those that go with them."""
        own = np.unique(self._facts.about(entity)[0])
        if not len(own):
            return [int(role) for role in self._popular[:limit]]
        if self._given is None:
            return [int(role) for role in own[:limit]]
        fit = self._given[own].max(axis=0)
        order = np.argsort(-fit, kind="stable")[:limit]
        return [int(role) for role in order if fit[role] > 0.0]
