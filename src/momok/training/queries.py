"""1-N queries from sparse positives: every query carries all of its training answers at once.

Batches are made on the host: a few thousand numbers, while a GPU works on the batch before. Made on
the GPU they would have sizes that the host has to wait for.

Facts that people have rejected are negatives of the queries that ask for them; where no train fact
answers such a query, it is not asked. Facts may have weights, how much each counts in the loss; in
both of its queries alike.

Shapes: F facts, Q distinct queries, B queries of a batch, P positives of a batch, S
rejected answers of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Floats
from momok.graph.triples import Triples
from momok.runtime import upload

_LEAST = 1e-30  # of the mean weight: sums over a batch, and their inverses, stay finite in float32


@dataclass(frozen=True, kw_only=True)
class QueryBatch:
    """B queries and their positives, queries of one relation side by side.

    Args:
        heads: [B] entity ids.
        relations: [B] relation ids, ascending, up to 2R - 1.
        rows: [P] which query of the batch a positive belongs to.
        answers: [P] entity ids, ascending: a block of candidates is a slice of the positives.
        rejected_rows: [S] which query of the batch a rejected answer belongs to.
        rejected: [S] entity ids, ascending; None where no fact of the graph was rejected.
        weights: [P] how often a positive counts, 1 on average over all facts; None where all count
            the same.
    """

    heads: Tensor
    relations: Tensor
    rows: Tensor
    answers: Tensor
    rejected_rows: Tensor | None = None
    rejected: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def total(self) -> float:
        """How many positives there are, each counted by its weight."""
        return float(len(self.rows) if self.weights is None else self.weights.sum())

    def to(self, device: torch.device) -> QueryBatch:
        """This batch with its tensors on ``device``."""
        return QueryBatch(
            heads=upload(self.heads, device),
            relations=upload(self.relations, device),
            rows=upload(self.rows, device),
            answers=upload(self.answers, device),  # rejected ones are candidates, which go apart
            weights=None if self.weights is None else upload(self.weights, device),
        )


class TrainingQueries:
    """All distinct queries of a set of facts, in both directions, with their answers (CSR).

    Args:
        facts: [F, 3] head, relation, tail.
        num_relations: R; the reciprocal of r is r + R.
        rejected: facts that are no facts, [n, 3].
        weights: [F], above 0; only their ratios count.
    """

    def __init__(
        self,
        facts: Triples,
        num_relations: int,
        rejected: Triples | None = None,
        *,
        weights: Floats | None = None,
    ) -> None:
        triples = _ask_both_ways(facts, num_relations)
        keys = triples[:, 0] * (2 * num_relations) + triples[:, 1]
        keys, order = torch.sort(keys, stable=True)
        distinct, counts = torch.unique_consecutive(keys, return_counts=True)
        self.heads = torch.div(distinct, 2 * num_relations, rounding_mode="floor")  # [Q]
        self.relations = distinct % (2 * num_relations)  # [Q]
        self.counts = counts  # [Q]
        self.starts = torch.cumsum(counts, 0) - counts  # [Q]
        self.answers = triples[order, 2]  # [2F]
        self.rejected: _Lists | None = None
        if rejected is not None and len(rejected):
            wrong = _ask_both_ways(rejected, num_relations)
            keys = wrong[:, 0] * (2 * num_relations) + wrong[:, 1]
            self.rejected = _Lists.sort(keys, wrong[:, 2], distinct)
        self.weights: Tensor | None = None  # [2F] float64, with mean 1
        if weights is not None and (weights != weights[0]).any():
            relative = torch.from_numpy(weights / weights.max())
            self.weights = (relative / relative.mean()).clamp_min(_LEAST).repeat(2)[order]

    def __len__(self) -> int:
        return len(self.heads)

    def num_batches(self, batch_size: int) -> int:
        """How many batches an epoch has."""
        return max(1, -(-len(self) // batch_size) - (len(self) % batch_size == 1))

    def permutation(self, generator: torch.Generator) -> Tensor:
        """The order of one epoch's queries: [Q]."""
        return torch.randperm(len(self), generator=generator)

    def batches(self, order: Tensor, batch_size: int, start: int = 0) -> Iterator[QueryBatch]:
        """The batches of an epoch from number ``start``; a last batch of one query joins the one
        before.

        Batch norm has no variance over a single query.
        """
        count = self.num_batches(batch_size)
        for index in range(start, count):
            last = index == count - 1
            yield self.batch(order[index * batch_size : None if last else (index + 1) * batch_size])

    def batch(self, chosen: Tensor) -> QueryBatch:
        """The batch of the queries ``chosen`` [B]."""
        chosen = chosen[torch.argsort(self.relations[chosen], stable=True)]
        rows, places = _expand(self.counts[chosen], self.starts[chosen])
        answers, order = torch.sort(self.answers[places], stable=True)
        rejected: dict[str, Tensor] = {}
        if self.rejected is not None:
            rejected = self.rejected.of(chosen)
        return QueryBatch(
            heads=self.heads[chosen],
            relations=self.relations[chosen],
            rows=rows[order],
            answers=answers,
            weights=None if self.weights is None else self.weights[places[order]],
            **rejected,
        )


@dataclass(frozen=True)
class _Lists:
    """Rejected answers of all queries.

    Args:
        counts, starts: [Q] how many answers a query has, and where they begin.
        answers: of all queries, one after the other.
    """

    counts: Tensor
    starts: Tensor
    answers: Tensor

    @staticmethod
    def sort(keys: Tensor, answers: Tensor, distinct: Tensor) -> _Lists:
        """Answers by the keys of their queries; those of other keys than ``distinct`` [Q] fall."""
        place = torch.searchsorted(distinct, keys).clamp_max_(len(distinct) - 1)
        found = distinct[place] == keys
        place, order = torch.sort(place[found], stable=True)
        counts = torch.bincount(place, minlength=len(distinct))
        return _Lists(counts, torch.cumsum(counts, 0) - counts, answers[found][order])

    def of(self, chosen: Tensor) -> dict[str, Tensor]:
        """The fields of the batch of the queries ``chosen`` [B]."""
        rows, places = _expand(self.counts[chosen], self.starts[chosen])
        answers, order = torch.sort(self.answers[places], stable=True)
        return {"rejected_rows": rows[order], "rejected": answers}


def _ask_both_ways(facts: Triples, num_relations: int) -> Tensor:
    """Facts [F, 3] as query entity, relation and answer, then backwards: [2F, 3]."""
    forward = torch.from_numpy(np.ascontiguousarray(facts))
    reverse = forward.flip(1)
    reverse[:, 1] += num_relations
    return torch.cat([forward, reverse])


def _expand(counts: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """The row and the place of every answer of a batch's queries [B]: two of [P]."""
    rows = torch.repeat_interleave(counts)
    offsets = torch.cumsum(counts, 0) - counts
    return rows, starts[rows] + torch.arange(len(rows)) - offsets[rows]
