"""What speaks against new facts, read off small graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from momok.graph.fact_index import FactIndex
from momok.serving.contradictions import Contradictions

N = 200


@dataclass
class Facts:
    """As much of a graph as is looked at."""

    train: list[tuple[int, int, int]]
    held_out: list[tuple[int, int, int]] = field(default_factory=list)
    types: dict[int, str] = field(default_factory=dict)
    relations: int = 4

    def contradictions(self) -> Contradictions:
        graph: Any = SimpleNamespace(
            num_relations=self.relations,
            entity_types=[self.types.get(entity, "") for entity in range(N)],
            train_index=FactIndex([np.array(self.train)], N, self.relations),
            fact_index=FactIndex(
                [np.array(part).reshape(-1, 3) for part in (self.train, self.held_out)],
                N,
                self.relations,
            ),
        )
        return Contradictions(graph)


CAPITALS = [(country, 0, 20 + country) for country in range(12)]
RIVERS = [(country, 1, 40 + river) for country in range(12) for river in range(2)]


def test_a_second_answer_contradicts_where_nearly_all_have_one() -> None:
    found = Facts(CAPITALS + RIVERS, held_out=[(13, 0, 50)]).contradictions()

    def known(fact: tuple[int, int, int]) -> list[tuple[int, int, int] | None]:
        return [c.known for c in found.find(fact) if c.kind == "single"]

    assert known((3, 0, 45)) == [(3, 0, 23)]
    assert known((3, 0, 24)) == [(3, 0, 23), (4, 0, 24)]
    assert known((3, 0, 23)) == []
    assert known((13, 0, 45)) == [(13, 0, 50)]  # held out, but known
    assert known((14, 0, 45)) == []
    assert known((3, 1, 49)) == []
    [first] = found.find((3, 0, 45))
    assert first.text == "12 of 12 entities have only one tail in train."
    assert Facts(CAPITALS[:5]).contradictions().find((3, 0, 45)) == []


def test_a_type_that_no_other_entity_of_the_role_has_is_said() -> None:
    train = [(country, 0, 100 + country) for country in range(60)]
    types = dict.fromkeys(range(60), "country") | {100 + n: "city" for n in range(60)}
    found = Facts(train, types=types | {99: "river"}).contradictions()
    [said] = found.find((99, 0, 170))
    assert said.kind == "type"
    assert said.text == (
        "The head is of type “river”: so are 0 of the 60 heads in train; 60 are of type “country”."
    )
    assert [c.kind for c in found.find((59, 0, 170))] == ["single"]
    assert Facts(train[:20], types=types | {99: "river"}).contradictions().find((99, 0, 170)) == []


def test_relations_that_never_hold_between_the_same_two_are_said() -> None:
    pairs = [(a, b) for a in range(8) for b in range(8, 16)]
    parents = [(a, 0, b) for a, b in pairs if (a + b) % 2]
    siblings = [(a, 1, b) for a, b in pairs if not (a + b) % 2]
    friends = [(a, 2, b) for a, b in pairs if (a + b) % 3]
    found = Facts(parents + siblings + friends).contradictions()
    [said] = found.find((0, 0, 8))
    assert (said.kind, said.known) == ("exclusive", (0, 1, 8))
    assert said.text == "No pair has both in train, of 32 that could."
    assert found.find((1, 2, 8)) == []  # friends are parents, too
    few = Facts(parents[:10] + siblings[:10] + friends).contradictions()
    assert few.find((*siblings[0][::2][:1], 0, siblings[0][2])) == []
