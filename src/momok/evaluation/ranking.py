"""Filtered ranks of the true answers among all entities, in blocks of bounded memory.

Notation: U distinct queries, A answers to rank (a query may have several), N candidates (the
entities), d width of a head's vectors.

Cost per block of queries: one matrix product per head, then passes over tiles of scores that stay
in the processor's cache. Filtering touches only the known answers, by overwriting their scores
with NaN: a comparison with NaN is false, so they count in no rank, whatever their score was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.errors import ConfigError, TrainingError
from momok.model.votes import ABSTAINED

__all__ = [
    "ANSWER",
    "DEFAULT_MEMORY_BUDGET",
    "AnswerRanker",
    "Ranks",
    "rank_answers",
]

Ints = NDArray[np.int64]
Compare = Callable[..., Tensor]

ANSWER = "answer"  # the name of the mean over heads of sigmoid(score), beside the heads' own names
DEFAULT_MEMORY_BUDGET = 256 << 20  # bytes

# A tile of float32 scores and its comparison flags (1 MB each) fit the L2 cache of two cores.
# Flags are summed in float32, exact up to 2**24 columns: a tile never has more.
_CPU_TILE = 1 << 18
_MAX_TILE_COLUMNS = 1 << 24

# Scores, sum of probabilities, gathered rows and flags: four float32 per query and candidate.
_BYTES_PER_SCORE = 16

# Larger than any score of a head that votes, smaller than the cost of one that abstains.
_NO_VOTE = -ABSTAINED / 10

# A product of one row takes another BLAS path (matrix-vector), where equal candidates were seen to
# get scores that differ in the last bit with their position; a tie would then depend on the block.
_MIN_ROWS = 2

# |q . c| <= |q| |c|, partial sums included (Cauchy-Schwarz): below this no score overflows, and a
# score of finite vectors is NaN only after an overflow. Checking norms spares a pass over scores.
_LARGEST_SCORE = 1e38


@dataclass(frozen=True)
class Ranks:
    """Filtered ranks [A] of true answers, by tie rule.

    ``optimistic`` (int64): one more than the candidates that score strictly higher.
    ``pessimistic`` (int64): the same and the other candidates that score exactly as high.
    ``realistic`` (float64): their mean, the expected rank when ties are in random order.
    """

    optimistic: Ints
    pessimistic: Ints

    @property
    def realistic(self) -> NDArray[np.float64]:
        """The mean of the optimistic and the pessimistic rank."""
        return (self.optimistic + self.pessimistic) / 2.0


@contextmanager
def _full_precision() -> Iterator[None]:
    """Compute in true float32: no TF32 or bfloat16 products, and no autograd.

    Autocast leaves products with a given output alone, so nothing needs to be said about it.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class _Buffers:
    """Score memory, kept between blocks: fresh pages cost more than the arithmetic on them."""

    costs: Tensor  # [b, N] negated scores of one head
    total: Tensor  # [b, N] sum over heads of sigmoid(score)
    votes: Tensor | None  # [b, N] how many heads vote, where some abstain
    gathered: Tensor  # flat tile: score rows repeated for queries with several answers
    flags: Tensor  # flat tile: outcomes of comparisons, 0.0 or 1.0


@dataclass(frozen=True)
class _Block:
    """Some queries, their answers to rank and their known answers; rows are local to the block."""

    queries: Tensor  # [b] rows of the query vectors
    num_single: int  # answer i belongs to row i for i < num_single
    answer_ids: Ints  # [a] where the ranks belong in the result
    answer_rows: Tensor  # [a]
    answer_cells: Tensor  # [a] positions in the flat block of scores
    known_cells: Tensor  # positions of known answers in it


