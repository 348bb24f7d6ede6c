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

from collections.abc import Callable, Iterable, Iterator, Mapping
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
    "RankedQueries",
    "Ranks",
    "rank_in_parts",
]

Ints = NDArray[np.int64]
Compare = Callable[..., Tensor]
Parts = Callable[[], Iterable[tuple[int, Mapping[str, Tensor]]]]  # each time (first id, vectors)

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

# So do products of up to three rows on some processors; they are computed with rows to spare.
_STEADY_ROWS = 4

# |q . c| <= |q| |c|, partial sums included (Cauchy-Schwarz): below this no score overflows, and a
# score of finite vectors is NaN only after an overflow. Checking norms spares a pass over scores.
_LARGEST_SCORE = 1e38


@dataclass(frozen=True)
class RankedQueries:
    """Encoded queries and which of their answers to rank.

    ``vectors`` {head: [U, d]}, in any floating type. ``answers`` [A]: candidate ids, and
    ``answer_rows`` [A]: the queries they answer. ``known``: the answers (rows, ids) that count in
    no rank, as FactIndex.lookup returns them.
    """

    vectors: Mapping[str, Tensor]
    answers: Ints
    answer_rows: Ints
    known: tuple[Ints, Ints]

    @property
    def in_float32(self) -> dict[str, Tensor]:
        """The vectors as they are multiplied."""
        return {head: vectors.detach().float() for head, vectors in self.vectors.items()}


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
    here: Tensor  # [p] which of the answers are among these candidates: all but for a part
    answer_cells: Tensor  # [p] their positions in the flat block of scores
    known_cells: Tensor  # positions of known answers in it


