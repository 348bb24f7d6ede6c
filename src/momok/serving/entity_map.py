"""The map of entities as a page draws it: places, names, and groups to be coloured.

Shapes: n entities on the map, N entities, R relations.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from momok.arrays import Ints
from momok.console import shorten_middle
from momok.graph import MultimodalGraph
from momok.prediction import Predictor
from momok.prediction.entity_map import EntityMap, load_map
from momok.serving.entity_search import make_reference
from momok.serving.schemas import MapAnswer

MOST_GROUPS = 10  # with a colour of their own
_REST, _NO_FACTS = "other", "without facts"
_LONGEST = 120  # characters of a name


@dataclass(frozen=True, eq=False)
class ServedMap:
    """A map and what is sent of it.

    Attributes:
        found: places.
        answer: for the page's script.
        content: the same as JSON.
    """

    found: EntityMap
    answer: MapAnswer
    content: bytes

    def find_nearest(self, entity: int, count: int) -> list[int] | None:
        """The entities that lie nearest to one on the map; None where it is not on it."""
        places = np.flatnonzero(self.found.entities == entity)
        if not len(places):
            return None
        apart = ((self.found.points - self.found.points[places[0]]) ** 2).sum(axis=1)
        order = np.argsort(apart, kind="stable")
        return [int(i) for i in self.found.entities[order] if i != entity][:count]


class MapShelf:
    """The map of a run: read when it is asked for, and again when its file has changed."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._path = predictor.run.path / "results" / "map.json"
        self._held: tuple[int, ServedMap] | None = None

    def open(self) -> ServedMap | None:
        """The map; None where none was made.

        Raises:
            RunError: it is damaged, or of another checkpoint.
        """
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            return None
        held = self._held
        if held is None or held[0] != stamp:
            found = load_map(self._predictor.scorer)
            if found is None:
                return None
            answer = _describe(self._predictor.graph, found)
            held = stamp, ServedMap(found, answer, answer.model_dump_json().encode())
            self._held = held
        return held[1]


def _describe(graph: MultimodalGraph, found: EntityMap) -> MapAnswer:
    names, by_type = group_entities(graph)
    counts = Counter(names[entity] for entity in found.entities.tolist())
    groups = [name for name, _ in counts.most_common(MOST_GROUPS)]
    numbers = {name: number for number, name in enumerate(groups)}
    chosen = [numbers.get(names[entity], MOST_GROUPS) for entity in found.entities.tolist()]
    if len(counts) > MOST_GROUPS:
        groups.append(_REST)
    labels = graph.entities.labels
    return MapAnswer(
        method=str(found.about["method"]),
        by_type=by_type,
        groups=[shorten_middle(name, _LONGEST) for name in groups],
        references=[make_reference(labels[entity]) for entity in found.entities.tolist()],
        names=[shorten_middle(graph.title(entity), _LONGEST) for entity in found.entities.tolist()],
        group=chosen,
        x=found.points[:, 0].tolist(),
        y=found.points[:, 1].tolist(),
    )


def group_entities(graph: MultimodalGraph) -> tuple[list[str], bool]:
    """What each entity is to be coloured by: [N] types, or else its commonest role in facts."""
    if any(graph.entity_types):
        return [kind or "no type" for kind in graph.entity_types], True
    R, index = graph.num_relations, graph.fact_index
    heads, relations, tails = index.facts.T
    roles = np.concatenate([relations, relations + R])
    best = _find_commonest(np.concatenate([heads, tails]), roles, graph.num_entities)
    names = [f"{name} → ?" for name in graph.relation_names]
    names += [f"? → {name}" for name in graph.relation_names]
    return [_NO_FACTS if role < 0 else names[role] for role in best.tolist()], False


def _find_commonest(entities: Ints, roles: Ints, num_entities: int) -> Ints:
    """The commonest role of each entity [N]; -1 where it has none."""
    pairs, counts = np.unique(np.stack([entities, roles]), axis=1, return_counts=True)
    best = np.full(num_entities, -1, dtype=np.int64)
    order = np.argsort(counts, kind="stable")  # the last one written is the commonest
    best[pairs[0, order]] = pairs[1, order]
    return best
