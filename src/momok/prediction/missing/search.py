"""The best new facts of a relation, among all pairs of entities, without holding all scores.

A fact (h, r, t) answers two questions, (h, r, ?) and (?, r, t), and the model was trained for both.
Its score is the *lower* of the two answers: against their mean, their geometric mean and either
side alone it finds the most held-out facts (average precision over all facts of a graph, measured
in docs/prediction.md). Some entities are a fair answer to every question; asked about in turn, they
do not answer with what asked for them.

The lower of two answers also makes the search cheap. The mean over heads of sigmoid(logit) is at
most the sigmoid of the largest logit, so that a tile needs one matrix product per head and a
running maximum; only pairs whose bound reaches the least score worth keeping are scored, in
float64. That least score rises while facts are found. Nothing is lost: the result is that of
scoring every pair.

Shapes: n heads, m tails, d width, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.evaluation.scoring import (
    POOLING,
    BlockScorer,
    find_largest_norm,
    full_precision,
    score_pairs,
)
from momok.prediction.scorer import Scorer

__all__ = ["FoundFacts", "find_new_facts"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_ENCODE_BATCH = 4096  # questions of one relation: larger batches share more of the work
_TILE_ROWS, _TILE_COLUMNS = 256, 2048  # two float32 buffers of it stay in a core's cache (measured)
_PAIRS = 1 << 15  # scored at once: the bound that they raise spares the next ones
_EPSILON = 2.0**-23  # of float32
_MANY = 1 / 64  # a larger part of a tile than this is looked at closer before pairs are scored
_BYTES_PER_CELL = 48  # buffers, flags, places and order; probabilities of a few heads


@dataclass(frozen=True, kw_only=True)
class FoundFacts:
    """Facts of one relation, the highest score first; equal ones by ids of head, then tail.

    Attributes:
        heads: [n] ids.
        tails: [n] ids.
        tail_answers: [n] the answer of the model to (head, relation, ?), for this tail.
        head_answers: [n] its answer to (?, relation, tail), for this head.
    """

    heads: Ints
    tails: Ints
    tail_answers: Floats
    head_answers: Floats

    @property
    def scores(self) -> Floats:
        """[n] the lower of the two answers."""
        return np.minimum(self.tail_answers, self.head_answers)

    def __len__(self) -> int:
        return len(self.heads)

    def first(self, count: int) -> FoundFacts:
        """The best ones."""
        return FoundFacts(
            heads=self.heads[:count],
            tails=self.tails[:count],
            tail_answers=self.tail_answers[:count],
            head_answers=self.head_answers[:count],
        )

    @staticmethod
    def none() -> FoundFacts:
        """No facts."""
        ids, values = np.empty(0, dtype=np.int64), np.empty(0)
        return FoundFacts(heads=ids, tails=ids, tail_answers=values, head_answers=values)


def find_new_facts(
    scorer: Scorer,
    relation: int,
    *,
    limit: int,
    floor: float = 0.0,
    heads: Ints | None = None,
    tails: Ints | None = None,
    loops: bool = True,
    memory_budget: int | None = None,
    progress: Callable[[int], None] = lambda _pairs: None,
) -> FoundFacts:
    """Find the facts of a relation with the highest scores.

    Args:
        scorer: the model.
        relation: its id, without reciprocals.
        limit: how many at most.
        floor: the least score.
        heads: ids [n], ascending; by default all entities.
        tails: ids [m], ascending; by default all entities.
        loops: whether an entity may have the relation to itself.
        memory_budget: bytes of buffers, by default the scorer's; the result does not depend on
            it. Besides, there are the query vectors of all tails, as large as those of candidates.
        progress: is told how many pairs have been looked at since it was told last.
    """
    everything = np.arange(scorer.graph.num_entities)
    heads = everything if heads is None else heads
    tails = everything if tails is None else tails
    budget = scorer.memory_budget if memory_budget is None else memory_budget
    best = _Best(limit, floor)
    if not len(heads) or not len(tails):
        return best.finish()
    search = _Search(scorer, relation, tails, best, budget)
    rows, columns = _choose_tile(budget)
    with full_precision():
        for start in range(0, len(heads), _ENCODE_BATCH):
            batch = heads[start : start + _ENCODE_BATCH]
            excluded = scorer.known.lookup(batch, np.full(len(batch), relation))
            search.begin_heads(batch, excluded if loops else _add_loops(batch, excluded))
            for first in range(0, len(batch), rows):
                for place in range(0, len(tails), columns):
                    search.look_at(
                        slice(first, min(first + rows, len(batch))),
                        slice(place, min(place + columns, len(tails))),
                    )
                progress(min(rows, len(batch) - first) * len(tails))
    return best.finish()


class _Search:
    """Looks at tiles of heads and tails of one relation."""

    def __init__(
        self, scorer: Scorer, relation: int, tails: Ints, best: _Best, budget: int
    ) -> None:
        self.scorer, self.relation, self.best, self.budget = scorer, relation, best, budget
        self.device = scorer.model.device
        self.tails = tails
        everything = len(tails) == scorer.graph.num_entities
        ids = torch.from_numpy(tails).to(self.device)
        self.tail_vectors = {
            head: vectors if everything else vectors[ids]
            for head, vectors in scorer.candidates.vectors.items()
        }
        self.tail_queries = scorer.encode_relation(tails, relation + scorer.graph.num_relations)
        self._buffers: list[Tensor] = []
        self._sides = BlockScorer(), BlockScorer()

    def begin_heads(self, heads: Ints, known: tuple[Ints, Ints]) -> None:
        """Go on with these heads, and their known tails as (rows, ids)."""
        self.heads = heads
        self.head_queries = self.scorer.encode_relation(heads, self.relation)
        ids = torch.from_numpy(heads).to(self.device)
        self.head_vectors = {h: v[ids] for h, v in self.scorer.candidates.vectors.items()}
        places = np.searchsorted(self.tails, known[1])
        here = np.append(self.tails, -1)[places] == known[1]
        self.known = known[0][here], places[here]  # rows ascend
        # A float32 product of d terms is off by at most d * eps * |q| |c|, twice to be safe.
        sides = (
            (self.head_queries, self.tail_vectors),
            (self.tail_queries, self.head_vectors),
        )
        self.margin = max(
            2 * q.shape[1] * _EPSILON * find_largest_norm(q) * find_largest_norm(candidates[head])
            for queries, candidates in sides
            for head, q in queries.items()
        )

    def look_at(self, rows: slice, columns: slice) -> None:
        """Score what may be good enough in a tile, the most promising pairs first."""
        bound = self._bound(rows, columns)
        least = self._least()
        if float(bound.max()) < least:
            return
        cells = (bound.view(-1) >= least).nonzero().squeeze(1)
        if len(cells) > bound.numel() * _MANY:
            bound = self._tighten(bound, rows, columns)
            cells = (bound.view(-1) >= least).nonzero().squeeze(1)
        values = bound.view(-1)[cells]
        values, order = values.sort(descending=True)
        cells = cells[order]
        width = columns.stop - columns.start
        for start in range(0, len(cells), _PAIRS):
            if float(values[start]) < self._least() or values[start] == -torch.inf:
                return
            chosen = cells[start : start + _PAIRS]
            chosen = chosen[values[start : start + _PAIRS] > -torch.inf]
            self._score(chosen // width + rows.start, chosen % width + columns.start)

    def _bound(self, rows: slice, columns: slice) -> Tensor:
        """The largest logit of any head for every pair; minus infinity for known facts."""
        shape = rows.stop - rows.start, columns.stop - columns.start
        if not self._buffers or self._buffers[0].shape != shape:
            self._buffers = [torch.empty(shape, device=self.device) for _ in range(2)]
        bound, scratch = self._buffers
        for number, (head, queries) in enumerate(self.head_queries.items()):
            tails = self.tail_vectors[head][columns].T
            torch.mm(queries[rows], tails, out=scratch if number else bound)
            if number:
                torch.maximum(bound, scratch, out=bound)
        known_rows, places = self.known
        mine = slice(*np.searchsorted(known_rows, [rows.start, rows.stop]))
        inside = (places[mine] >= columns.start) & (places[mine] < columns.stop)
        at = known_rows[mine][inside] - rows.start, places[mine][inside] - columns.start
        bound[tuple(torch.from_numpy(part).to(self.device) for part in at)] = -torch.inf
        return bound

    def _tighten(self, bound: Tensor, rows: slice, columns: slice) -> Tensor:
        """The logit of the score itself, in float32, for every pair not at minus infinity.

        Two passes of sigmoids over a tile cost less than single products for many of its pairs.
        """
        tail_answers = self._sides[0].answer(
            _cut(self.head_queries, rows), _cut(self.tail_vectors, columns)
        )
        head_answers = self._sides[1].answer(
            _cut(self.tail_queries, columns), _cut(self.head_vectors, rows)
        )
        score = torch.minimum(tail_answers, head_answers.T)
        # Its rounding, on top of that of the logits, grows where float32 probabilities crowd at 1.
        score = torch.logit((score + 4 * _EPSILON).clamp_(max=1.0))
        return torch.where(bound == -torch.inf, bound, torch.minimum(bound, score))

    def _least(self) -> float:
        """The least bound of a pair that can still be among the best."""
        return POOLING.find_least_score(self.best.least) - self.margin

    def _score(self, rows: Tensor, columns: Tensor) -> None:
        forward = self._answer(self.head_queries, self.tail_vectors, rows, columns)
        backward = self._answer(self.tail_queries, self.head_vectors, columns, rows)
        self.best.offer(
            self.heads[rows.cpu().numpy()], self.tails[columns.cpu().numpy()], forward, backward
        )

    def _answer(
        self,
        queries: Mapping[str, Tensor],
        candidates: Mapping[str, Tensor],
        rows: Tensor,
        ids: Tensor,
    ) -> Floats:
        logits = score_pairs(queries, candidates, rows, ids, memory_budget=self.budget)
        values: Floats = POOLING.pool(logits).cpu().numpy()
        return values


class _Best:
    """The best facts so far; the least score worth keeping rises as they come in."""

    def __init__(self, limit: int, floor: float) -> None:
        self.limit, self.least = limit, floor
        self._parts: list[tuple[NDArray[np.generic], ...]] = []
        self._count = 0

    def offer(self, heads: Ints, tails: Ints, tail_answers: Floats, head_answers: Floats) -> None:
        good = np.minimum(tail_answers, head_answers) >= self.least
        self._parts.append((heads[good], tails[good], tail_answers[good], head_answers[good]))
        self._count += int(good.sum())
        if self._count >= self.limit + max(self.limit, _PAIRS) // 2 or (
            self.least == 0.0 and self._count >= self.limit
        ):
            self._shrink()

    def finish(self) -> FoundFacts:
        self._shrink()
        heads, tails, tail_answers, head_answers = self._parts[0]
        return FoundFacts(
            heads=heads.astype(np.int64),
            tails=tails.astype(np.int64),
            tail_answers=tail_answers.astype(np.float64),
            head_answers=head_answers.astype(np.float64),
        )

    def _shrink(self) -> None:
        empty = (np.empty(0, np.int64),) * 2 + (np.empty(0),) * 2
        columns = [np.concatenate(parts) for parts in zip(empty, *self._parts, strict=True)]
        scores = np.minimum(columns[2], columns[3])
        order = np.lexsort((columns[1], columns[0], -scores))[: self.limit]
        self._parts = [tuple(column[order] for column in columns)]
        self._count = len(order)
        if self._count == self.limit and self.limit:
            self.least = max(self.least, float(scores[order[-1]]))


def _choose_tile(budget: int) -> tuple[int, int]:
    """Rows and columns of a tile, no larger than is fast."""
    cells = max(budget // _BYTES_PER_CELL, 1)
    columns = min(_TILE_COLUMNS, cells)
    return max(min(_TILE_ROWS, cells // columns), 1), columns


def _add_loops(heads: Ints, known: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Pairs (rows, ids) with those of every head and itself, rows ascending."""
    rows = np.concatenate([known[0], np.arange(len(heads))])
    order = np.argsort(rows, kind="stable")
    return rows[order], np.concatenate([known[1], heads])[order]


def _cut(vectors: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    return {head: values[rows] for head, values in vectors.items()}