class AnswerRanker:
    """Ranks true answers among fixed candidates, for every head and for the joint answer.

    ``candidate_vectors`` {head: [N, d]} are on the device where the work is done, in any floating
    type; scores are float32. Heads may abstain (momok.model.votes): the joint answer is the mean
    over those that vote, and candidates on which a head does not vote are its last, as ties.
    ``memory_budget`` bounds the bytes of all score buffers (vectors and the sparse pairs are not
    in it); ranks do not depend on it. ``first`` is the id of the first candidate where they are a
    part of all (``rank_in_parts``), None where they are all.

    Raises ConfigError where the budget cannot hold the scores of two queries, TrainingError where
    vectors are not finite or scores would overflow.
    """

    def __init__(
        self,
        candidate_vectors: Mapping[str, Tensor],
        *,
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
        first: int | None = None,
    ) -> None:
        self._first = first or 0
        self._candidates = {head: v.detach().float() for head, v in candidate_vectors.items()}
        sample = next(iter(self._candidates.values()))
        self.num_candidates = sample.shape[0]
        self.device = sample.device
        self._norms = {head: _largest_norm(v) for head, v in self._candidates.items()}
        self.abstentions = max(self._norms.values()) >= _NO_VOTE
        self._counts_votes = self.abstentions or first is not None  # another part may have some
        row_bytes = (_BYTES_PER_SCORE + 4 * self._counts_votes) * self.num_candidates
        self.block_rows = memory_budget // row_bytes
        if self.block_rows < _MIN_ROWS:
            raise ConfigError(
                f"a memory budget of {memory_budget} bytes is too small for evaluation: the scores "
                f"of {self.num_candidates} candidates need at least {_MIN_ROWS * row_bytes}"
            )
        self._buffers: _Buffers | None = None

    def rank(self, queries: RankedQueries) -> dict[str, Ranks]:
        """Rank every answer among the candidates that are not known answers of its query.

        The ranked answer itself always takes part, its score read from the very matrix it is
        compared with. Returns Ranks [A] under each head and under "answer".
        """
        return _name_ranks(self.count(queries), queries.vectors)

    def count(
        self,
        queries: RankedQueries,
        *,
        targets: Tensor | None = None,
        divide: bool | None = None,
    ) -> Ints:
        """Count the candidates that come before the answers: see ``rank``.

        Args:
            queries: what to rank.
            targets: [heads + 1, A] what ``read`` and ``_join_costs`` gave; None takes the answers'
                values from these candidates.
            divide: whether a head abstains somewhere; None: if one does here.

        Returns:
            [heads + 1, 2, A]: how many score strictly higher, and how many at least as high, the
            answer itself counted once in the part where it is.
        """
        counts = np.zeros((len(queries.vectors) + 1, 2, len(queries.answers)), dtype=np.int64)
        divide = self.abstentions if divide is None else divide
        vectors = queries.in_float32
        self._check_scores_finite(vectors)
        with _full_precision():
            for block in self._plan(queries):
                wanted = None if targets is None else targets[:, self._move(block.answer_ids)]
                found = self._rank_block(vectors, block, wanted, divide=divide)
                counts[:, :, block.answer_ids] = found.cpu().numpy()
        return counts

    def read(self, queries: RankedQueries, into: Tensor) -> None:
        """Write the negated scores of the answers that are among these candidates.

        From products of the shapes that ``count`` takes, so that they are the same to the bit.
        ``into`` is [heads, A]; columns of other answers stay.
        """
        vectors = queries.in_float32
        self._check_scores_finite(vectors)
        with _full_precision():
            for block in self._plan(queries):
                if not len(block.here):
                    continue
                costs = self._allocate(max(len(block.queries), _MIN_ROWS)).costs
                columns = self._move(block.answer_ids)[block.here]
                for row, head in enumerate(vectors):
                    self._multiply(vectors[head], block, head, costs)
                    into[row, columns] = costs.view(-1)[block.answer_cells]

    def _check_scores_finite(self, vectors: Mapping[str, Tensor]) -> None:
        for head, queries in vectors.items():
            # Written so that NaN fails it.
            if not _largest_norm(queries) * self._norms[head] < _LARGEST_SCORE:
                raise TrainingError(
                    f"the scores of head '{head}' are not finite: the model gave vectors with NaN "
                    "or values that overflow, so ranks would mean nothing. Training diverged or "
                    "the checkpoint is damaged: use an earlier one or lower the learning rate"
                )

    def _plan(self, queries: RankedQueries) -> Iterator[_Block]:
        """Cut the queries into blocks, those with exactly one answer first.

        Their answers are compared with the score matrix as it lies; the others need their row
        gathered once per answer.
        """
        num_queries = next(iter(queries.vectors.values())).shape[0]
        answer_rows = queries.answer_rows
        known_rows, known_columns = queries.known[0], queries.known[1] - self._first
        inside = (known_columns >= 0) & (known_columns < self.num_candidates)
        known_rows, known_columns = known_rows[inside], known_columns[inside]
        columns = queries.answers - self._first
        present = (columns >= 0) & (columns < self.num_candidates)
        single = np.bincount(answer_rows, minlength=num_queries) == 1
        order = np.argsort(~single, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(num_queries)
        rows, ids = _sort_by_row(place[answer_rows])
        known_rows, known_ids = _sort_by_row(place[known_rows])
        for start in range(0, num_queries, self.block_rows):
            stop = min(start + self.block_rows, num_queries)
            mine = slice(*np.searchsorted(rows, [start, stop]))
            theirs = slice(*np.searchsorted(known_rows, [start, stop]))
            local = rows[mine] - start
            known_cells = (known_rows[theirs] - start) * self.num_candidates
            here = np.flatnonzero(present[ids[mine]])
            cells = local[here] * self.num_candidates + columns[ids[mine]][here]
            yield _Block(
                queries=self._move(order[start:stop]),
                num_single=int(single[order[start:stop]].sum()),
                answer_ids=ids[mine],
                answer_rows=self._move(local),
                here=self._move(here),
                answer_cells=self._move(cells),
                known_cells=self._move(known_cells + known_columns[known_ids[theirs]]),
            )

    def _multiply(self, queries: Tensor, block: _Block, head: str, costs: Tensor) -> None:
        """Write the block's negated scores of one head."""
        # Costs are negated scores (lower is better): sigmoid(score) = 1 / (1 + exp(cost))
        # then needs no pass for the sign. Negating the queries negates scores exactly.
        chosen = queries[block.queries].neg_()
        chosen = chosen if len(chosen) >= _MIN_ROWS else chosen.expand(_MIN_ROWS, -1)
        candidates = self._candidates[head].T
        if len(chosen) < _STEADY_ROWS:
            spare = chosen[:1].expand(_STEADY_ROWS - len(chosen), -1)
            costs.copy_(torch.mm(torch.cat([chosen, spare]), candidates)[: len(chosen)])
        else:
            torch.mm(chosen, candidates, out=costs)

    def _rank_block(
        self, vectors: Mapping[str, Tensor], block: _Block, targets: Tensor | None, *, divide: bool
    ) -> Tensor:
        """Return [heads + 1, 2, a], the counts of the block's answers."""
        buffers = self._allocate(max(len(block.queries), _MIN_ROWS))
        costs, total = buffers.costs, buffers.total
        counts: list[Tensor] = []
        for position, (head, queries) in enumerate(vectors.items()):
            self._multiply(queries, block, head, costs)
            wanted = None if targets is None else targets[position]
            counts.append(_rank_against(costs, wanted, block, (torch.lt, torch.le), buffers))
            if buffers.votes is not None:
                voted = costs < _NO_VOTE
                _ = buffers.votes.copy_(voted) if position == 0 else buffers.votes.add_(voted)
            _add_probabilities(total, costs, first=position == 0, tile=len(buffers.flags))
        # The mean over heads ranks like the sum, unless it is over some of them. Known answers are
        # NaN in it already.
        if buffers.votes is not None and divide:
            total.div_(buffers.votes.clamp_min_(1.0))
        wanted = None if targets is None else targets[-1]
        counts.append(_rank_against(total, wanted, block, (torch.gt, torch.ge), buffers))
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
                votes=torch.empty(shape, device=self.device) if self._counts_votes else None,
                gathered=torch.empty(tile, device=self.device),
                flags=torch.empty(tile, device=self.device),
            )
        kept = self._buffers
        votes = None if kept.votes is None else kept.votes[:rows]
        return _Buffers(kept.costs[:rows], kept.total[:rows], votes, kept.gathered, kept.flags)

    def _move(self, values: Ints) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def rank_in_parts(
    queries: RankedQueries, parts: Parts, *, memory_budget: int = DEFAULT_MEMORY_BUDGET
) -> dict[str, Ranks]:
    """Rank as ``AnswerRanker.rank`` does, with the candidates of one part in memory at a time.

    ``parts`` is called twice; each time it gives all candidates, in order: the id of the first of
    a part and its vectors per head [n, d].
    """
    heads = queries.vectors
    device = next(iter(heads.values())).device
    costs = torch.empty(len(heads), len(queries.answers), device=device)
    divide = False
    for first, vectors in parts():
        ranker = AnswerRanker(vectors, memory_budget=memory_budget, first=first)
        divide = divide or ranker.abstentions
        ranker.read(queries, into=costs)
        del ranker, vectors
    targets = torch.cat([costs, _join_costs(costs, divide=divide).unsqueeze(0)])
    counts = np.zeros((len(targets), 2, len(queries.answers)), dtype=np.int64)
    for first, vectors in parts():
        ranker = AnswerRanker(vectors, memory_budget=memory_budget, first=first)
        counts += ranker.count(queries, targets=targets, divide=divide)
        del ranker, vectors
    return _name_ranks(counts, heads)