class AnswerRanker:
    """Ranks true answers among fixed candidates, for every head and for the joint answer.

    ``candidate_vectors`` {head: [N, d]} are on the device where the work is done, in any floating
    type; scores are float32. Heads may abstain (momok.model.votes): the joint answer is the mean
    over those that vote, and candidates on which a head does not vote are its last, as ties.
    ``memory_budget`` bounds the bytes of all score buffers (vectors and the sparse pairs are not
    in it); ranks do not depend on it.

    Raises ConfigError where the budget cannot hold the scores of two queries, TrainingError where
    vectors are not finite or scores would overflow.
    """

    def __init__(
        self,
        candidate_vectors: Mapping[str, Tensor],
        *,
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
    ) -> None:
        self._candidates = {head: v.detach().float() for head, v in candidate_vectors.items()}
        sample = next(iter(self._candidates.values()))
        self.num_candidates = sample.shape[0]
        self.device = sample.device
        self._norms = {head: _largest_norm(v) for head, v in self._candidates.items()}
        self._abstentions = max(self._norms.values()) >= _NO_VOTE
        row_bytes = (_BYTES_PER_SCORE + 4 * self._abstentions) * self.num_candidates
        self.block_rows = memory_budget // row_bytes
        if self.block_rows < _MIN_ROWS:
            raise ConfigError(
                f"a memory budget of {memory_budget} bytes is too small for evaluation: the scores "
                f"of {self.num_candidates} candidates need at least {_MIN_ROWS * row_bytes}"
            )
        self._buffers: _Buffers | None = None

    def rank(
        self,
        query_vectors: Mapping[str, Tensor],
        *,
        answer_rows: Ints,
        answers: Ints,
        known: tuple[Ints, Ints],
    ) -> dict[str, Ranks]:
        """Rank every answer among the candidates that are not known answers of its query.

        ``query_vectors`` {head: [U, d]}; ``answers`` [A] candidate ids and ``answer_rows`` [A] the
        queries they answer; ``known`` (rows, ids) as SparseFilter.lookup returns it. The ranked
        answer itself always takes part, its score read from the very matrix it is compared with.
        Returns Ranks [A] under each head and under "answer".
        """
        vectors = {head: v.detach().float() for head, v in query_vectors.items()}
        self._check_scores_finite(vectors)
        counted = {head: np.empty((2, len(answers)), dtype=np.int64) for head in (*vectors, ANSWER)}
        num_queries = next(iter(vectors.values())).shape[0]
        with _full_precision():
            for block in self._plan(num_queries, answer_rows, answers, known):
                ranks = self._rank_block(vectors, block).cpu().numpy()  # [heads + 1, 2, a]
                for result, counts in zip(counted.values(), ranks, strict=True):
                    result[:, block.answer_ids] = counts
        return {head: Ranks(*counts) for head, counts in counted.items()}

    def _check_scores_finite(self, vectors: Mapping[str, Tensor]) -> None:
        for head, queries in vectors.items():
            # Written so that NaN fails it.
            if not _largest_norm(queries) * self._norms[head] < _LARGEST_SCORE:
                raise TrainingError(
                    f"the scores of head '{head}' are not finite: the model gave vectors with NaN "
                    "or values that overflow, so ranks would mean nothing. Training diverged or "
                    "the checkpoint is damaged: use an earlier one or lower the learning rate"
                )

    def _plan(
        self, num_queries: int, answer_rows: Ints, answers: Ints, known: tuple[Ints, Ints]
    ) -> Iterator[_Block]:
        """Cut the queries into blocks, those with exactly one answer first.

        Their answers are compared with the score matrix as it lies; the others need their row
        gathered once per answer.
        """
        single = np.bincount(answer_rows, minlength=num_queries) == 1
        order = np.argsort(~single, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(num_queries)
        rows, ids = _sort_by_row(place[answer_rows])
        known_rows, known_ids = _sort_by_row(place[known[0]])
        for start in range(0, num_queries, self.block_rows):
            stop = min(start + self.block_rows, num_queries)
            mine = slice(*np.searchsorted(rows, [start, stop]))
            theirs = slice(*np.searchsorted(known_rows, [start, stop]))
            local = rows[mine] - start
            known_cells = (known_rows[theirs] - start) * self.num_candidates
            yield _Block(
                queries=self._move(order[start:stop]),
                num_single=int(single[order[start:stop]].sum()),
                answer_ids=ids[mine],
                answer_rows=self._move(local),
                answer_cells=self._move(local * self.num_candidates + answers[ids[mine]]),
                known_cells=self._move(known_cells + known[1][known_ids[theirs]]),
            )

    def _rank_block(self, vectors: Mapping[str, Tensor], block: _Block) -> Tensor:
        """Return [heads + 1, 2, a]: optimistic and pessimistic ranks of the block's answers."""
        rows = len(block.queries)
        buffers = self._allocate(max(rows, _MIN_ROWS))
        costs, total = buffers.costs, buffers.total
        counts: list[Tensor] = []
        for position, (head, queries) in enumerate(vectors.items()):
            # Costs are negated scores (lower is better): sigmoid(score) = 1 / (1 + exp(cost))
            # then needs no pass for the sign. Negating the queries negates scores exactly.
            chosen = queries[block.queries].neg_()
            chosen = chosen if rows >= _MIN_ROWS else chosen.expand(_MIN_ROWS, -1)
            torch.mm(chosen, self._candidates[head].T, out=costs)
            counts.append(_rank_against(costs, block, (torch.lt, torch.le), buffers))
            if buffers.votes is not None:
                voted = costs < _NO_VOTE
                _ = buffers.votes.copy_(voted) if position == 0 else buffers.votes.add_(voted)
            _add_probabilities(total, costs, first=position == 0, tile=len(buffers.flags))
        # The mean over heads ranks like the sum, unless it is over some of them. Known answers are
        # NaN in it already.
        if buffers.votes is not None:
            total.div_(buffers.votes.clamp_min_(1.0))
        counts.append(_rank_against(total, block, (torch.gt, torch.ge), buffers))
        return torch.stack(counts)

    def _allocate(self, rows: int) -> _Buffers:
        """Return the buffers with ``rows`` rows, taking memory only where there was less."""
        if self._buffers is None or len(self._buffers.costs) < rows:
            shape = (rows, self.num_candidates)
            block = rows * self.num_candidates
            on_cpu = self.device.type == "cpu"
            tile = min(block, max(_CPU_TILE, self.num_candidates)) if on_cpu else block
            self._buffers = None  # free the old ones first
            self._buffers = _Buffers(
                costs=torch.empty(shape, device=self.device),
                total=torch.empty(shape, device=self.device),
                votes=torch.empty(shape, device=self.device) if self._abstentions else None,
                gathered=torch.empty(tile, device=self.device),
                flags=torch.empty(tile, device=self.device),
            )
        kept = self._buffers
        votes = None if kept.votes is None else kept.votes[:rows]
        return _Buffers(kept.costs[:rows], kept.total[:rows], votes, kept.gathered, kept.flags)

    def _move(self, values: Ints) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def rank_answers(
    query_vectors: Mapping[str, Tensor],
    candidate_vectors: Mapping[str, Tensor],
    *,
    answers: Ints,
    known: tuple[Ints, Ints],
    answer_rows: Ints | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> dict[str, Ranks]:
    """Rank the answers of queries in one call: see AnswerRanker.

    Without ``answer_rows``, ``answers[i]`` belongs to query i.
    """
    rows = np.arange(len(answers)) if answer_rows is None else answer_rows
    ranker = AnswerRanker(candidate_vectors, memory_budget=memory_budget)
    return ranker.rank(query_vectors, answer_rows=rows, answers=answers, known=known)


def _largest_norm(vectors: Tensor) -> float:
    return float(torch.linalg.vector_norm(vectors, dim=1).max()) if len(vectors) else 0.0


def _sort_by_row(rows: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(rows, kind="stable")
    return rows[order], order


def _rank_against(
    values: Tensor, block: _Block, comparisons: tuple[Compare, Compare], buffers: _Buffers
) -> Tensor:
    """Return [2, a]: optimistic and pessimistic ranks by ``values`` [b, N].

    ``comparisons`` say what is strictly better and what is at least as good. Leaves NaN at the
    known answers that are not ranked themselves.
    """
    flat = values.view(-1)
    targets = flat[block.answer_cells]
    flat[block.known_cells] = torch.nan
    filtered_itself = flat[block.answer_cells].isnan()
    counts = _count(values, targets, block, comparisons, buffers)
    counts[0] += 1
    # An answer that the filter does not have is still in its row, where it equals itself.
    counts[1] += filtered_itself.long()
    flat[block.answer_cells] = targets
    return counts


def _count(
    values: Tensor,
    targets: Tensor,
    block: _Block,
    comparisons: tuple[Compare, Compare],
    buffers: _Buffers,
) -> Tensor:
    """Return [2, a]: for how many values of its row each comparison with the target holds."""
    width = values.shape[1]
    tile_rows = max(1, len(buffers.flags) // width)
    counts = torch.zeros(2, len(targets), dtype=torch.int64, device=values.device)
    ends = (block.num_single, len(targets))
    tiles = [
        (start, min(start + tile_rows, end))
        for begin, end in zip((0, block.num_single), ends, strict=True)
        for start in range(begin, end, tile_rows)
    ]
    for start, stop in tiles:
        if stop <= block.num_single:
            tile = values[start:stop]
        else:
            tile = buffers.gathered[: (stop - start) * width].view(stop - start, width)
            torch.index_select(values, 0, block.answer_rows[start:stop], out=tile)
        for part in torch.split(tile, _MAX_TILE_COLUMNS, dim=1):
            flags = buffers.flags[: part.numel()].view(part.shape)
            for count, compare in zip(counts, comparisons, strict=True):
                compare(part, targets[start:stop, None], out=flags)
                count[start:stop] += flags.sum(dim=1).long()
    return counts


def _add_probabilities(total: Tensor, costs: Tensor, *, first: bool, tile: int) -> None:
    """Add 1 / (1 + exp(cost)) to ``total`` (or start it), overwriting ``costs``.

    Not torch.sigmoid: on CPU its vector and scalar paths round differently, so that equal scores
    would get unequal probabilities by their position. The steps here round alike everywhere.
    """
    for target, cost in zip(
        torch.split(total.view(-1), tile), torch.split(costs.view(-1), tile), strict=True
    ):
        probability = torch.exp(cost, out=target if first else cost).add_(1.0).reciprocal_()
        if not first:
            target.add_(probability)
