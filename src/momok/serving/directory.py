"""Entities and relations of a served graph, as clients name them.

A client names an entity by its label, or by its display name where only one has it. In addresses a
long label is named by its digest (``sha256-...``), since a label may be longer than an address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

from momok.errors import AmbiguousNameError, UnknownLabelError
from momok.graph import MultimodalGraph, Vocabulary
from momok.serving.entity_search import NameIndex

__all__ = ["Directory", "make_reference"]

_LONG = 300  # characters of a label in an address; 9 times as many bytes at the worst
_DIGEST = "sha256-"
_SHOWN = 120  # characters of an unknown label that a message repeats
_LISTED = 8  # labels that share a name


class Directory:
    """Finds entities and relations by what clients send."""

    def __init__(self, graph: MultimodalGraph) -> None:
        self.graph = graph
        self.names = NameIndex(graph)
        self._long = {
            make_reference(label): position
            for position, label in enumerate(graph.entities.labels)
            if len(label) > _LONG
        }
        self._long_relations = {
            make_reference(label): position
            for position, label in enumerate(graph.relations.labels)
            if len(label) > _LONG
        }

    def find_entity(self, text: str) -> int:
        """The id of an entity by label, reference or display name in any case.

        Raises:
            UnknownLabelError: nothing has this label or name; near misses are suggested.
            AmbiguousNameError: several entities share the name.
        """
        labels = self.graph.entities
        if text in labels:
            return labels.index(text)
        if text in self._long:
            return self._long[text]
        same = self._entities_by_name.get(text.casefold(), [])
        if len(same) == 1:
            return same[0]
        if same:
            listed = ", ".join(_shorten(labels.labels[i]) for i in same[:_LISTED])
            more = f" and {len(same) - _LISTED} more" if len(same) > _LISTED else ""
            raise AmbiguousNameError(
                f"{_shorten(text)!r} names {len(same)} entities; give a label: {listed}{more}"
            )
        near = [repr(_shorten(hit.text)) for hit in self.names.search_like(text, 3)]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownLabelError(f"there is no entity {_shorten(text)!r}{hint}")

    def find_relation(self, text: str) -> int:
        """The id of a relation by label, reference or display name in any case.

        Raises:
            UnknownLabelError: nothing has this label or name.
            AmbiguousNameError: several relations share the name.
        """
        labels = self.graph.relations
        if text in labels:
            return labels.index(text)
        if text in self._long_relations:
            return self._long_relations[text]
        same = self._relations_by_name.get(text.casefold(), [])
        if len(same) == 1:
            return same[0]
        if same:
            listed = ", ".join(_shorten(labels.labels[i]) for i in same[:_LISTED])
            raise AmbiguousNameError(
                f"{_shorten(text)!r} names {len(same)} relations; give a label: {listed}"
            )
        raise UnknownLabelError(f"there is no relation {_shorten(text)!r}")

    @staticmethod
    def reference(label: str) -> str:
        """How a label is written in an address."""
        return make_reference(label)

    def title(self, entity: int) -> str:
        """The name of an entity, with its label where others share the name."""
        name, label = self.graph.entity_names[entity], self.graph.entities.labels[entity]
        shared = len(self._entities_by_name[name.casefold()]) > 1
        return f"{name} ({label})" if shared else name

    @cached_property
    def _entities_by_name(self) -> dict[str, list[int]]:
        return _group(self.graph.entity_names, self.graph.entities)

    @cached_property
    def _relations_by_name(self) -> dict[str, list[int]]:
        return _group(self.graph.relation_names, self.graph.relations)


def make_reference(label: str) -> str:
    """How a label is written in an address: itself, or its digest where it is long."""
    if len(label) <= _LONG:
        return label
    return _DIGEST + hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()


def _group(names: Sequence[str], vocabulary: Vocabulary) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for position in range(len(vocabulary)):
        groups.setdefault(names[position].casefold(), []).append(position)
    return groups


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
