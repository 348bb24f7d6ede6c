"""Which entities a batch is scored against, in blocks: all of them, or a sample.

The 1-N loss is a sum over all N entities. A sample keeps every answer of the batch and draws m of
the others at random, the same for all queries of the batch; each of those stands for
``(N - answers) / m`` entities, so that loss and gradients are those of all candidates on average.
A step then costs as much for a million entities as for ten thousand.

Shapes: B queries, N entities, n of them in a block, P positives of the batch, p of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from momok.model import MoMoK
from momok.runtime import upload
from momok.shard import Shard
from momok.training.queries import QueryBatch

_LARGEST_ON_CPU = 2048  # more is slower: the numbers of a block no longer fit the cache (measured)
_SMALLEST = 16


@dataclass(frozen=True, kw_only=True)
class CandidateBlock:
    """Some candidates, and where the batch's positives lie among them.

    Args:
        ids: entity ids: a slice of all of them, or [n].
        size: n.
        rows: [p] the query of a positive.
        columns: [p] its candidate, counted within the block; ascending.
        first: the number of its first positive among those of the batch.
        counts: [p] how often a positive counts; None where each counts once.
        weight: how many entities a candidate stands for.
        summed: whether the candidates are scored for every query, not only for those that they
            answer.
        rejected: whether its "positives" are rejected answers, negatives of their queries.
    """

    ids: slice | Tensor
    size: int
    rows: Tensor
    columns: Tensor
    first: int = 0
    counts: Tensor | None = None
    weight: float = 1.0
    summed: bool = True
    rejected: bool = False

    @property
    def positives(self) -> slice:
        """Where its positives are among those of the batch."""
        return slice(self.first, self.first + len(self.columns))

    def to(self, device: torch.device) -> CandidateBlock:
        """This block with its tensors on ``device``."""
        return replace(
            self,
            ids=self.ids if isinstance(self.ids, slice) else upload(self.ids, device),
            rows=upload(self.rows, device),
            columns=upload(self.columns, device),
            counts=None if self.counts is None else upload(self.counts, device),
        )


def choose_block(model: MoMoK, queries: int, memory: int, itemsize: int) -> int:
    """How many candidates of all ``memory`` bytes hold, by what a candidate needs.

    Its scores and their slopes for one head, and what the towers keep for the backward pass: per
    modality the outputs of K experts and of G branches, their inputs and gradients. Measured
    on a CPU at K = 3, G = 2, three modalities of width 256 and 1024 queries: 30 KB in bfloat16, 64
    in float32. Where nothing is compiled, the loss in float32 comes on top.

    Args:
        queries: B.
        itemsize: bytes of a number in products.
    """
    spec = model.spec
    branches = 0 if spec.joint_width is None else spec.branches
    tower = sum(m.width * (2 * spec.experts + 5 * branches + 2) for m in spec.modalities)
    fits = memory // (itemsize * (2 * queries + tower))
    largest = _LARGEST_ON_CPU if model.device.type == "cpu" else spec.num_entities
    return max(_SMALLEST, min(fits, largest))


def all_candidates(batch: QueryBatch, num_entities: int, block: int) -> list[CandidateBlock]:
    """All entities in blocks of at most ``block``."""
    return _split(slice(0, num_entities), num_entities, batch, batch.answers, block)


def sample_candidates(
    batch: QueryBatch,
    num_entities: int,
    block: int,
    negatives: int,
    generator: torch.Generator,
    *,
    beside: bool = False,
) -> list[CandidateBlock]:
    """The batch's answers, then ``negatives`` draws, with replacement, from all other entities.

    A candidate may occur twice: the estimate stays unbiased.

    Args:
        beside: draw from all entities, and have each answer take part in its own queries alone
            (``SampledSoftmax``).
    """
    answers, columns = torch.unique_consecutive(batch.answers, return_inverse=True)
    drawn = torch.randint(num_entities, (negatives,), generator=generator)
    if not beside:
        place = torch.searchsorted(answers, drawn).clamp_max_(len(answers) - 1)
        drawn = drawn[answers[place] != drawn]
    drawn = drawn.sort().values  # neighbours lie side by side in memory
    blocks = _split(answers, len(answers), batch, columns, block, summed=not beside)
    nothing = batch.rows[:0]
    others = num_entities if beside else num_entities - len(answers)
    weight = others / max(len(drawn), 1)
    return blocks + [
        CandidateBlock(ids=ids, size=len(ids), rows=nothing, columns=nothing, weight=weight)
        for ids in (drawn[start : start + block] for start in range(0, len(drawn), block))
    ]


def rejected_candidates(batch: QueryBatch, block: int) -> list[CandidateBlock]:
    """The rejected answers of the batch, each a candidate of its own queries alone."""
    if batch.rejected is None or batch.rejected_rows is None or not len(batch.rejected):
        return []
    ids, columns = torch.unique_consecutive(batch.rejected, return_inverse=True)
    pairs = replace(batch, rows=batch.rejected_rows, answers=batch.rejected, weights=None)
    blocks = _split(ids, len(ids), pairs, columns, block, summed=False)
    return [replace(some, rejected=True) for some in blocks]


def choose_own(blocks: list[CandidateBlock], shard: Shard) -> list[CandidateBlock]:
    """What a rank scores of the batch's candidates: those whose rows it has; one block at least."""
    if shard.whole:
        return blocks
    own = [_cut(block, shard) for block in blocks]
    return [block for block in own if block.size] or own[:1]


def _cut(block: CandidateBlock, shard: Shard) -> CandidateBlock:
    if isinstance(block.ids, slice):
        start, stop, _ = block.ids.indices(shard.entities)
        low, high = (min(max(edge, start), stop) - start for edge in (shard.first, shard.stop))
        ids: slice | Tensor = slice(start + low, start + high)
    else:
        edges = torch.tensor([shard.first, shard.stop])
        low, high = torch.searchsorted(block.ids, edges).tolist()
        ids = block.ids[low:high]
    first, last = torch.searchsorted(block.columns, torch.tensor([low, high])).tolist()
    return replace(
        block,
        ids=ids,
        size=high - low,
        rows=block.rows[first:last],
        columns=block.columns[first:last] - low,
        first=block.first + first,
        counts=None if block.counts is None else block.counts[first:last],
    )


def _split(
    ids: slice | Tensor,
    size: int,
    batch: QueryBatch,
    columns: Tensor,
    block: int,
    *,
    summed: bool = True,
) -> list[CandidateBlock]:
    """Candidates in blocks, each with its part of the positives, whose columns ascend."""
    edges = [*range(0, size, block), size]
    bounds = torch.searchsorted(columns, torch.tensor(edges)).tolist()
    return [
        CandidateBlock(
            ids=slice(start, stop) if isinstance(ids, slice) else ids[start:stop],
            size=stop - start,
            rows=batch.rows[first:last],
            columns=columns[first:last] - start,
            first=first,
            counts=None if batch.weights is None else batch.weights[first:last],
            summed=summed,
        )
        for (start, stop), (first, last) in zip(pairwise(edges), pairwise(bounds), strict=True)
    ]
