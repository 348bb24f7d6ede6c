"""Filtered ranks of the true answers among all entities, in blocks of bounded memory.

Notation: U distinct queries, A answers to rank (a query may have several), N candidates (the
entities), d width of a head's vectors.

Cost per block of queries: one matrix product per head, then passes over tiles of scores that stay
in the processor's cache. Filtering touches only the known answers, by overwriting their scores
with NaN: a comparison with NaN is false, so they count in no rank, whatever their score was.

Candidates that are too many to be kept are ranked in parts: a rank is a sum over parts of how many
are better there. It takes them twice, first for the scores of the true answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints
from momok.errors import TrainingError
from momok.evaluation.blocks import Block, RankedQueries, plan_blocks
from momok.evaluation.pooling import CPU_TILE, MEAN, Pooling, Terms
from momok.evaluation.results import Ranks
from momok.evaluation.scoring import (
    ANSWER,
    DEFAULT_MEMORY_BUDGET,
    MIN_ROWS,
    BlockScorer,
    HeadVectors,
    find_largest_norm,
    full_precision,
)
from momok.shard import Shard

Compare = Callable[..., Tensor]
Progress = Callable[[int], None]
Parts = Callable[[], Iterable[tuple[int, HeadVectors]]]  # each time (first id, vectors)

# Queries in a block. Larger products rank no faster (measured from 128 to 1024 rows), smaller ones
# slower.
_BLOCK_ROWS = 128

# Flags are summed in float32, exact up to 2**24 columns: a tile never has more.
_MAX_TILE_COLUMNS = 1 << 24

# Scores, sum of probabilities, gathered rows and flags: four float32 per query and candidate.
_BYTES_PER_SCORE = 16

# |q . c| <= |q| |c|, partial sums included (Cauchy-Schwarz): below this no score overflows, and a
# score of finite vectors is NaN only after an overflow. Checking norms spares a pass over scores.
_LARGEST_SCORE = 1e38


class AnswerRanker:
    """Ranks true answers among fixed candidates, for every head and for the joint answer.

    ``candidate_vectors`` {head: [N, d]} are on the device where the work is done, in any floating
    type; scores are float32. ``memory_budget`` bounds the bytes of all score buffers, which hold
    at least four queries (vectors and the sparse pairs are not in it); ranks do not depend on it.
    ``first`` is the id of the first candidate where they are a part of all (``rank_in_parts``).

    Raises TrainingError where vectors are not finite or scores would overflow.
    """

    def __init__(
        self,
        candidate_vectors: HeadVectors,
        *,
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
        pooling: Pooling = MEAN,
        first: int = 0,
    ) -> None:
        self._first = first
        self._candidates = {head: v.detach().float() for head, v in candidate_vectors.items()}
        sample = next(iter(self._candidates.values()))
        self.num_candidates = sample.shape[0]
        self.device = sample.device
        self._norms = {head: find_largest_norm(v) for head, v in self._candidates.items()}
        rows = memory_budget // (_BYTES_PER_SCORE * max(self.num_candidates, 1))
        self.block_rows = min(max(rows, MIN_ROWS), _BLOCK_ROWS)
        self._scorer = BlockScorer(pooling)
        size = self.block_rows * self.num_candidates
        if self.device.type == "cpu":
            size = min(size, max(CPU_TILE, self.num_candidates))
        # Flat memory of gathered rows and of flags.
        self._tiles = torch.empty(size, device=self.device), torch.empty(size, device=self.device)

    def rank(
        self, queries: RankedQueries, progress: Progress = lambda _done: None
    ) -> dict[str, Ranks]:
        """Rank every answer among the candidates that are not known answers of its query.

        The ranked answer itself always takes part, its score read from the very matrix it is
        compared with. Returns Ranks [A] under each head and under "answer". ``progress`` is told
        how many queries are done.
        """
        return _name_ranks(self.count(queries, progress=progress), queries.vectors)

    def count(
        self,
        queries: RankedQueries,
        *,
        targets: Tensor | None = None,
        progress: Progress = lambda _done: None,
    ) -> Ints:
        """Count the candidates that come before the answers of ``rank``: [heads + 1, 2, A].

        Counted are those that score strictly higher, and those at least as high, the answer itself
        once in the part where it is. ``targets`` [heads + 1, A] are what ``read`` and
        ``_join_costs`` gave; None takes the answers' values from these candidates.
        """
        counts = np.zeros((len(queries.vectors) + 1, 2, len(queries.answers)), dtype=np.int64)
        vectors = self._prepare(queries.vectors)
        done = 0
        with full_precision():
            for block in self._plan(queries):
                wanted = None if targets is None else targets[:, self._move(block.answer_ids)]
                terms = None if queries.terms is None else queries.terms.select(block.queries)
                counts[:, :, block.answer_ids] = self._rank_block(vectors, block, wanted, terms)
                done += len(block.queries)
                progress(done)
        return counts

    def _rank_block(
        self, vectors: HeadVectors, block: Block, targets: Tensor | None, terms: Terms | None
    ) -> Ints:
        """Return [heads + 1, 2, a], the counts of the block's answers."""
        found: list[Tensor] = []

        def compare(values: Tensor, *comparisons: Compare) -> None:
            wanted = None if targets is None else targets[len(found)]
            found.append(self._compare(values, wanted, block, comparisons))

        chosen = {head: queries[block.queries] for head, queries in vectors.items()}
        total = self._scorer.score(
            chosen,
            self._candidates,
            lambda _head, costs: compare(costs, torch.lt, torch.le),
            terms=terms,
            first=self._first,
        )
        compare(total, torch.gt, torch.ge)
        return torch.stack(found).cpu().numpy()

    def _compare(
        self,
        values: Tensor,
        targets: Tensor | None,
        block: Block,
        comparisons: tuple[Compare, ...],
    ) -> Tensor:
        """Return [2, a]: how many of ``values`` [b, N] are better than the targets [a], or as good.

        Leaves NaN at the known answers that are not ranked themselves.
        """
        flat = values.view(-1)
        own = flat[block.answer_cells]
        if block.excluded is not None:
            values.masked_fill_(block.excluded, torch.nan)
        flat[block.known_cells] = torch.nan
        filtered_itself = flat[block.answer_cells].isnan()
        counts = self._count(values, own if targets is None else targets, block, comparisons)
        # An answer that the filter does not have is still in its row, where it equals itself.
        counts[1].index_add_(0, block.here, filtered_itself.long())
        flat[block.answer_cells] = own
        return counts

    def _count(
        self, values: Tensor, targets: Tensor, block: Block, comparisons: tuple[Compare, ...]
    ) -> Tensor:
        """Return [2, a]: for how many values of its row each comparison with the target holds."""
        width = values.shape[1]
        gathered, all_flags = self._tiles
        tile_rows = max(1, len(gathered) // width)
        counts = torch.zeros(2, len(targets), dtype=torch.int64, device=values.device)
        starts = [
            *range(0, block.num_single, tile_rows),
            *range(block.num_single, len(targets), tile_rows),
        ]
        for start, stop in pairwise([*starts, len(targets)]):
            if stop <= block.num_single:
                tile = values[start:stop]
            else:
                tile = gathered[: (stop - start) * width].view(stop - start, width)
                torch.index_select(values, 0, block.answer_rows[start:stop], out=tile)
            for part in torch.split(tile, _MAX_TILE_COLUMNS, dim=1):
                flags = all_flags[: part.numel()].view(part.shape)
                for count, compare in zip(counts, comparisons, strict=True):
                    compare(part, targets[start:stop, None], out=flags)
                    count[start:stop] += flags.sum(dim=1).long()
        return counts

    def read(self, queries: RankedQueries, into: Tensor) -> None:
        """Write the negated scores of the answers that are among these candidates [heads, A].

        From products of the shapes that ``count`` takes, so that they are the same to the bit.
        """
        vectors = self._prepare(queries.vectors)
        with full_precision():
            for block in self._plan(queries):
                columns = self._move(block.answer_ids)[block.here]
                for row, (head, values) in enumerate(vectors.items()):
                    chosen = values[block.queries]
                    costs = self._scorer.compute_costs(chosen, self._candidates[head])
                    into[row, columns] = costs.view(-1)[block.answer_cells]

    def _prepare(self, vectors: HeadVectors) -> dict[str, Tensor]:
        """Check that scores will be finite; give the vectors in float32."""
        prepared = {head: queries.detach().float() for head, queries in vectors.items()}
        for head, queries in prepared.items():
            # Written so that NaN fails it.
            if not find_largest_norm(queries) * self._norms[head] < _LARGEST_SCORE:
                raise TrainingError(
                    f"the scores of head '{head}' are not finite: the model gave vectors with NaN "
                    "or values that overflow, so ranks would mean nothing. Training diverged or "
                    "the checkpoint is damaged: use an earlier one or lower the learning rate"
                )
        return prepared

    def _plan(self, queries: RankedQueries) -> Iterator[Block]:
        return plan_blocks(
            queries,
            rows=self.block_rows,
            first=self._first,
            num_candidates=self.num_candidates,
            device=self.device,
        )

    def _move(self, values: Ints) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def rank_in_parts(
    queries: RankedQueries,
    parts: Parts,
    *,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    pooling: Pooling = MEAN,
    shard: Shard | None = None,
) -> dict[str, Ranks]:
    """Rank as ``AnswerRanker.rank`` does, with the candidates of one part in memory at a time.

    ``parts`` is called twice; each time it gives all candidates, in order: the id of the first of
    a part and its vectors per head [n, d]. With ``shard`` they are this rank's, and all ranks rank
    the same queries.
    """
    heads = queries.vectors
    device = next(iter(heads.values())).device
    costs = torch.zeros(len(heads), len(queries.answers), device=device)
    for first, vectors in parts():
        AnswerRanker(vectors, memory_budget=memory_budget, first=first).read(queries, into=costs)
        del vectors  # the next ones take their memory
    if shard is not None:
        shard.sum_(costs)
    targets = torch.cat([costs, _join_costs(costs, queries, pooling).unsqueeze(0)])
    counts = np.zeros((len(targets), 2, len(queries.answers)), dtype=np.int64)
    for first, vectors in parts():
        ranker = AnswerRanker(vectors, memory_budget=memory_budget, pooling=pooling, first=first)
        counts += ranker.count(queries, targets=targets)
        del ranker, vectors
    if shard is not None:
        shard.sum_(torch.from_numpy(counts))
    return _name_ranks(counts, heads)


def _join_costs(costs: Tensor, queries: RankedQueries, pooling: Pooling) -> Tensor:
    """What ranks like the answer, from the costs of its heads [heads, A], as in a block."""
    total, terms = torch.empty_like(costs[0]), queries.terms
    answers, rows = (
        torch.from_numpy(x).to(costs.device) for x in (queries.answers, queries.answer_rows)
    )
    for position, cost in enumerate(costs):
        weight = 1 / len(costs) if terms is None else terms.weights[rows, position]
        pooling.add(total, cost.clone(), weight, first=position == 0)
    if terms is not None:
        # each answer alone in a row of one, in the type and order in which a block adds them
        total += terms.find_evidence(rows, answers).to(total.dtype)
        total += terms.constants[rows].to(total.dtype)
    return total


def _name_ranks(counts: Ints, heads: Iterable[str]) -> dict[str, Ranks]:
    """Ranks per head and of the answer from counts [heads + 1, 2, A]."""
    return {
        head: Ranks(optimistic=better + 1, pessimistic=as_good)
        for head, (better, as_good) in zip((*heads, ANSWER), counts, strict=True)
    }
