"""Choosing a map by folds that its fit did not see, and judging it, against plain loops."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from momok.config import resolve_config
from momok.prediction.calibration.counts import BIN_LOGITS, Counts
from momok.prediction.calibration.fit import (
    EDGES,
    calibrate_run,
    choose_map,
    compute_reliability,
)
from momok.prediction.calibration_maps import fit_map
from momok.prediction.calibration_record import load_calibration
from momok.training import train
from tests.prediction.test_calibration_maps import (
    DISTORTIONS,
    IDENTITY,
    distort,
    draw,
    make_line,
    sigmoid,
)
from tests.prediction.vector_scorer import draw_graph

# -- choosing ------------------------------------------------------------------------------------


def split(true: np.ndarray, false: np.ndarray, folds: int = 5) -> Counts:
    generator = np.random.default_rng(0)
    parts = [
        generator.multinomial(1, np.full(folds, 1 / folds), size=len(true)).T * count
        for count in (true, false)
    ]
    return Counts(*parts)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_chosen_map_is_no_worse_than_none_on_fresh_data(name: str) -> None:
    truth = distort(name)
    chosen, losses = choose_map(split(*draw(truth, seed=7)))
    assert losses[chosen.method] == min(losses.values()) <= losses["identity"]
    fresh = draw(truth, seed=8)
    raw, new = (compute_reliability(m, fresh) for m in (IDENTITY, chosen))
    assert new.log_loss < raw.log_loss
    assert new.ece < raw.ece
    assert new.ece < 0.01


def test_choosing_is_by_folds_that_the_fit_did_not_see() -> None:
    """On a handful of calibrated candidates isotonic fits best, and predicts worse than nothing."""
    counts = split(*draw(sigmoid(BIN_LOGITS), seed=11, size=60), folds=3)
    chosen, losses = choose_map(counts)
    closest = fit_map("isotonic", BIN_LOGITS, *counts.merge())
    fits = [compute_reliability(m, counts.merge()).log_loss for m in (IDENTITY, closest)]
    assert fits[1] < fits[0]
    assert losses["isotonic"] > losses["identity"]
    assert chosen.method != "isotonic"


def test_without_two_folds_of_true_candidates_nothing_is_changed() -> None:
    counts = Counts.empty(5)
    counts.false[:, 100] = 10
    counts.true[2, 3000] = 4
    assert choose_map(counts) == (IDENTITY, {})


def test_a_steep_map_of_few_logits_costs_no_infinite_loss() -> None:
    """Folds that lie in two bins are separated; one with candidates far from them is not."""
    counts = Counts.empty(5)
    counts.true[:, 2001] = 20
    counts.false[:, 2000] = 20
    counts.false[4, 4000] = counts.true[4, 10] = 1
    chosen, losses = choose_map(counts)
    assert np.isfinite(list(losses.values())).all()
    judged = compute_reliability(chosen, counts.merge(), counts.merge())
    assert np.isfinite([judged.log_loss, judged.ece, judged.ece_shown]).all()


def test_weights_that_do_not_add_up_exactly_leave_no_negative_counts() -> None:
    counts = Counts.empty(5)
    counts.true[:, [1000, 2000]] = 3
    counts.false[:, 1000] = [0.1, 0.2, 0.3, 0.7, 1.1]
    counts.false[2, 2000] = 0.1  # alone in its bin: nothing but rounding is left without its fold
    counts.false[:, 1500] = 1e9 / 3
    chosen, losses = choose_map(counts)
    assert np.isfinite(list(losses.values())).all()
    assert np.isfinite(np.array(chosen.knots)).all()


# -- judging -------------------------------------------------------------------------------------


def test_reliability_against_plain_loops() -> None:
    generator = np.random.default_rng(9)
    true = generator.integers(0, 3, len(BIN_LOGITS)).astype(float)
    false = generator.integers(0, 4, len(BIN_LOGITS)).astype(float)
    fitted = make_line(0.3, -1.0)
    result = compute_reliability(fitted, (true, false), (true, false))

    cases = []  # one (probability, is true) per candidate
    for x, trues, falses in zip(BIN_LOGITS, true, false, strict=True):
        p = 1 / (1 + np.exp(1.0 - 0.3 * x))
        cases += [(p, 1)] * int(trues) + [(p, 0)] * int(falses)
    assert result.log_loss == pytest.approx(
        -sum(np.log(p if label else 1 - p) for p, label in cases) / true.sum()
    )
    bins = []
    for low, high in pairwise(EDGES):
        inside = [(p, label) for p, label in cases if low <= p < high]
        if inside:
            predicted = sum(p for p, _ in inside) / len(inside)
            observed = sum(label for _, label in inside) / len(inside)
            bins.append((low, len(inside), predicted, observed))
    assert [(b.low, b.count) for b in result.bins] == [(low, n) for low, n, _, _ in bins]
    assert [b.predicted for b in result.bins] == pytest.approx([p for _, _, p, _ in bins])
    assert [b.observed for b in result.bins] == pytest.approx([o for _, _, _, o in bins])
    ece = sum(n * abs(p - o) for _, n, p, o in bins) / len(cases)
    assert result.ece == pytest.approx(ece)
    assert result.ece_top == pytest.approx(ece)
    shown = [(n, p, o) for low, n, p, o in bins if low >= 0.01]
    assert result.ece_shown == pytest.approx(
        sum(n * abs(p - o) for n, p, o in shown) / sum(n for n, _, _ in shown)
    )


def test_intervals_of_the_best_answers_cover_what_fresh_questions_show() -> None:
    fitted = make_line(1.0, 0.5)  # too sure
    judged = compute_reliability(fitted, *[draw(sigmoid(BIN_LOGITS), seed=1, size=2_000)] * 2).top
    assert judged is not None
    assert judged.count == 2_000
    low, high = judged.observed_interval
    assert low < judged.observed < high
    assert high - low == pytest.approx(
        2 * 1.96 * np.sqrt(judged.observed * (1 - judged.observed) / 2_000), rel=0.1
    )
    every = draw(sigmoid(BIN_LOGITS), seed=2)
    truth = compute_reliability(fitted, every, every)
    assert truth.ece_top is not None
    assert judged.ece_interval[0] < truth.ece_top < judged.ece_interval[1]


@pytest.mark.parametrize("preset", ["default", "complex", "experts"])
def test_a_handful_of_facts_is_trained_and_calibrated(preset: str, tmp_path: Path) -> None:
    for seed, facts in enumerate((4, 9, 30)):
        graph = draw_graph(seed, entities=facts // 2 + 1, facts=facts)
        config = resolve_config(preset, overrides=["training.epochs=2"])
        run = train(graph, config, run=tmp_path / f"{seed}", progress=False)
        calibrate_run(run)
        calibration = load_calibration(run)
        assert calibration is not None
        assert all(np.isfinite(output.map.knots).all() for output in calibration.outputs.values())
