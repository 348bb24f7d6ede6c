"""A scorer made of given vectors, and every score of it by plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.evaluation.pooling import Terms, choose_pooling, collect_terms
from momok.graph import MultimodalGraph, Vocabulary
from momok.prediction.calibration_record import Calibration
from momok.prediction.scorer import Encoded

Ints = NDArray[np.int64]


class VectorScorer:
    """Knows the vectors of all questions and candidates: what searches need of a ``Scorer``.

    Args:
        graph: N entities, R relations.
        seed: of the vectors.
        whole: whether they are small whole numbers, so that many scores are equal.
        heads: how many decision heads.
        softmax: whether scores are log-probabilities.
        pooled: whether heads then have weights by query, and some candidates evidence.
    """

    def __init__(
        self,
        graph: MultimodalGraph,
        seed: int,
        *,
        whole: bool = False,
        heads: int = 2,
        softmax: bool = False,
        pooled: bool = False,
    ) -> None:
        self.graph = graph
        self.heads = tuple(f"head {number}" for number in range(heads))
        self.memory_budget = 1 << 20
        self.model = SimpleNamespace(device=torch.device("cpu"), softmax=softmax)
        self.pooling = choose_pooling(softmax)
        self.calibration: Calibration | None = None
        N, R, d = graph.num_entities, graph.num_relations, 3
        generator = torch.Generator().manual_seed(seed)

        def make(*shape: int) -> Tensor:
            if whole:
                return torch.randint(-1, 2, shape, generator=generator).float()
            return torch.randn(shape, generator=generator) * 1.5

        self._questions = {head: make(2 * R, N, d) for head in self.heads}
        self._candidates = {head: make(N, d) for head in self.heads}
        if softmax:
            for head, table in self._questions.items():
                normaliser = torch.logsumexp(table @ self._candidates[head].T, dim=2, keepdim=True)
                self._questions[head] = torch.cat([table, -normaliser], dim=2)
                self._candidates[head] = torch.cat([self._candidates[head], torch.ones(N, 1)], 1)
        self.candidates = Encoded(vectors=self._candidates, gates={}, attention=None)
        self._weights = torch.rand(2 * R, N, heads, generator=generator) if pooled else None
        evidence = torch.rand(2 * R, N, N, generator=generator) * 3
        self._evidence = torch.where(
            torch.rand(2 * R, N, N, generator=generator) < 0.2, evidence, 0
        )

    def encode_queries(self, entities: Ints, relations: Ints) -> Encoded:
        found = {head: table[relations, entities] for head, table in self._questions.items()}
        return Encoded(
            vectors=found, gates={}, attention=None, terms=self._find_terms(entities, relations)
        )

    def _find_terms(self, entities: Ints, relations: Ints) -> Terms | None:
        if self._weights is None:
            return None
        evidence = self._evidence[relations, entities]
        rows, columns = evidence.nonzero(as_tuple=True)
        terms = collect_terms(
            self._weights[relations, entities],
            rows.numpy(),
            columns.numpy(),
            evidence[rows, columns],
        )
        constants = -torch.logsumexp(torch.from_numpy(self._totals()[relations, entities]), dim=1)
        return replace(terms, constants=constants)

    def encode_relation(
        self, entities: Ints, relation: int
    ) -> tuple[Mapping[str, Tensor], Terms | None]:
        encoded = self.encode_queries(entities, np.full(len(entities), relation))
        return encoded.vectors, encoded.terms

    def _totals(self) -> NDArray[np.float64]:
        """[2R, N, N]: weighted scores and evidence."""
        assert self._weights is not None
        weights = self._weights.double().numpy()
        parts = [weights[:, :, k, None] * self.logits(head) for k, head in enumerate(self.heads)]
        return np.sum(parts, axis=0) + self._evidence.double().numpy()

    def logits(self, head: str) -> NDArray[np.float64]:
        """[2R, N, N]: relation, entity asked about, candidate."""
        return (self._questions[head].double() @ self._candidates[head].double().T).numpy()

    def answers(self) -> NDArray[np.float64]:
        """[2R, N, N]: the mean of the probabilities over the heads, of a softmax the geometric."""
        if self._weights is not None:
            totals = np.exp(self._totals())
            return totals / totals.sum(axis=2, keepdims=True)
        if self.model.softmax:
            return np.exp(np.mean([self.logits(head) for head in self.heads], axis=0))
        return np.mean([1 / (1 + np.exp(-self.logits(head))) for head in self.heads], axis=0)

    def fact_scores(self, relation: int) -> NDArray[np.float64]:
        """[N, N]: of (head, tail), the lower of the two answers."""
        answers = self.answers()
        return np.minimum(answers[relation], answers[relation + self.graph.num_relations].T)


def make_graph(
    facts: Ints, *, entities: int, relations: int, cut: tuple[int, int]
) -> MultimodalGraph:
    """Facts [n, 3], the first ``cut[0]`` of them for training, up to ``cut[1]`` for validation."""
    return MultimodalGraph(
        name="small",
        entities=Vocabulary(tuple(f"e{i}" for i in range(entities))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(relations))),
        train=facts[: cut[0]],
        valid=facts[cut[0] : cut[1]],
        test=facts[cut[1] :],
    )


def draw_graph(
    seed: int, *, entities: int = 9, relations: int = 2, facts: int = 24
) -> MultimodalGraph:
    """Random facts, each once; half for training, a quarter each for the other splits."""
    cells = entities * relations * entities
    chosen = np.random.default_rng(seed).permutation(cells)[:facts]
    heads, rest = np.divmod(chosen, relations * entities)
    triples = np.stack([heads, *np.divmod(rest, entities)], axis=1).astype(np.int64)
    cut = facts // 2, 3 * facts // 4
    return make_graph(triples, entities=entities, relations=relations, cut=cut)
