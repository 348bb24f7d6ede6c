"""A graph and a model of the size of a test, with whole-number scores and so with many ties."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.graph import MultimodalGraph, Vocabulary

Ints = NDArray[np.int64]


def build_triples(facts: list[tuple[int, int, int]]) -> Ints:
    return np.array(facts, dtype=np.int64).reshape(-1, 3)


def build_graph(
    train: Ints, valid: Ints, test: Ints, num_entities: int, num_relations: int
) -> MultimodalGraph:
    return MultimodalGraph(
        name="small",
        entities=Vocabulary(tuple(f"e{i}" for i in range(num_entities))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(num_relations))),
        train=train,
        valid=valid,
        test=test,
    )


@dataclass
class TableModel:
    """Looks vectors up: queries {head: [2R, N, d]}, candidates {head: [N, d]}."""

    query_tables: dict[str, Tensor]
    candidate_tables: dict[str, Tensor]
    present: dict[str, Tensor]
    training: bool = True
    softmax: bool = False
    encoded: list[tuple[int, int]] = field(default_factory=list)
    candidate_calls: int = 0

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.query_tables)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.present)

    def train(self, mode: bool = True) -> None:
        self.training = mode

    def queries(self, heads: Tensor, relations: Tensor) -> SimpleNamespace:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.encoded += list(zip(heads.tolist(), relations.tolist(), strict=True))
        vectors = {head: table[relations, heads] for head, table in self.query_tables.items()}
        return SimpleNamespace(vectors=vectors)

    def candidates(self, entity_ids: slice | None = None) -> SimpleNamespace:
        assert not self.training
        self.candidate_calls += 1
        some = slice(None) if entity_ids is None else entity_ids
        vectors = {head: table[some] for head, table in self.candidate_tables.items()}
        return SimpleNamespace(vectors=vectors)

    def score_all(self, entity: int, relation: int) -> dict[str, list[float]]:
        return {
            head: (self.candidate_tables[head].double() @ table[relation, entity].double()).tolist()
            for head, table in self.query_tables.items()
        }


def build_model(
    num_entities: int,
    num_relations: int,
    *,
    heads: tuple[str, ...] = ("structure", "joint"),
    width: int = 3,
    seed: int = 0,
) -> TableModel:
    """Vectors of zeros and ones: scores are whole numbers from 0 to ``width``.

    With two heads, sums of sigmoids of such scores tie in float32 exactly where they tie in
    float64 (only for equal pairs of scores).
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randint(2, shape, generator=generator).float()

    return TableModel(
        query_tables={head: draw(2 * num_relations, num_entities, width) for head in heads},
        candidate_tables={head: draw(num_entities, width) for head in heads},
        present={
            "structure": torch.ones(num_entities, dtype=torch.bool),
            "image": draw(num_entities).bool(),
        },
    )
