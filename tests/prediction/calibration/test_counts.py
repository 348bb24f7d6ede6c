"""What calibration counts, against plain loops."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.prediction.calibration.counts import (
    BIN_LOGITS,
    Counts,
    HeldOut,
    count_facts,
    count_questions,
)
from momok.prediction.calibration_record import FACT, PLAUSIBLE_FACT
from momok.prediction.scorer import Scorer
from tests.prediction.vector_scorer import VectorScorer, draw_graph

Cell = tuple[float, bool]


def question_cells(
    scorer: VectorScorer, scores: np.ndarray, held: np.ndarray, known: np.ndarray
) -> dict[tuple[int, int], list[Cell]]:
    """Per question that held-out facts answer, all candidates not known: (logit, is true).

    The entity asked about is one only where train has such facts of the relation."""
    R, N = scorer.graph.num_relations, scorer.graph.num_entities
    loops = {r for h, r, t in scorer.graph.train.tolist() if h == t}

    def both(facts: np.ndarray) -> set[tuple[int, int, int]]:
        return {(r, h, t) for h, r, t in facts.tolist()} | {
            (r + R, t, h) for h, r, t in facts.tolist()
        }

    truth, hidden = both(held), both(known)
    return {
        (r, e): [
            (float(scores[r, e, c]), (r, e, c) in truth)
            for c in range(N)
            if (r, e, c) not in hidden and (e != c or r % R in loops)
        ]
        for r, e, _ in truth
    }


def histogram(cells: list[Cell], wanted: bool) -> np.ndarray:
    width = BIN_LOGITS[1] - BIN_LOGITS[0]
    counts = np.zeros(len(BIN_LOGITS))
    for logit, label in cells:
        if label == wanted:
            counts[int(np.clip((logit + 30) // width, 0, len(counts) - 1))] += 1
    return counts


def same_up_to_a_bin(mine: np.ndarray, theirs: np.ndarray) -> None:
    """Equal but for values that float32 puts over the border of a bin.

    From a logit of 12 on, float32 probabilities are too coarse for the bins: they count as one.
    """
    difference = (np.cumsum(mine) - np.cumsum(theirs))[BIN_LOGITS < 12]
    assert mine.sum() == theirs.sum()
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).sum() <= 3


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), folds=st.integers(1, 5))
def test_all_candidates_of_questions_with_held_out_answers_are_counted(
    seed: int, folds: int
) -> None:
    graph = draw_graph(seed)
    scorer = VectorScorer(graph, seed)
    held = HeldOut.build(graph, "valid", folds)
    every, best = count_questions(cast(Scorer, scorer), held)
    answers = scorer.answers()
    scores = {head: scorer.logits(head) for head in scorer.heads} | {
        "answer": np.log(answers) - np.log1p(-answers)
    }
    for name, values in scores.items():
        by_question = question_cells(scorer, values, graph.valid, graph.train)
        cells = [cell for question in by_question.values() for cell in question]
        counts = every[name]
        assert counts.true.shape == (folds, len(BIN_LOGITS))
        same_up_to_a_bin(counts.true.sum(axis=0), histogram(cells, True))
        same_up_to_a_bin(counts.false.sum(axis=0), histogram(cells, False))
        first = [max(question) for question in by_question.values()]
        same_up_to_a_bin(best[name].true[0], histogram(first, True))
        same_up_to_a_bin(best[name].false[0], histogram(first, False))
        assert best[name].true.sum() + best[name].false.sum() == len(by_question)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), pooled=st.booleans())
def test_answers_of_a_softmax_are_counted_by_their_share_of_what_is_not_known(
    seed: int, *, pooled: bool
) -> None:
    graph = draw_graph(seed)
    scorer = VectorScorer(graph, seed, softmax=True, pooled=pooled)
    held = HeldOut.build(graph, "test", 1)
    known = np.concatenate([graph.train, graph.valid])
    every, best = count_questions(cast(Scorer, scorer), held)
    answers = scorer.answers()
    for head, relation, tail in known.tolist():
        answers[relation, head, tail] = answers[relation + 2, tail, head] = 0.0
    loops = {r for h, r, t in graph.train.tolist() if h == t}
    for relation in range(4):
        if relation % 2 not in loops:
            np.fill_diagonal(answers[relation], 0.0)
    whole = scorer.answers()
    share = answers / np.maximum(1 - (whole - answers).sum(axis=2, keepdims=True), 1e-5)
    with np.errstate(divide="ignore"):
        logits = np.log(share) - np.log(np.maximum(1 - share, 1e-3))
    by_question = question_cells(scorer, logits, graph.test, known)
    cells = [cell for question in by_question.values() for cell in question]
    same_up_to_a_bin(every["answer"].true[0], histogram(cells, True))
    same_up_to_a_bin(every["answer"].false[0], histogram(cells, False))
    first = [max(question) for question in by_question.values()]
    same_up_to_a_bin(best["answer"].true[0], histogram(first, True))


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = draw_graph(1, entities=30, facts=200)
    scorer = cast(Scorer, VectorScorer(graph, 1))
    held = HeldOut.build(graph, "valid", 3)

    def count() -> list[Counts]:
        every, best = count_questions(scorer, held)
        return [*every.values(), *best.values(), *count_facts(scorer, held).values()]

    whole = count()
    monkeypatch.setattr("momok.prediction.calibration.counts._CELLS_AT_ONCE", 40)
    for before, after in zip(whole, count(), strict=True):
        same_up_to_a_bin(before.true.sum(axis=0), after.true.sum(axis=0))
        same_up_to_a_bin(before.false.sum(axis=0), after.false.sum(axis=0))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), pooled=st.booleans())
def test_all_facts_not_in_train_are_counted(seed: int, *, pooled: bool) -> None:
    graph = draw_graph(seed, facts=60)
    scorer = VectorScorer(graph, seed, softmax=pooled, pooled=pooled)
    known = np.concatenate([graph.train, graph.valid])
    valid = HeldOut.build(graph, "valid", 3)
    test = HeldOut.build(graph, "test", 1)
    train = graph.train.tolist()
    for held, hidden in ((valid, graph.train), (test, known)):
        counts = count_facts(cast(Scorer, scorer), held)
        truth, out = ({tuple(f) for f in part.tolist()} for part in (held.truth.facts, hidden))
        every, plausible = [], []
        for relation in range(graph.num_relations):
            scores = scorer.fact_scores(relation)
            heads, tails = ({f[side] for f in train if f[1] == relation} for side in (0, 2))
            loops = any(h == t for h, r, t in train if r == relation)
            for head in range(graph.num_entities):
                for tail in range(graph.num_entities):
                    fact = head, relation, tail
                    if fact in out or (head == tail and not loops):
                        continue
                    p = scores[head, tail]
                    every.append((float(np.log(p) - np.log1p(-p)), fact in truth))
                    if head in heads and tail in tails:
                        plausible.append(every[-1])
        for found, cells in ((counts[FACT], every), (counts[PLAUSIBLE_FACT], plausible)):
            same_up_to_a_bin(found.true.sum(axis=0), histogram(cells, True))
            same_up_to_a_bin(found.false.sum(axis=0), histogram(cells, False))


def test_a_sample_of_heads_stands_for_all() -> None:
    graph = draw_graph(5, entities=300, relations=1, facts=80)
    scorer = cast(Scorer, VectorScorer(graph, 5))
    held = HeldOut.build(graph, "valid", 2)
    every, part = (count_facts(scorer, held, cells=cells)[FACT] for cells in (10**8, 300 * 800))
    assert part.true.sum() == every.true.sum() == len(graph.valid)
    assert part.false.sum() == pytest.approx(every.false.sum(), rel=0.01)
    for bins in np.array_split(np.arange(len(BIN_LOGITS)), 64):
        wanted = every.false.sum(axis=0)[bins].sum()
        if wanted > 2000:
            assert part.false.sum(axis=0)[bins].sum() == pytest.approx(wanted, rel=0.25)


def test_facts_that_are_known_too_are_not_held_out() -> None:
    graph = draw_graph(6)
    valid = np.concatenate([graph.valid, graph.train[:2]])
    double = dataclasses.replace(graph, valid=valid, test=valid[:3])
    assert HeldOut.build(double, "valid", 2).truth.facts.tolist() == graph.valid.tolist()
    assert len(HeldOut.build(double, "test", 1).truth.facts) == 0
