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

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.evaluation.pooling import Terms
from momok.evaluation.scoring import BlockScorer, find_largest_norm, full_precision, score_pairs
from momok.graph.fact_index import lookup_excluded
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

_ENCODE_BATCH = 4096  # questions of one relation: larger batches share more of the work
_TILE_ROWS, _TILE_COLUMNS = 256, 2048  # two float32 buffers of it stay in a core's cache (measured)
_PAIRS = 1 << 15  # scored at once: the bound that they raise spares the next ones
_EPSILON = 2.0**-23  # of float32
_MANY = 1 / 64  # a larger part of a tile than this is bounded more closely before pairs are scored
_BYTES_PER_CELL = 48  # buffers, flags, places and order; probabilities of a few heads


@dataclass(frozen=True)
class FoundFacts:
    """Facts as columns.

    Attributes:
        heads: [n] ids.
        relations: [n] ids, without reciprocals.
        tails: [n] ids.
        tail_answers: [n] the answer of the model to (head, relation, ?), for this tail.
        head_answers: [n] its answer to (?, relation, tail), for this head.
    """

    heads: Ints
    relations: Ints
    tails: Ints
    tail_answers: Floats
    head_answers: Floats

    @property
    def scores(self) -> Floats:
        """[n] the lower of the two answers."""
        return np.minimum(self.tail_answers, self.head_answers)

    def __len__(self) -> int:
        return len(self.heads)

    def __getitem__(self, chosen: slice | Ints | NDArray[np.bool_]) -> FoundFacts:
        return FoundFacts(*(column[chosen] for column in vars(self).values()))

    @staticmethod
    def concatenate(*parts: FoundFacts) -> FoundFacts:
        """All facts of the parts, of which there may be none."""
        ids, answers = np.empty(0, dtype=np.int64), np.empty(0)
        empty = FoundFacts(ids, ids, ids, answers, answers)
        columns = zip(*(vars(part).values() for part in (empty, *parts)), strict=True)
        return FoundFacts(*map(np.concatenate, columns))

    def rank(self, limit: int | None = None) -> FoundFacts:
        """The facts with the highest scores, best first; equal ones by ids."""
        order = np.lexsort((self.tails, self.heads, self.relations, -self.scores))
        return self[order[:limit]]


def find_new_facts(
    scorer: Scorer,
    relation: int,
    *,
    limit: int,
    floor: float = 0.0,
    heads: Ints | None = None,
    tails: Ints | None = None,
    progress: Progress = no_progress,
) -> FoundFacts:
    """Find the facts of a relation with the highest scores, best first, that no split has.

    Facts of an entity with itself are left out unless train has such facts of the relation.
    The result does not depend on the scorer's ``memory_budget``; besides, there are the query
    vectors of all tails, as large as those of candidates.

    Args:
        floor: the least score.
        heads, tails: ids [n] and [m], ascending; by default all entities.
        progress: is told of the pairs of entities.
    """
    everything = np.arange(scorer.graph.num_entities)
    heads = everything if heads is None else heads
    tails = everything if tails is None else tails
    what, total = f"ranking pairs: {scorer.graph.relation_names[relation]}", len(heads) * len(tails)
    best = _Best(limit, floor)
    if not total or floor > 1:
        progress(what, total, total)
        return best.finish()
    search = _Search(scorer, relation, tails, best)
    done = 0
    with full_precision():
        for batch in np.split(heads, range(_ENCODE_BATCH, len(heads), _ENCODE_BATCH)):
            search.encode_heads(batch)
            for start in range(0, len(batch), search.tile_rows):
                rows = slice(start, min(start + search.tile_rows, len(batch)))
                search.search_rows(rows)
                done += (rows.stop - rows.start) * len(tails)
                progress(what, done, total)
    return best.finish()


