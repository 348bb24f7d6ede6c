"""Calibration maps against known distortions, scikit-learn's regressions and plain loops."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import minimize

from momok.errors import RunError
from momok.prediction.calibration.counts import BIN_LOGITS
from momok.prediction.calibration_maps import (
    IDENTITY,
    LOGIT_LIMIT,
    METHODS,
    CalibrationMap,
    Method,
    compute_share_logits,
    fit_map,
    pool_adjacent,
)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def draw(truth: np.ndarray, seed: int, size: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """(true, false) counts by bin of candidates whose logit is normal and truth a coin."""
    generator = np.random.default_rng(seed)
    place = np.clip(
        np.searchsorted(BIN_LOGITS, generator.normal(-2, 2, size)), 0, len(BIN_LOGITS) - 1
    )
    is_true = generator.random(size) < truth[place]
    count = [np.bincount(place[mask], minlength=len(BIN_LOGITS)) for mask in (is_true, ~is_true)]
    return count[0].astype(float), count[1].astype(float)


DISTORTIONS: dict[str, tuple[float, float]] = {
    "overconfident": (0.4, 0.0),
    "shifted": (1.0, -2.0),
    "timid and shifted": (1.5, -1.0),
}


def distort(name: str) -> np.ndarray:
    slope, shift = DISTORTIONS[name]
    return sigmoid(slope * BIN_LOGITS + shift)


def make_line(slope: float, shift: float) -> CalibrationMap:
    return CalibrationMap(
        method="platt", knots=((-30.0, shift - 30 * slope), (30.0, shift + 30 * slope))
    )


def get_line(fitted: CalibrationMap) -> tuple[float, float]:
    (first, low), (last, high) = fitted.knots
    return (high - low) / (last - first), (high + low) / 2


@pytest.mark.parametrize("name", DISTORTIONS)
def test_known_distortions_are_recovered(name: str) -> None:
    fitted = fit_map("platt", BIN_LOGITS, *draw(distort(name), seed=3))
    assert get_line(fitted) == pytest.approx(DISTORTIONS[name], abs=0.12)


@pytest.mark.parametrize("slope", [0.5, -0.3])
def test_platt_is_that_of_another_optimiser(slope: float) -> None:
    true, false = draw(sigmoid(slope * BIN_LOGITS - 0.3), seed=4, size=2_000)
    fitted = fit_map("platt", BIN_LOGITS, true, false)
    n, m = true.sum(), false.sum()
    target = true * (n + 1) / (n + 2) + false / (m + 2)  # Platt 1999, section 2.2

    def loss(parameters: np.ndarray) -> float:
        z = parameters[0] * BIN_LOGITS + parameters[1]
        rest = true + false - target
        return float((target * np.logaddexp(0, -z) + rest * np.logaddexp(0, z)).sum())

    bounds = [(1e-4, None), (None, None)]  # a level line would tie different answers
    best = minimize(loss, np.ones(2), bounds=bounds, method="L-BFGS-B", tol=1e-14)
    assert loss(np.array(get_line(fitted))) <= best.fun + 1e-6
    assert get_line(fitted) == pytest.approx(best.x, abs=2e-3)


def test_the_line_of_bins_far_apart_is_the_best() -> None:
    """Where a step may go so far out that the loss has no curvature any more."""
    x = np.array([-28.4, -21.5, -20.1, -1.3, 15.4, 16.4, 17.4, 19.1, 23.2, 25.5])
    true = np.array([2, 2637, 1932, 1160, 4, 1347, 41, 1161, 51, 2749.0])
    false = np.array([165956, 712, 60, 478, 106658, 103, 5136, 10, 42142423, 0.0])
    slope, shift = get_line(fit_map("platt", x, true, false))
    assert (slope, shift) == pytest.approx((1e-4, -8.2522), abs=1e-3)  # as level as it may be


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize("name", [*DISTORTIONS, "nothing to learn"])
def test_different_scores_get_different_probabilities(method: Method, name: str) -> None:
    """Within the data, beyond its ends, and where one step would do for all; up to sigmoid(15)."""
    truth = distort(name) if name in DISTORTIONS else np.full(len(BIN_LOGITS), 0.3)
    true, false = draw(truth, seed=6, size=300)
    fitted = fit_map(method, BIN_LOGITS, true, false)
    assert (np.diff(fitted.apply_to_logits(np.linspace(-15, 15, 20_001))) > 0).all()


def test_shares_rise_with_the_probability_through_one() -> None:
    probabilities = torch.logspace(-20, 0, 400, dtype=torch.float64)
    logits = compute_share_logits(probabilities, torch.tensor(0.2, dtype=torch.float64))
    assert (logits.diff() > 0).all()
    share = probabilities[probabilities < 0.19] / 0.2
    assert torch.allclose(logits[: len(share)], torch.logit(share))


def test_isotonic_is_that_of_scikit_learn() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    generator = np.random.default_rng(5)
    values, weights = generator.random(300), generator.integers(1, 9, 300).astype(float)
    starts, means = pool_adjacent(values, weights)
    mine = np.repeat(means, np.diff(np.append(starts, 300)))
    theirs = isotonic.IsotonicRegression().fit_transform(
        np.arange(300), values, sample_weight=weights
    )
    assert mine == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=12))
def test_pooling_gives_means_of_blocks_that_rise(cells: list[tuple[float, int]]) -> None:
    values, weights = (np.array(part, dtype=float) for part in zip(*cells, strict=True))
    starts, means = pool_adjacent(values, weights)
    assert (np.diff(means) > 0).all()
    assert starts[0] == 0
    for start, end, mean in zip(starts, [*(starts[1:] - 1), len(values) - 1], means, strict=True):
        block = slice(start, end + 1)
        assert mean == pytest.approx((values[block] * weights[block]).sum() / weights[block].sum())
        # No cut of a block would do better: its first part is never below its last.
        for cut in range(start + 1, end + 1):
            left = np.average(values[start:cut], weights=weights[start:cut])
            right = np.average(values[cut : end + 1], weights=weights[cut : end + 1])
            assert left >= right - 1e-9


counts = st.lists(
    st.tuples(
        st.integers(0, len(BIN_LOGITS) - 1), st.integers(0, 40), st.integers(0, 4000)
    ),
    min_size=1,
    max_size=15,
)  # fmt: skip


@settings(deadline=None)
@given(counts, st.sampled_from(METHODS))
def test_maps_never_fall_and_stay_probabilities(
    cells: list[tuple[int, int, int]], method: Method
) -> None:
    true, false = np.zeros(len(BIN_LOGITS)), np.zeros(len(BIN_LOGITS))
    for place, trues, falses in cells:
        true[place] += trues
        false[place] += falses
    fitted = fit_map(method, BIN_LOGITS, true, false)
    p = fitted.apply_to_logits(np.linspace(-40, 40, 2001))
    assert (np.diff(p) >= 0).all()
    assert ((p > 0) & (p < 1)).all()
    read = TypeAdapter(CalibrationMap).validate_json(json.dumps(asdict(fitted)))
    assert read == fitted
    raw = sigmoid(np.linspace(-8, 8, 9))
    assert fitted.apply(raw) == pytest.approx(fitted.apply_to_logits(np.linspace(-8, 8, 9)))


@settings(deadline=None)
@given(st.sampled_from(METHODS), st.floats(0.001, 0.999))
def test_a_threshold_is_the_least_score_that_reaches_it(method: Method, wanted: float) -> None:
    fitted = fit_map(method, BIN_LOGITS, *draw(distort("overconfident"), seed=6, size=3000))
    threshold = fitted.find_threshold(wanted)
    if threshold > 1:
        assert float(fitted.apply(1.0)) < wanted
        return
    assert float(fitted.apply(min(threshold * (1 + 1e-9) + 1e-13, 1.0))) >= wanted - 1e-9
    assert threshold <= 1e-13 or float(fitted.apply(threshold * (1 - 1e-6))) <= wanted


def test_separable_data_give_finite_maps() -> None:
    true, false = np.zeros(len(BIN_LOGITS)), np.zeros(len(BIN_LOGITS))
    true[3000:], false[:1000] = 1, 1
    for method in METHODS:
        p = fit_map(method, BIN_LOGITS, true, false).apply_to_logits([-20.0, 20.0])
        assert np.isfinite(p).all()
        assert p[0] < 0.5 < p[1]


def test_no_map_is_steep_enough_for_a_probability_of_one() -> None:
    steep = make_line(1000.0, 0.0)
    assert steep.apply([0.0, 1.0]) == pytest.approx([1e-13, 1 - 1e-13], abs=1e-13)
    assert ((steep.apply([0.0, 1.0]) > 0) & (steep.apply([0.0, 1.0]) < 1)).all()


def test_one_bin_of_logits_is_enough() -> None:
    true, false = np.zeros(len(BIN_LOGITS)), np.zeros(len(BIN_LOGITS))
    true[2000], false[2000] = 30, 60
    for method in ("platt", "isotonic"):
        p = fit_map(method, BIN_LOGITS, true, false).apply_to_logits(BIN_LOGITS[2000])  # type: ignore[arg-type]
        assert float(p) == pytest.approx(1 / 3, abs=0.01)


def test_isotonic_tells_different_scores_apart() -> None:
    """Steps of isotonic regression are ties; lines between their centres are none."""
    true, false = draw(distort("overconfident"), seed=12, size=5_000)
    fitted = fit_map("isotonic", BIN_LOGITS, true, false)
    used = (true + false > 0).nonzero()[0]
    weights = (true + false)[used]
    starts, means = pool_adjacent(true[used] / weights, weights)
    assert len(means) < len(used) / 10  # long steps
    inside = np.linspace(BIN_LOGITS[used[0]], BIN_LOGITS[used[-1]], 20_001)
    p = fitted.apply_to_logits(inside)
    assert (np.diff(p) > 0).all()
    # At the centre of a step, but for the smoothed ends, it is the share of true candidates there.
    for start, end, mean in zip(starts[3:-3], starts[4:-2], means[3:-3], strict=True):
        mine = slice(start, end)
        centre = np.average(BIN_LOGITS[used][mine], weights=weights[mine])
        assert float(fitted.apply_to_logits(centre)) == pytest.approx(mean)


@pytest.mark.parametrize(
    "value",
    [
        {"method": "magic", "knots": [[-1.0, 0.0], [1.0, 1.0]]},
        {"method": "platt"},
        {"method": "isotonic", "knots": []},
        {"method": "isotonic", "knots": [[0.0, 0.5], [1.0, 0.4]]},
        {"method": "isotonic", "knots": [[1.0, 0.5], [0.0, 0.6]]},
        {"method": "isotonic", "knots": [[0.0, 0.5], [1.0, float("nan")]]},
        {"method": "isotonic", "knots": [[0.0, 0.5, 1.0]]},
        {"method": "platt", "knots": ["a", "b"]},
    ],
)
def test_maps_that_are_none_of_ours_are_refused(value: dict[str, object]) -> None:
    with pytest.raises((RunError, ValidationError)):  # ``load_calibration`` says it in a line
        TypeAdapter(CalibrationMap).validate_json(json.dumps(value))


def test_probabilities_of_zero_and_one_are_mapped() -> None:
    assert IDENTITY.apply([0.0, 1.0]) == pytest.approx([0, 1], abs=1e-12)
    assert IDENTITY.apply_to_logits([-1e9, 1e9]) == pytest.approx(
        sigmoid(np.array([-LOGIT_LIMIT, LOGIT_LIMIT]))
    )
