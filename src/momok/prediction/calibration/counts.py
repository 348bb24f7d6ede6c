"""Counts of true and other candidates by logit, streamed: what calibration is fitted to.

Scores are made in blocks and only their histograms are kept. Which candidates are counted, and
which of them are true, ``momok.prediction.calibration.record`` says.

Shapes: B questions, N candidates, F folds, n bins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.evaluation import ANSWER, build_filter
from momok.model.votes import abstains, average_votes
from momok.prediction.calibration.maps import LOGIT_LIMIT
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

__all__ = [
    "BIN_LOGITS",
    "Cells",
    "Counts",
    "HeldOut",
    "add_block",
    "count_questions",
    "split_columns",
]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

NUM_BINS = 4096
_WIDTH = 2 * LOGIT_LIMIT / NUM_BINS  # 0.015: a probability of 0.5 is told from 0.504
BIN_LOGITS: Floats = -LOGIT_LIMIT + _WIDTH * (np.arange(NUM_BINS, dtype=np.float64) + 0.5)

QUESTION_BATCH = 256
_MAX_CELLS = 1 << 22  # of a block: exact in the float32 that histc counts with, up to 2**24


@dataclass(frozen=True)
class Counts:
    """A histogram of candidates over logits.

    Attributes:
        true: [F, n] candidates that are held-out facts.
        false: [F, n] the other ones.
    """

    true: Floats
    false: Floats

    @staticmethod
    def empty(folds: int) -> Counts:
        """Nothing counted yet."""
        return Counts(np.zeros((folds, NUM_BINS)), np.zeros((folds, NUM_BINS)))

    def merge(self) -> tuple[Floats, Floats]:
        """All folds together: (true [n], false [n])."""
        return self.true.sum(axis=0), self.false.sum(axis=0)


@dataclass(frozen=True)
class HeldOut:
    """Facts held out from a model, and those that it is allowed to know.

    Attributes:
        facts: [n, 3] held out, none of them known.
        known: [m, 3] left out of every count.
        folds: F, into which questions are dealt at random.
        seed: of the deal.
    """

    facts: Ints
    known: Ints
    folds: int
    seed: int

    @staticmethod
    def without_known(facts: Ints, known: Ints, folds: int, seed: int) -> HeldOut:
        """Leave out facts that are known too, as some graphs are published."""
        if not len(facts):
            return HeldOut(facts, known, folds, seed)
        size = np.maximum(facts.max(axis=0), known.max(axis=0, initial=0)) + 1
        keys = [(f[:, 1] * size[0] + f[:, 0]) * size[2] + f[:, 2] for f in (facts, known)]
        return HeldOut(facts[~np.isin(keys[0], keys[1])], known, folds, seed)


@dataclass
class QuestionCounts:
    """What ``count_questions`` gives, by output: every head and ``answer``.

    Attributes:
        candidates: of all candidates.
        best: of the best candidate of every question, one fold.
        questions: how many questions.
    """

    candidates: dict[str, Counts]
    best: dict[str, Counts]
    questions: int = 0


def count_questions(
    scorer: Scorer, held_out: HeldOut, progress: Progress = no_progress
) -> QuestionCounts:
    """Count the candidates of all questions that held-out facts answer, by logit.

    Every such question counts once, with all its N candidates but the known ones.
    """
    graph = scorer.graph
    N, R = graph.num_entities, graph.num_relations
    truth = build_filter([held_out.facts], N, R)
    known = build_filter([held_out.known], N, R)
    keys = truth.keys  # distinct questions, sorted by relation
    fold_of = np.random.default_rng(held_out.seed).permutation(len(keys)) % held_out.folds
    names = (*scorer.heads, ANSWER)
    result = QuestionCounts(
        candidates={name: Counts.empty(held_out.folds) for name in names},
        best={name: Counts.empty(1) for name in names},
    )
    for fold in range(held_out.folds):
        mine = keys[fold_of == fold]
        for start in range(0, len(mine), QUESTION_BATCH):
            relations, entities = np.divmod(mine[start : start + QUESTION_BATCH], N)
            queries = scorer.encode_queries(entities, relations).vectors
            cells = Cells(known.lookup(entities, relations), truth.lookup(entities, relations))
            _count_batch(queries, scorer.candidates.vectors, cells, result, fold)
            result.questions += len(entities)
            progress("calibrating: held-out questions", result.questions, len(keys))
    return result


def _count_batch(
    queries: Mapping[str, Tensor],
    candidates: Mapping[str, Tensor],
    cells: Cells,
    result: QuestionCounts,
    fold: int,
) -> None:
    """Add one batch of questions, in blocks of candidates."""
    rows = len(next(iter(queries.values())))
    best = {name: _Best(rows) for name in result.best}
    for columns in split_columns(rows, len(next(iter(candidates.values())))):
        inside = cells.inside(columns)
        scores = {head: q @ candidates[head][columns].T for head, q in queries.items()}
        answer = torch.logit(average_votes(scores))
        for head, logits in scores.items():
            add_block(logits, inside, result.candidates[head], fold, 1.0)
            best[head].offer(logits, columns.start)
        logits = answer
        add_block(logits, inside, result.candidates[ANSWER], fold, 1.0)
        best[ANSWER].offer(logits, columns.start)
    for name, found in best.items():
        found.count(cells.truth, result.best[name])


def split_columns(rows: int, num_candidates: int) -> Iterator[slice]:
    """Blocks of candidates for so many questions."""
    width = max(_MAX_CELLS // max(rows, 1), 1)
    return (slice(start, start + width) for start in range(0, num_candidates, width))


@dataclass(frozen=True)
class Cells:
    """Known and true candidates of a batch of questions: (rows, ids) each."""

    known: tuple[Ints, Ints]
    truth: tuple[Ints, Ints]

    def inside(self, columns: slice) -> Cells:
        """Those in a block of candidates, by their place in it."""
        parts = []
        for rows, ids in (self.known, self.truth):
            chosen = (ids >= columns.start) & (ids < columns.stop)
            parts.append((rows[chosen], ids[chosen] - columns.start))
        return Cells(*parts)


@dataclass
class _Best:
    """The best candidate so far of every question of a batch: [B]."""

    rows: int
    logits: Tensor = field(init=False)
    ids: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.logits = torch.full((self.rows,), -torch.inf)
        self.ids = torch.full((self.rows,), -1)

    def offer(self, logits: Tensor, first: int) -> None:
        """Look at a block [B, n], known cells at minus infinity."""
        values, places = (part.cpu() for part in logits.max(dim=1))
        better = values > self.logits
        self.logits = torch.where(better, values, self.logits)
        self.ids = torch.where(better, places + first, self.ids)

    def count(self, truth: tuple[Ints, Ints], into: Counts) -> None:
        rows, ids = truth
        found = self.ids.numpy()
        right = np.zeros(self.rows, dtype=bool)
        right[rows[found[rows] == ids]] = True
        exists = (found >= 0) & ~abstains(self.logits).numpy()
        for chosen, counts in ((exists & right, into.true), (exists & ~right, into.false)):
            counts[0] += _histogram(self.logits[torch.from_numpy(chosen)])


def add_block(logits: Tensor, cells: Cells, counts: Counts, fold: int, weight: float) -> None:
    """Count a block but for cells where the head abstains; minus infinity at the known cells."""

    def place(pairs: tuple[Ints, Ints]) -> tuple[Tensor, Tensor]:
        rows, columns = (torch.from_numpy(part).to(logits.device) for part in pairs)
        return rows, columns

    true_logits = logits[place(cells.truth)]
    true = _histogram(true_logits)
    true[0] -= int(abstains(true_logits).sum())  # no answers at all, in the lowest bin
    logits[place(cells.known)] = -torch.inf
    everything = _histogram(logits)
    everything[0] -= int(abstains(logits).sum())  # the known ones too: minus infinity
    counts.true[fold] += weight * true
    counts.false[fold] += weight * (everything - true)


def _histogram(logits: Tensor) -> Floats:
    """How many values are in each bin [n]; those beyond the limits are in the outermost."""
    inside = torch.histc(logits.clamp(max=LOGIT_LIMIT), NUM_BINS, -LOGIT_LIMIT, LOGIT_LIMIT)
    counts: Floats = inside.double().cpu().numpy()
    counts[0] += logits.numel() - counts.sum()  # histc leaves out what is below
    return counts