class _Search:
    """Offers all pairs that can be among the best, tile by tile."""

    def __init__(self, scorer: Scorer, relation: int, tails: Ints, best: _Best) -> None:
        self.scorer, self.relation, self.tails = scorer, relation, tails
        self.best, self.device = best, scorer.model.device
        cells = max(scorer.memory_budget // _BYTES_PER_CELL, 1)
        self.tile_columns = min(_TILE_COLUMNS, cells)
        self.tile_rows = max(min(_TILE_ROWS, cells // self.tile_columns), 1)
        self._answers = BlockScorer(scorer.pooling), BlockScorer(scorer.pooling)
        self._scorer_of_bounds = BlockScorer(scorer.pooling)
        self.tail_vectors = scorer.candidates.vectors
        if len(tails) < scorer.graph.num_entities:
            self.tail_vectors = _choose(scorer.candidates.vectors, tails)
        self.tail_queries, self.tail_terms = scorer.encode_relation(
            tails, relation + scorer.graph.num_relations
        )

    def encode_heads(self, heads: Ints) -> None:
        self.heads = heads
        self.head_queries, self.head_terms = self.scorer.encode_relation(heads, self.relation)
        self.head_vectors = _choose(self.scorer.candidates.vectors, heads)
        # A float32 product of d terms is off by at most d * eps * |q| |c|, twice to be safe.
        sides = (self.head_queries, self.tail_vectors), (self.tail_queries, self.head_vectors)
        self.margin = max(
            sum(
                2 * q.shape[1] * _EPSILON * find_largest_norm(q) * find_largest_norm(others[head])
                for head, q in queries.items()
            )
            * (1.0 if terms is None else max(1.0, float(terms.weights.max())))
            for (queries, others), terms in zip(
                sides, (self.head_terms, self.tail_terms), strict=True
            )
        )

    def search_rows(self, rows: slice) -> None:
        """Score what may be good enough of some of the heads, with all tails."""
        heads = self.heads[rows]
        graph, relations = self.scorer.graph, np.full(len(heads), self.relation)
        known_rows, known = lookup_excluded(graph.fact_index, graph.train_index, heads, relations)
        places = np.searchsorted(self.tails, known)
        for start in range(0, len(self.tails), self.tile_columns):
            columns = slice(start, min(start + self.tile_columns, len(self.tails)))
            inside = (places >= columns.start) & (places < columns.stop)
            inside[inside] = self.tails[places[inside]] == known[inside]
            excluded = known_rows[inside], places[inside] - columns.start
            self._search_tile(rows, columns, excluded)

    def _search_tile(self, rows: slice, columns: slice, excluded: tuple[Ints, Ints]) -> None:
        """The most promising pairs first."""
        bound = self._bound(rows, columns)
        bound[tuple(torch.from_numpy(part).to(self.device) for part in excluded)] = -torch.inf
        if float(bound.max()) < self._least():
            return
        cells = (bound.view(-1) >= self._least()).nonzero().squeeze(1)
        if len(cells) > bound.numel() * _MANY:
            bound = self._tighten(bound, rows, columns)
            cells = (bound.view(-1) >= self._least()).nonzero().squeeze(1)
        values, order = bound.view(-1)[cells].sort(descending=True)
        cells = cells[order]
        width = columns.stop - columns.start
        for start in range(0, len(cells), _PAIRS):
            if float(values[start]) < self._least() or values[start] == -torch.inf:
                return
            chosen = cells[start : start + _PAIRS]
            chosen = chosen[values[start : start + _PAIRS] > -torch.inf]
            self._score(chosen // width + rows.start, chosen % width + columns.start)

    def _bound(self, rows: slice, columns: slice) -> Tensor:
        """What the logit of the answer to (head, relation, ?) cannot exceed, for every pair."""
        return self._scorer_of_bounds.bound(
            _choose(self.head_queries, rows),
            _choose(self.tail_vectors, columns),
            terms=_restrict(self.head_terms, rows, self.tails[columns]),
        )

    def _tighten(self, bound: Tensor, rows: slice, columns: slice) -> Tensor:
        """The logit of the score itself, in float32: for many pairs cheaper than products."""
        tail_answers = self._answers[0].answer(
            _choose(self.head_queries, rows),
            _choose(self.tail_vectors, columns),
            terms=_restrict(self.head_terms, rows, self.tails[columns]),
        )
        head_answers = self._answers[1].answer(
            _choose(self.tail_queries, columns),
            _choose(self.head_vectors, rows),
            terms=_restrict(self.tail_terms, columns, self.heads[rows]),
        )
        score = torch.minimum(tail_answers, head_answers.T)
        # Its rounding, on top of that of the logits, grows where float32 probabilities crowd at 1.
        score = self.scorer.pooling.find_scores((score + 4 * _EPSILON).clamp_(max=1.0))
        return torch.where(bound == -torch.inf, bound, torch.minimum(bound, score))

    def _least(self) -> float:
        """The least bound of a pair that can still be among the best."""
        return self.scorer.pooling.find_least_bound(self.best.least) - self.margin

    def _score(self, rows: Tensor, columns: Tensor) -> None:
        budget = self.scorer.memory_budget
        ids = [torch.from_numpy(part).to(self.device) for part in (self.heads, self.tails)]
        sides = (
            (self.head_queries, self.tail_vectors, self.head_terms, rows, columns, ids[1][columns]),
            (self.tail_queries, self.head_vectors, self.tail_terms, columns, rows, ids[0][rows]),
        )
        tail_answers, head_answers = (
            self.scorer.pooling.pool(
                score_pairs(queries, others, one, other, memory_budget=budget), terms, one, asked
            )
            for queries, others, terms, one, other, asked in sides
        )
        self.best.offer(
            FoundFacts(
                heads=self.heads[rows.cpu().numpy()],
                relations=np.full(len(rows), self.relation),
                tails=self.tails[columns.cpu().numpy()],
                tail_answers=tail_answers.cpu().numpy(),
                head_answers=head_answers.cpu().numpy(),
            )
        )


class _Best:
    """The best facts so far; the least score worth keeping rises as they come in."""

    def __init__(self, limit: int, floor: float) -> None:
        self.limit, self.least = limit, floor
        self._parts: list[FoundFacts] = []
        self._count = 0

    def offer(self, facts: FoundFacts) -> None:
        """Take what is good enough."""
        facts = facts[facts.scores >= self.least]
        self._parts.append(facts)
        self._count += len(facts)
        if self._count >= self.limit + max(self.limit, _PAIRS) // 2 or (
            self.least == 0.0 and self._count >= self.limit
        ):
            self.finish()

    def finish(self) -> FoundFacts:
        """The best of all, ranked."""
        best = FoundFacts.concatenate(*self._parts).rank(self.limit)
        self._parts, self._count = [best], len(best)
        if len(best) == self.limit:
            self.least = max(self.least, float(best.scores[-1]))
        return best


def _restrict(terms: Terms | None, rows: slice, candidates: Ints) -> Terms | None:
    """The terms of some queries, for the candidates of a tile."""
    if terms is None:
        return None
    device = terms.weights.device
    chosen = torch.arange(rows.start, rows.stop, device=device)
    return terms.select(chosen).restrict(torch.from_numpy(candidates).to(device))


def _choose(vectors: Mapping[str, Tensor], rows: slice | Ints) -> dict[str, Tensor]:
    return {head: values[rows] for head, values in vectors.items()}