def _join_costs(costs: Tensor, *, divide: bool) -> Tensor:
    """The answer's values from the costs of its heads [heads, A], by the steps of a block."""
    total = torch.empty_like(costs[0])
    for position, cost in enumerate(costs):
        _add_probabilities(total, cost.clone(), first=position == 0, tile=max(len(cost), 1))
    if divide:
        total.div_((costs < _NO_VOTE).sum(dim=0).to(total.dtype).clamp_min_(1.0))
    return total


def _name_ranks(counts: Ints, heads: Iterable[str]) -> dict[str, Ranks]:
    """Ranks per head and of the answer from counts [heads + 1, 2, A]."""
    return {
        head: Ranks(optimistic=better + 1, pessimistic=as_good)
        for head, (better, as_good) in zip((*heads, ANSWER), counts, strict=True)
    }


def _largest_norm(vectors: Tensor) -> float:
    return float(torch.linalg.vector_norm(vectors, dim=1).max()) if len(vectors) else 0.0


def _sort_by_row(rows: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(rows, kind="stable")
    return rows[order], order


def _rank_against(
    values: Tensor,
    targets: Tensor | None,
    block: _Block,
    comparisons: tuple[Compare, Compare],
    buffers: _Buffers,
) -> Tensor:
    """Return [2, a]: how many of ``values`` [b, N] are better than the targets [a], or as good.

    ``comparisons`` say what is strictly better and what is at least as good. Without ``targets``
    the answers' own values are. Leaves NaN at the known answers that are not ranked themselves.
    """
    flat = values.view(-1)
    own = flat[block.answer_cells]
    flat[block.known_cells] = torch.nan
    filtered_itself = flat[block.answer_cells].isnan()
    counts = _count(values, own if targets is None else targets, block, comparisons, buffers)
    # An answer that the filter does not have is still in its row, where it equals itself.
    counts[1].index_add_(0, block.here, filtered_itself.long())
    flat[block.answer_cells] = own
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
