"""1-N queries from sparse positives: every query carries all of its training answers at once.

Batches are made on the host: a few thousand numbers, while a GPU works on the batch before. Made on
the GPU they would have sizes that the host has to wait for.

Shapes: F facts, Q distinct queries, B queries of a batch, P positives of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.runtime import upload


@dataclass(frozen=True, kw_only=True)
class QueryBatch:
    """B queries and their positives, queries of one relation side by side.

    Args:
        heads: [B] entity ids.
        relations: [B] relation ids, ascending, up to 2R - 1.
        rows: [P] which query of the batch a positive belongs to.
        answers: [P] entity ids, ascending: a block of candidates is a slice of the positives.
    """

    heads: Tensor
    relations: Tensor
    rows: Tensor
    answers: Tensor

    def __len__(self) -> int:
        return len(self.heads)

    def to(self, device: torch.device) -> QueryBatch:
        """This batch with its tensors on ``device``."""
        return QueryBatch(
            heads=upload(self.heads, device),
            relations=upload(self.relations, device),
            rows=upload(self.rows, device),
            answers=upload(self.answers, device),
        )


class TrainingQueries:
    """All distinct queries of a set of facts, in both directions, with their answers (CSR).

    Args:
        facts: [F, 3] head, relation, tail.
        num_relations: R; the reciprocal of r is r + R.
    """

    def __init__(self, facts: NDArray[np.int64], num_relations: int) -> None:
        forward = torch.from_numpy(np.ascontiguousarray(facts))
        reverse = forward.flip(1)
        reverse[:, 1] += num_relations
        triples = torch.cat([forward, reverse])  # [2F, 3] query entity, relation, answer
        keys = triples[:, 0] * (2 * num_relations) + triples[:, 1]
        keys, order = torch.sort(keys, stable=True)
        distinct, counts = torch.unique_consecutive(keys, return_counts=True)
        self.heads = torch.div(distinct, 2 * num_relations, rounding_mode="floor")  # [Q]
        self.relations = distinct % (2 * num_relations)  # [Q]
        self.counts = counts  # [Q]
        self.starts = torch.cumsum(counts, 0) - counts  # [Q]
        self.answers = triples[order, 2]  # [2F]

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
        counts = self.counts[chosen]
        rows = torch.repeat_interleave(counts)  # [P]
        offsets = torch.cumsum(counts, 0) - counts
        within = torch.arange(len(rows)) - offsets[rows]
        answers = self.answers[self.starts[chosen][rows] + within]
        answers, order = torch.sort(answers, stable=True)
        return QueryBatch(
            heads=self.heads[chosen],
            relations=self.relations[chosen],
            rows=rows[order],
            answers=answers,
        )
