"""Counts of true and other candidates by logit, streamed: what calibration is fitted to.

Scores are made in blocks and only their histograms are kept. Which candidates are counted, and
which of them are true, ``momok.prediction.calibration`` says.

Shapes: B questions, N candidates, R relations, F folds, n bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.evaluation import ANSWER, build_filter
from momok.graph import MultimodalGraph
from momok.prediction.calibrators import LOGIT_LIMIT
from momok.prediction.fact_search import encode_relation

if TYPE_CHECKING:
    from momok.prediction.predictor import Predictor

__all__ = ["BIN_LOGITS", "Counts", "FactCounts", "HeldOut", "count_facts", "count_questions"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

NUM_BINS = 4096
_WIDTH = 2 * LOGIT_LIMIT / NUM_BINS  # 0.015: a probability of 0.5 is told from 0.504
BIN_LOGITS: Floats = -LOGIT_LIMIT + _WIDTH * (np.arange(NUM_BINS) + 0.5)

_QUESTION_BATCH = 256
_MAX_CELLS = 1 << 22  # of a block: exact in the float32 that histc counts with, up to 2**24
_FACT_CELLS = 100_000_000  # facts that are looked at for "fact", unless valid alone needs more
_MIN_SAMPLE, _ENOUGH = 16, 256  # questions per relation, even if that is all of them

Progress = Callable[[int, int], None]


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
    predictor: Predictor, held_out: HeldOut, progress: Progress | None = None
) -> QuestionCounts:
    """Count the candidates of all questions that held-out facts answer, by logit.

    Every such question counts once, with all its N candidates but the known ones.
    """
    graph = predictor.graph
    N, R = graph.num_entities, graph.num_relations
    truth = build_filter([held_out.facts], N, R)
    known = build_filter([held_out.known], N, R)
    keys = truth.keys  # distinct questions, sorted by relation
    fold_of = np.random.default_rng(held_out.seed).permutation(len(keys)) % held_out.folds
    names = (*predictor.heads, ANSWER)
    result = QuestionCounts(
        candidates={name: Counts.empty(held_out.folds) for name in names},
        best={name: Counts.empty(1) for name in names},
    )
    for fold in range(held_out.folds):
        mine = keys[fold_of == fold]
        for start in range(0, len(mine), _QUESTION_BATCH):
            relations, entities = np.divmod(mine[start : start + _QUESTION_BATCH], N)
            queries = predictor.encode_queries(entities, relations)
            cells = _Cells(known.lookup(entities, relations), truth.lookup(entities, relations))
            _count_batch(queries, predictor.candidate_vectors, cells, result, fold)
            result.questions += len(entities)
            if progress is not None:
                progress(result.questions, len(keys))
    return result


def _count_batch(
    queries: Mapping[str, Tensor],
    candidates: Mapping[str, Tensor],
    cells: _Cells,
    result: QuestionCounts,
    fold: int,
) -> None:
    """Add one batch of questions, in blocks of candidates."""
    rows = len(next(iter(queries.values())))
    best = {name: _Best(rows) for name in result.best}
    for columns in _split_columns(rows, len(next(iter(candidates.values())))):
        inside = cells.inside(columns)
        total: Tensor | None = None
        for head, vectors in queries.items():
            logits = vectors @ candidates[head][columns].T
            part = torch.sigmoid(logits)
            total = part if total is None else total.add_(part)
            _add(logits, inside, result.candidates[head], fold, 1.0)
            best[head].offer(logits, columns.start)
        assert total is not None
        logits = _to_logits(total, len(queries))
        _add(logits, inside, result.candidates[ANSWER], fold, 1.0)
        best[ANSWER].offer(logits, columns.start)
    for name, found in best.items():
        found.count(cells.truth, result.best[name])


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
    predictor: Predictor,
    fit: HeldOut,
    judge: HeldOut,
    *,
    cells: int = _FACT_CELLS,
    progress: Progress | None = None,
) -> tuple[FactCounts, FactCounts]:
    """Count all facts that are not known by the logit of the lower of their two answers.

    Of every relation the heads that have a held-out fact are looked at, and of the others two
    random samples, of heads that the relation has in train and of those it has not; each counts for
    all of its kind, with all tails. Scores are made once for all counts.

    Args:
        predictor: the model.
        fit: counted by fold.
        judge: counted too, in one fold; it knows all that ``fit`` knows.
        cells: about how many facts to look at; more are looked at where held-out facts need it.
        progress: is told (done, total) relations.
    """
    graph = predictor.graph
    N, R = graph.num_entities, graph.num_relations
    sample = min(cells // (2 * N * R), max(N // 8, _ENOUGH), N)
    sample = min(max(sample, _MIN_SAMPLE), N)
    results = tuple(
        FactCounts(Counts.empty(folds), Counts.empty(folds)) for folds in (fit.folds, 1)
    )
    filters = [[build_filter([f], N, R) for f in (each.known, each.facts)] for each in (fit, judge)]
    for relation in range(R):
        reverse = encode_relation(predictor, np.arange(N), relation + R)
        seen = Seen.find(graph, relation)
        for heads, fold, weights in _sample_heads(fit, judge, seen, relation, sample):
            same = np.full(len(heads), relation)
            counted = [_Cells(*(part.lookup(heads, same) for part in pair)) for pair in filters]
            for columns, logits in _score_heads(predictor, heads, relation, reverse):
                view = seen.look(heads, columns, logits)
                for counts, each, into, weight in zip(
                    results, counted, (fold, 0), weights, strict=True
                ):
                    inside = each.inside(columns)
                    _add(view.logits, view.restrict(inside), counts.plausible, into, weight)
                    _add(logits, inside, counts.every, into, weight)
        if progress is not None:
            progress(relation + 1, R)
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
    def find(graph: MultimodalGraph, relation: int) -> Seen:
        """Look through the train facts."""
        heads, _, tails = graph.train[graph.train[:, 1] == relation].T
        masks = np.zeros((2, graph.num_entities), dtype=bool)
        masks[0, heads] = masks[1, tails] = True
        return Seen(masks[0], masks[1], bool((heads == tails).any()))

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

    def restrict(self, cells: _Cells) -> _Cells:
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
        return _Cells(*parts)


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
            for start in range(0, len(mine), _QUESTION_BATCH):
                yield mine[start : start + _QUESTION_BATCH], int(fold), weights


def _score_heads(
    predictor: Predictor, heads: Ints, relation: int, reverse: Mapping[str, Tensor]
) -> Iterator[tuple[slice, Tensor]]:
    """Logits of the facts of some heads of a relation with all tails, in blocks of tails."""
    candidates = predictor.candidate_vectors
    forward = encode_relation(predictor, heads, relation)
    ids = torch.from_numpy(heads).to(predictor.model.device)
    for columns in _split_columns(len(heads), predictor.graph.num_entities):
        tail = sum(torch.sigmoid(forward[h] @ candidates[h][columns].T) for h in forward)
        head = sum(torch.sigmoid(candidates[h][ids] @ reverse[h][columns].T) for h in forward)
        assert isinstance(tail, Tensor)
        assert isinstance(head, Tensor)
        yield columns, _to_logits(torch.minimum(tail, head), len(forward))


def _split_columns(rows: int, num_candidates: int) -> Iterator[slice]:
    width = max(_MAX_CELLS // max(rows, 1), 1)
    return (slice(start, start + width) for start in range(0, num_candidates, width))


@dataclass(frozen=True)
class _Cells:
    """Known and true candidates of a batch of questions: (rows, ids) each."""

    known: tuple[Ints, Ints]
    truth: tuple[Ints, Ints]

    def inside(self, columns: slice) -> _Cells:
        """Those in a block of candidates, by their place in it."""
        parts = []
        for rows, ids in (self.known, self.truth):
            chosen = (ids >= columns.start) & (ids < columns.stop)
            parts.append((rows[chosen], ids[chosen] - columns.start))
        return _Cells(*parts)


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
        exists = found >= 0
        for chosen, counts in ((exists & right, into.true), (exists & ~right, into.false)):
            counts[0] += _histogram(self.logits[torch.from_numpy(chosen)])


def _to_logits(total: Tensor, heads: int) -> Tensor:
    """Logits of the mean probability, from the sum over heads; overwrites it."""
    return torch.logit(total.div_(heads))


def _add(logits: Tensor, cells: _Cells, counts: Counts, fold: int, weight: float) -> None:
    """Count a block; leaves minus infinity at the known cells."""

    def place(pairs: tuple[Ints, Ints]) -> tuple[Tensor, Tensor]:
        rows, columns = (torch.from_numpy(part).to(logits.device) for part in pairs)
        return rows, columns

    true = _histogram(logits[place(cells.truth)])
    logits[place(cells.known)] = -torch.inf
    everything = _histogram(logits)
    everything[0] -= len(cells.known[0])  # minus infinity is in the lowest bin
    counts.true[fold] += weight * true
    counts.false[fold] += weight * (everything - true)


def _histogram(logits: Tensor) -> Floats:
    """How many values are in each bin [n]; those beyond the limits are in the outermost."""
    inside = torch.histc(logits.clamp(max=LOGIT_LIMIT), NUM_BINS, -LOGIT_LIMIT, LOGIT_LIMIT)
    counts: Floats = inside.double().cpu().numpy()
    counts[0] += logits.numel() - counts.sum()  # histc leaves out what is below
    return counts
