"""Counts of new facts, over whole relations: what the calibration of facts is fitted to.

Shapes: N entities, R relations, F folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.evaluation import build_filter
from momok.model.votes import average_votes
from momok.prediction.calibration.counts import (
    QUESTION_BATCH,
    Cells,
    Counts,
    HeldOut,
    add_block,
    split_columns,
)
from momok.prediction.scorer import Scorer
from momok.prediction.train_sides import TrainSides
from momok.progress import Progress, no_progress

__all__ = ["FactCounts", "count_facts"]

Ints: TypeAlias = NDArray[np.int64]

_FACT_CELLS = 100_000_000  # facts that are looked at, unless held-out ones alone need more
_MIN_SAMPLE, _ENOUGH = 16, 256  # heads per relation, even if that is all of them


@dataclass(frozen=True)
class FactCounts:
    """What ``count_facts`` gives for one set of held-out facts.

    Attributes:
        every: of all facts that are not known.
        plausible: of those whose head and tail the relation has in train.
    """

    every: Counts
    plausible: Counts


def count_facts(
    scorer: Scorer,
    fit: HeldOut,
    judge: HeldOut,
    *,
    cells: int = _FACT_CELLS,
    progress: Progress = no_progress,
) -> tuple[FactCounts, FactCounts]:
    """Count all facts that are not known by the logit of the lower of their two answers.

    Of every relation the heads that have a held-out fact are looked at, and of the others two
    random samples, of heads that the relation has in train and of those it has not; each counts for
    all of its kind, with all tails. Scores are made once for all counts.

    Args:
        scorer: the model.
        fit: counted by fold.
        judge: counted too, in one fold; it knows all that ``fit`` knows.
        cells: about how many facts to look at; more are looked at where held-out facts need it.
        progress: is told of the relations.
    """
    graph = scorer.graph
    N, R = graph.num_entities, graph.num_relations
    sample = min(cells // (2 * N * R), max(N // 8, _ENOUGH), N)
    sample = min(max(sample, _MIN_SAMPLE), N)
    results = tuple(
        FactCounts(Counts.empty(folds), Counts.empty(folds)) for folds in (fit.folds, 1)
    )
    filters = [[build_filter([f], N, R) for f in (each.known, each.facts)] for each in (fit, judge)]
    for relation in range(R):
        reverse = scorer.encode_relation(np.arange(N), relation + R)
        seen = Seen.find(scorer.train_sides, relation, relation + R, N)
        for heads, fold, weights in _sample_heads(fit, judge, seen, relation, sample):
            same = np.full(len(heads), relation)
            counted = [Cells(*(part.lookup(heads, same) for part in pair)) for pair in filters]
            for columns, logits in _score_heads(scorer, heads, relation, reverse):
                view = seen.look(heads, columns, logits)
                for counts, each, into, weight in zip(
                    results, counted, (fold, 0), weights, strict=True
                ):
                    inside = each.inside(columns)
                    add_block(view.logits, view.restrict(inside), counts.plausible, into, weight)
                    add_block(logits, inside, counts.every, into, weight)
        progress("calibrating: facts by relation", relation + 1, R)
    return results[0], results[1]


@dataclass(frozen=True)
class Seen:
    """Which entities a relation has in train.

    Attributes:
        heads: [N] whether an entity is a head of it.
        tails: [N] whether it is a tail of it.
        loops: whether it is both in one fact.
    """

    heads: NDArray[np.bool_]
    tails: NDArray[np.bool_]
    loops: bool

    @staticmethod
    def find(sides: TrainSides, relation: int, reverse: int, num_entities: int) -> Seen:
        """The sides of a relation and of its reverse as masks."""
        masks = np.zeros((2, num_entities), dtype=bool)
        masks[0, sides.answers(reverse)] = masks[1, sides.answers(relation)] = True
        return Seen(masks[0], masks[1], sides.has_loops(relation))

    def look(self, heads: Ints, columns: slice, logits: Tensor) -> _View:
        """Cut the seen heads and tails out of a block."""
        rows = self.heads[heads]
        tails = self.tails[columns]
        cut = logits[torch.from_numpy(rows)][:, torch.from_numpy(tails)]
        loops = np.empty((2, 0), dtype=np.int64)
        if not self.loops:
            places = heads - columns.start
            inside = (places >= 0) & (places < len(tails))
            loops = np.stack([inside.nonzero()[0], places[inside]])
        return _View(cut, rows, tails, loops)


@dataclass(frozen=True)
class _View:
    """Some rows and columns of a block, and pairs of the block that do not count."""

    logits: Tensor
    rows: NDArray[np.bool_]
    columns: NDArray[np.bool_]
    excluded: Ints

    def restrict(self, cells: Cells) -> Cells:
        """The cells of a block that are in the view, by their place in it."""
        row_of, column_of = np.cumsum(self.rows) - 1, np.cumsum(self.columns) - 1
        width = len(self.columns)
        excluded = self.excluded[0] * width + self.excluded[1]
        known, truth = (rows * width + ids for rows, ids in (cells.known, cells.truth))
        parts = []
        for places in (np.union1d(known, excluded), np.setdiff1d(truth, excluded)):
            rows, ids = np.divmod(places, width)
            kept = self.rows[rows] & self.columns[ids]
            parts.append((row_of[rows[kept]], column_of[ids[kept]]))
        return Cells(*parts)


def _sample_heads(
    fit: HeldOut, judge: HeldOut, seen: Seen, relation: int, sample: int
) -> Iterator[tuple[Ints, int, tuple[float, float]]]:
    """(heads, fold, weights in both counts): heads with held-out facts, and samples of the rest.

    What is taken for ``fit``, and its weight, does not depend on what ``judge`` holds out.
    """
    random = np.random.default_rng([fit.seed, relation])
    certain, judged = (
        np.unique(each.facts[each.facts[:, 1] == relation, 0]) for each in (fit, judge)
    )
    folds = random.permutation(len(certain)) % fit.folds
    groups = [(certain, folds, (1.0, 1.0))]
    for kind in (seen.heads, ~seen.heads):
        rest = np.setdiff1d(kind.nonzero()[0], certain, assume_unique=True)
        chosen = np.sort(random.choice(rest, min(sample, len(rest)), replace=False))
        folds = random.permutation(len(chosen)) % fit.folds
        weight = len(rest) / max(len(chosen), 1)
        too = np.isin(chosen, judged)
        others = len(np.setdiff1d(rest, judged, assume_unique=True)) / max((~too).sum(), 1)
        groups.append((chosen[too], folds[too], (weight, 1.0)))
        groups.append((chosen[~too], folds[~too], (weight, float(others))))
    more = np.setdiff1d(judged, np.concatenate([heads for heads, _, _ in groups]))
    groups.append((more, np.zeros(len(more), dtype=np.int64), (0.0, 1.0)))
    for heads, fold_of, weights in groups:
        for fold in np.unique(fold_of):
            mine = heads[fold_of == fold]
            for start in range(0, len(mine), QUESTION_BATCH):
                yield mine[start : start + QUESTION_BATCH], int(fold), weights


def _score_heads(
    scorer: Scorer, heads: Ints, relation: int, reverse: Mapping[str, Tensor]
) -> Iterator[tuple[slice, Tensor]]:
    """Logits of the facts of some heads of a relation with all tails, in blocks of tails."""
    candidates = scorer.candidates.vectors
    forward = scorer.encode_relation(heads, relation)
    ids = torch.from_numpy(heads).to(scorer.model.device)
    for columns in split_columns(len(heads), scorer.graph.num_entities):
        tail = average_votes(forward[h] @ candidates[h][columns].T for h in forward)
        head = average_votes(candidates[h][ids] @ reverse[h][columns].T for h in forward)
        yield columns, torch.logit(torch.minimum(tail, head))
