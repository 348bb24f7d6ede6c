"""Counts of true and other candidates by logit: what calibration maps are fitted to and judged by.

Scores are made a few questions at a time and only their histograms are kept. Which candidates are
counted, and which of them are true, ``momok.prediction.calibration.record`` says.

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
from momok.evaluation.pooling import Terms
from momok.evaluation.scoring import ANSWER, QUERY_BATCH, BlockScorer, full_precision
from momok.graph import MultimodalGraph
from momok.graph.fact_index import UNKNOWN, FactIndex
from momok.prediction.calibration.maps import LOGIT_LIMIT
from momok.prediction.calibration.record import FACT, PLAUSIBLE_FACT
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

NUM_BINS = 4096
_WIDTH = 2 * LOGIT_LIMIT / NUM_BINS  # 0.015: a probability of 0.5 is told from 0.504
BIN_LOGITS: Floats = -LOGIT_LIMIT + _WIDTH * (np.arange(NUM_BINS, dtype=np.float64) + 0.5)

SEED = 0  # of folds and samples: not the run's, so that runs differ in nothing but the model
_CELLS_AT_ONCE = 1 << 22  # exact in the float32 that histc counts with, up to 2**24
_FACT_CELLS = 100_000_000  # facts that are looked at, unless held-out ones alone need more
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

    def add(self, logits: Tensor, is_true: Tensor, fold: int, weight: float = 1.0) -> None:
        """Count logits of any shape but those at minus infinity."""
        true = _count_bins(logits[is_true])
        self.true[fold] += weight * true
        self.false[fold] += weight * (_count_bins(logits) - true)

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
        folds: F, into which questions are dealt at random.
    """

    split: str
    truth: FactIndex
    known: FactIndex
    folds: int

    @staticmethod
    def build(graph: MultimodalGraph, split: Literal["valid", "test"], folds: int) -> HeldOut:
        """Facts of a split that an earlier one has too are known, as some graphs are published."""
        splits = [graph.train, graph.valid, graph.test]
        place = 1 if split == "valid" else 2
        sizes = graph.num_entities, graph.num_relations
        known = FactIndex(splits[:place], *sizes)
        new = splits[place][known.find_rows(*splits[place].T) == UNKNOWN]
        return HeldOut(split, FactIndex([new], *sizes), known, folds)

    def mark(self, entities: Ints, relations: Ints, device: torch.device) -> tuple[Tensor, Tensor]:
        """Which candidates are held-out answers of queries [B], and which known ones: [B, N]."""
        marks = torch.zeros(2, len(entities), self.truth.num_entities, dtype=torch.bool)
        for mark, facts in zip(marks, (self.truth, self.known), strict=True):
            mark[*map(torch.from_numpy, facts.lookup(entities, relations))] = True
        is_true, is_known = marks.to(device)
        return is_true, is_known


