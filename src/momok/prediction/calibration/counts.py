"""Counts of true and other candidates by logit: what calibration maps are fitted to and judged by.

Scores are made a few questions at a time and only their histograms are kept. Which candidates are
counted, and which of them are true, ``momok.prediction.calibration_record`` says.

Shapes: B questions, N candidates, F folds, n bins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.evaluation.pooling import Terms, compute_rest
from momok.evaluation.scoring import ANSWER, QUERY_BATCH, BlockScorer, full_precision
from momok.graph import MultimodalGraph
from momok.graph.fact_index import UNKNOWN, FactIndex, lookup_excluded
from momok.prediction.calibration_maps import (
    LOGIT_LIMIT,
    compute_share_logits,
)
from momok.prediction.calibration_record import FACT, PLAUSIBLE_FACT
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

NUM_BINS = 4096
_WIDTH = 2 * LOGIT_LIMIT / NUM_BINS  # 0.015: a probability of 0.5 is told from 0.504
BIN_LOGITS: Floats = -LOGIT_LIMIT + _WIDTH * (np.arange(NUM_BINS, dtype=np.float64) + 0.5)

SEED = 0  # of folds and samples: not the run's, so that runs differ in nothing but the model
_CELLS_AT_ONCE = 1 << 22  # exact in the float32 that histc counts with, up to 2**24
_FACT_CELLS = 180_000_000  # answers that are computed, unless held-out facts alone need more
_MIN_SAMPLE, _ENOUGH = 16, 256  # heads per relation, even if that is all of them


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

    def add(
        self, logits: Tensor, is_true: Tensor, fold: int, weights: Floats | None = None
    ) -> None:
        """Count logits of any shape but those at minus infinity, each for as many as ``weights``
        of that shape say."""
        if weights is None:
            true = _count_bins(logits[is_true])
            self.true[fold] += true
            self.false[fold] += _count_bins(logits) - true
        else:
            # apart, not subtracted: weighted counts would be rounded below zero
            self.true[fold] += _count_bins(logits.masked_fill(~is_true, -torch.inf), weights)
            self.false[fold] += _count_bins(logits.masked_fill(is_true, -torch.inf), weights)

    def merge(self) -> tuple[Floats, Floats]:
        """All folds together: (true [n], false [n])."""
        return self.true.sum(axis=0), self.false.sum(axis=0)


@dataclass(frozen=True)
class HeldOut:
    """Facts held out from a model, and those that it is allowed to know.

    Attributes:
        split: what they are called.
        truth: the held-out facts, none of them known.
        known: facts left out of every count.
        train: of what the model learned; the entity of a question is left out of its candidates
            where this has no such facts of the relation.
        folds: F, into which questions are dealt at random.
    """

    split: str
    truth: FactIndex
    known: FactIndex
    train: FactIndex
    folds: int

    @staticmethod
    def build(graph: MultimodalGraph, split: Literal["valid", "test"], folds: int) -> HeldOut:
        """Facts of a split that an earlier one has too are known, as some graphs are published."""
        splits = [graph.train, graph.valid, graph.test]
        place = 1 if split == "valid" else 2
        sizes = graph.num_entities, graph.num_relations
        known = FactIndex(splits[:place], *sizes)
        new = splits[place][known.find_rows(*splits[place].T) == UNKNOWN]
        return HeldOut(split, FactIndex([new], *sizes), known, graph.train_index, folds)

    def lookup_excluded(self, entities: Ints, relations: Ints) -> tuple[Ints, Ints]:
        """(rows, answers) of what is no candidate of queries [B]."""
        return lookup_excluded(self.known, self.train, entities, relations)

    def mark(self, entities: Ints, relations: Ints, device: torch.device) -> tuple[Tensor, Tensor]:
        """Which entities are held-out answers of queries [B], and which no candidates: [B, N]."""
        marks = torch.zeros(2, len(entities), self.truth.num_entities, dtype=torch.bool)
        for mark, lookup in zip(marks, (self.truth.lookup, self.lookup_excluded), strict=True):
            mark[*map(torch.from_numpy, lookup(entities, relations))] = True
        is_true, is_excluded = marks.to(device)
        return is_true, is_excluded


def count_questions(
    scorer: Scorer, held_out: HeldOut, progress: Progress = no_progress
) -> tuple[dict[str, Counts], dict[str, Counts]]:
    """Count the candidates of all questions that held-out facts answer, by logit.

    Every such question counts once, with all its candidates. Gives for every
    head and ``answer`` the counts of all candidates, and of the best of each question, in one fold.
    """
    names, keys = (*scorer.heads, ANSWER), held_out.truth.keys  # sorted by relation
    every = {name: Counts.empty(held_out.folds) for name in names}
    best = {name: Counts.empty(1) for name in names}
    done = 0
    for batch, fold in _deal(keys, held_out, np.random.default_rng(SEED)):
        relations, entities = np.divmod(batch, scorer.graph.num_entities)
        is_true, is_excluded = held_out.mark(entities, relations, scorer.model.device)
        for name, logits in _score_questions(scorer, held_out, entities, relations):
            logits[is_excluded] = -torch.inf
            every[name].add(logits, is_true, fold)
            largest, ids = logits.max(dim=1, keepdim=True)
            best[name].add(largest, is_true.gather(1, ids), 0)
        done += len(batch)
        progress(f"calibrating: questions of {held_out.split}", done, len(keys))
    return every, best


def count_facts(
    scorer: Scorer, held_out: HeldOut, *, cells: int = _FACT_CELLS, progress: Progress = no_progress
) -> dict[str, Counts]:
    """Count all facts that are not known by the logit of the lower of their two answers.

    Of every relation some heads and some tails are looked at, each head with each tail: those of
    held-out facts, those that score best with these, and two random samples of the others, of
    entities that the relation has in train and of those it has not. A fact counts for as many as
    its head and its tail were drawn from.

    Gives the counts of ``FACT`` and of ``PLAUSIBLE_FACT``. About ``cells`` answers are computed,
    and more where held-out facts need it.
    """
    N, R = scorer.graph.num_entities, scorer.graph.num_relations
    sample = N if cells >= R * N**2 else max(cells // (4 * N * R), _MIN_SAMPLE)
    others = sample if sample == N else sample // 4  # tails that are likely for no head
    most = min(sample, max(N // 8, _ENOUGH))
    result = {name: Counts.empty(held_out.folds) for name in (FACT, PLAUSIBLE_FACT)}
    train = scorer.graph.train_index
    for relation in range(R):
        random = np.random.default_rng([SEED, relation])
        train_heads, train_tails = np.zeros((2, N), dtype=bool)
        train_heads[train.entities_of(relation + R)] = True
        train_tails[train.entities_of(relation)] = True
        heads_of, tails_of = map(held_out.truth.entities_of, (relation + R, relation))
        if sample < N:
            seeds = (tails_of, train.entities_of(relation)[:sample], np.arange(1))
            first = next(entities for entities in seeds if len(entities))
            some = _ask(scorer, relation + R, first, np.ones(len(first)))
            heads_of = np.union1d(heads_of, _find_best(scorer, held_out, some, sample))
        heads = _ask(scorer, relation, *_sample(heads_of, train_heads, (most, most), random))
        if sample < N:
            tails_of = np.union1d(tails_of, _find_best(scorer, held_out, heads, sample))
        tails = _ask(
            scorer, relation + R, *_sample(tails_of, train_tails, (sample, others), random)
        )
        in_train = train_tails[tails.ids].nonzero()[0]
        for places, fold in _deal(np.arange(len(heads.ids)), held_out, random):
            some = heads.select(places)
            tail_answers = _answer(scorer, some, tails.ids)
            logits = _find_log_odds(torch.minimum(tail_answers, _answer(scorer, tails, some.ids).T))
            marks = held_out.mark(some.ids, np.full(len(places), relation), logits.device)
            is_true, is_excluded = (mark[:, tails.ids] for mark in marks)
            logits[is_excluded] = -torch.inf
            weights = np.outer(some.weights, tails.weights)
            result[FACT].add(logits, is_true, fold, weights)
            plausible = np.ix_(train_heads[some.ids].nonzero()[0], in_train)
            result[PLAUSIBLE_FACT].add(
                logits[plausible], is_true[plausible], fold, weights[plausible]
            )
        progress(f"calibrating: facts of {held_out.split}", relation + 1, R)
    return result


@dataclass(frozen=True, eq=False)
class _Asked:
    """Questions about entities ``ids`` [n], ascending, under one relation, and for how many others
    each stands [n]."""

    ids: Ints
    weights: Floats
    relation: int
    vectors: Mapping[str, Tensor]
    terms: Terms | None

    def select(self, places: Ints) -> _Asked:
        """Some of them, ascending."""
        rows = torch.from_numpy(places)
        return _Asked(
            self.ids[places],
            self.weights[places],
            self.relation,
            {head: vectors[rows.to(vectors.device)] for head, vectors in self.vectors.items()},
            None if self.terms is None else self.terms.select(rows.to(self.terms.starts.device)),
        )


def _ask(scorer: Scorer, relation: int, ids: Ints, weights: Floats) -> _Asked:
    return _Asked(ids, weights, relation, *scorer.encode_relation(ids, relation))


def _sample(
    certain: Ints,
    in_train: NDArray[np.bool_],
    sample: tuple[int, int],
    random: np.random.Generator,
) -> tuple[Ints, Floats]:
    """(entities, weights), ascending: those that are certain, and so many of the others that are
    in train, and of those that are not."""
    ids, weights = [certain], [np.ones(len(certain))]
    for kind, most in zip((in_train, ~in_train), sample, strict=True):
        rest = np.setdiff1d(kind.nonzero()[0], certain, assume_unique=True)
        chosen = random.choice(rest, min(most, len(rest)), replace=False)
        ids.append(chosen)
        weights.append(np.full(len(chosen), len(rest) / max(len(chosen), 1)))
    entities = np.concatenate(ids)
    order = np.argsort(entities)
    return entities[order], np.concatenate(weights)[order]


def _find_best(scorer: Scorer, held_out: HeldOut, asked: _Asked, count: int) -> Ints:
    """The entities that answer any of these questions best, where they are candidates."""
    every = np.arange(scorer.graph.num_entities)
    best = torch.zeros(len(every), device=scorer.model.device)
    size = max(_CELLS_AT_ONCE // len(every), 1)
    for start in range(0, len(asked.ids), size):
        some = asked.select(np.arange(start, min(start + size, len(asked.ids))))
        answers = _answer(scorer, some, every)
        relations = np.full(len(some.ids), asked.relation)
        _, is_excluded = held_out.mark(some.ids, relations, best.device)
        best = torch.maximum(best, answers.masked_fill_(is_excluded, 0.0).amax(dim=0))
    return best.topk(count).indices.cpu().numpy()


def _answer(scorer: Scorer, asked: _Asked, ids: Ints) -> Tensor:
    """The answers [B, n] of candidates ``ids`` [n], ascending, to questions [B]."""
    places = torch.from_numpy(ids).to(scorer.model.device)
    candidates = {head: vectors[places] for head, vectors in scorer.candidates.vectors.items()}
    terms = None if asked.terms is None else asked.terms.restrict(places)
    with full_precision():
        return BlockScorer(scorer.pooling).answer(asked.vectors, candidates, terms=terms)


def _deal(
    items: Ints, held_out: HeldOut, random: np.random.Generator
) -> Iterator[tuple[Ints, int]]:
    """(items, fold): a random fold for each, few enough together for the memory of their scores."""
    size = min(max(_CELLS_AT_ONCE // held_out.truth.num_entities, 1), QUERY_BATCH)
    fold_of = random.permutation(len(items)) % held_out.folds
    for fold in range(held_out.folds):
        mine = items[fold_of == fold]
        for start in range(0, len(mine), size):
            yield mine[start : start + size], fold


def _score_questions(
    scorer: Scorer, held_out: HeldOut, entities: Ints, relations: Ints
) -> Iterator[tuple[str, Tensor]]:
    """Logits [B, N] of every head and of the answer."""
    queries, pooling = scorer.encode_queries(entities, relations), scorer.pooling
    scores: list[tuple[str, Tensor]] = []
    with full_precision():
        answers = BlockScorer(pooling).answer(
            queries.vectors,
            scorer.candidates.vectors,
            lambda head, costs: scores.append((head, -costs)),
            terms=queries.terms,
        )
    if not scorer.model.softmax:
        yield from scores
        yield ANSWER, _find_log_odds(answers)
        return
    excluded = [torch.from_numpy(x) for x in held_out.lookup_excluded(entities, relations)]
    rows, ids = (part.to(answers.device) for part in excluded)
    said = [(head, pooling.compute_log_probabilities(values).exp()) for head, values in scores]
    for name, probabilities in (*said, (ANSWER, answers)):
        rest = compute_rest(rows, probabilities[rows, ids], len(entities))
        yield name, compute_share_logits(probabilities, rest.float().unsqueeze(1))


def _find_log_odds(probabilities: Tensor) -> Tensor:
    """Log-odds that are finite below; what underflowed to zero counts as well."""
    return torch.logit(probabilities.clamp_min(1e-30))


def _count_bins(logits: Tensor, weights: Floats | None = None) -> Floats:
    """How many values are in each bin [n]; those beyond the limits are in the outermost."""
    inside = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    if weights is not None:
        counted = ~torch.isneginf(logits)
        bins = ((inside[counted] + LOGIT_LIMIT) / _WIDTH).long().clamp(max=NUM_BINS - 1)
        weighted = weights[counted.cpu().numpy()]
        return np.asarray(np.bincount(bins.cpu().numpy(), weighted, NUM_BINS), dtype=np.float64)
    counts: Floats = torch.histc(inside, NUM_BINS, -LOGIT_LIMIT, LOGIT_LIMIT).double().cpu().numpy()
    counts[0] -= int(torch.isneginf(logits).sum())
    return counts