def count_questions(
    scorer: Scorer, held_out: HeldOut, progress: Progress = no_progress
) -> tuple[dict[str, Counts], dict[str, Counts]]:
    """Count the candidates of all questions that held-out facts answer, by logit.

    Every such question counts once, with all its N candidates but the known ones. Gives for every
    head and ``answer`` the counts of all candidates, and of the best of each question, in one fold.
    """
    names, keys = (*scorer.heads, ANSWER), held_out.truth.keys  # sorted by relation
    every = {name: Counts.empty(held_out.folds) for name in names}
    best = {name: Counts.empty(1) for name in names}
    done = 0
    for batch, fold in _deal(keys, held_out, np.random.default_rng(SEED)):
        relations, entities = np.divmod(batch, scorer.graph.num_entities)
        is_true, is_known = held_out.mark(entities, relations, scorer.model.device)
        for name, logits in _score_questions(scorer, entities, relations):
            logits[is_known] = -torch.inf
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

    Of every relation the heads that have a held-out fact are looked at, and of the others two
    random samples, of heads that the relation has in train and of those it has not; each counts for
    all of its kind, with all tails.

    Gives the counts of ``FACT`` and of ``PLAUSIBLE_FACT``. About ``cells`` facts are looked at, and
    more where held-out facts need it.
    """
    N, R = scorer.graph.num_entities, scorer.graph.num_relations
    sample = max(min(cells // (2 * N * R), max(N // 8, _ENOUGH)), _MIN_SAMPLE)
    result = {name: Counts.empty(held_out.folds) for name in (FACT, PLAUSIBLE_FACT)}
    train = scorer.graph.train_index
    for relation in range(R):
        reverse = scorer.encode_relation(np.arange(N), relation + R)
        train_heads, train_tails = np.zeros((2, N), dtype=bool)
        train_heads[train.entities_of(relation + R)] = True
        train_tails[train.entities_of(relation)] = True
        for heads, fold, weight in _sample_heads(held_out, relation, train_heads, sample):
            logits = _score_facts(scorer, heads, relation, reverse)
            relations = np.full(len(heads), relation)
            is_true, is_known = held_out.mark(heads, relations, logits.device)
            logits[is_known] = -torch.inf
            result[FACT].add(logits, is_true, fold, weight)
            plausible = train_heads[heads, None] & train_tails
            if not train.has_loops(relation):
                plausible[np.arange(len(heads)), heads] = False
            logits[torch.from_numpy(~plausible).to(logits.device)] = -torch.inf
            result[PLAUSIBLE_FACT].add(logits, is_true, fold, weight)
        progress(f"calibrating: facts of {held_out.split}", relation + 1, R)
    return result


def _sample_heads(
    held_out: HeldOut, relation: int, in_train: NDArray[np.bool_], sample: int
) -> Iterator[tuple[Ints, int, float]]:
    """(heads, fold, weight): all with held-out facts, samples of those in train and of the rest."""
    random = np.random.default_rng([SEED, relation])
    certain = held_out.truth.entities_of(relation + held_out.truth.num_relations)
    groups = [(certain, 1.0)]
    for kind in (in_train, ~in_train):
        rest = np.setdiff1d(kind.nonzero()[0], certain, assume_unique=True)
        chosen = np.sort(random.choice(rest, min(sample, len(rest)), replace=False))
        groups.append((chosen, len(rest) / max(len(chosen), 1)))
    for group, weight in groups:
        yield from ((heads, fold, weight) for heads, fold in _deal(group, held_out, random))


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
    scorer: Scorer, entities: Ints, relations: Ints
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
    for head, values in scores:
        said = pooling.compute_log_probabilities(values).exp() if scorer.model.softmax else None
        yield head, values if said is None else _find_log_odds(said)
    yield ANSWER, _find_log_odds(answers)


def _score_facts(
    scorer: Scorer,
    heads: Ints,
    relation: int,
    reverse: tuple[Mapping[str, Tensor], Terms | None],
) -> Tensor:
    """Logits [B, N] of the facts of some heads of a relation with all tails."""
    candidates = scorer.candidates.vectors
    ids = torch.from_numpy(heads).to(scorer.model.device)
    (forward, terms), (backward, back_terms) = scorer.encode_relation(heads, relation), reverse
    with full_precision():
        tail = BlockScorer(scorer.pooling).answer(forward, candidates, terms=terms)
        # heads are in no order: their evidence is looked up
        order = torch.argsort(ids)
        of_heads = {h: vectors[ids[order]] for h, vectors in candidates.items()}
        back_terms = None if back_terms is None else back_terms.restrict(ids[order])
        head = BlockScorer(scorer.pooling).answer(backward, of_heads, terms=back_terms)
        head = head[:, torch.argsort(order)]
    return _find_log_odds(torch.minimum(tail, head.T))


def _find_log_odds(probabilities: Tensor) -> Tensor:
    """Log-odds that are finite below; what underflowed to zero counts as well."""
    return torch.logit(probabilities.clamp_min(1e-30))


def _count_bins(logits: Tensor) -> Floats:
    """How many values are in each bin [n]; those beyond the limits are in the outermost."""
    inside = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    counts: Floats = torch.histc(inside, NUM_BINS, -LOGIT_LIMIT, LOGIT_LIMIT).double().cpu().numpy()
    counts[0] -= int(torch.isneginf(logits).sum())
    return counts
