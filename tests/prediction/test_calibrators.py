"""Calibration maps against known distortions, scikit-learn's regressions and plain loops."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from momok.errors import RunError
from momok.prediction.calibration.counts import BIN_LOGITS, Counts
from momok.prediction.calibration.fit import EDGES, choose_map, compute_reliability
from momok.prediction.calibration.maps import (
    LOGIT_LIMIT,
    METHODS,
    CalibrationMap,
    Method,
    fit_map,
    pool_adjacent,
)

IDENTITY = CalibrationMap(method="identity")


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


DISTORTIONS: dict[str, tuple[Method, np.ndarray, tuple[float, ...]]] = {
    "temperature": ("temperature", sigmoid(0.4 * BIN_LOGITS), (0.4,)),
    "platt": ("platt", sigmoid(1.5 * BIN_LOGITS - 1.0), (1.5, -1.0)),
    "beta": (
        "beta",
        sigmoid(0.7 * np.log(sigmoid(BIN_LOGITS)) - 2.0 * np.log(sigmoid(-BIN_LOGITS)) + 0.5),
        (0.7, 2.0, 0.5),
    ),
}


@pytest.mark.parametrize("name", DISTORTIONS)
def test_known_distortions_are_recovered(name: str) -> None:
    method, truth, parameters = DISTORTIONS[name]
    fitted = fit_map(method, BIN_LOGITS, *draw(truth, seed=3))
    assert fitted.parameters == pytest.approx(parameters, abs=0.12)


@pytest.mark.parametrize("method", ["temperature", "platt", "beta"])
def test_parameters_are_those_of_another_optimiser(method: Method) -> None:
    true, false = draw(sigmoid(0.5 * BIN_LOGITS - 0.3), seed=4, size=2_000)
    fitted = fit_map(method, BIN_LOGITS, true, false)
    n, m = true.sum(), false.sum()
    target = true * (n + 1) / (n + 2) + false / (m + 2)  # Platt 1999, section 2.2
    x = BIN_LOGITS
    columns = {
        "temperature": [x],
        "platt": [x, np.ones_like(x)],
        "beta": [np.log(sigmoid(x)), -np.log(sigmoid(-x)), np.ones_like(x)],
    }[method]

    def loss(parameters: np.ndarray) -> float:
        z = np.array(columns).T @ parameters
        rest = true + false - target
        return float((target * np.logaddexp(0, -z) + rest * np.logaddexp(0, z)).sum())

    bounds = [(0, None)] * (2 if method == "beta" else 1) + [(None, None)] * (
        method != "temperature"
    )
    start = np.ones(len(columns))
    best = minimize(loss, start, bounds=bounds, method="L-BFGS-B", tol=1e-14)
    assert loss(np.array(fitted.parameters)) <= best.fun + 1e-6
    assert fitted.parameters == pytest.approx(best.x, abs=2e-3)


def test_isotonic_is_that_of_scikit_learn() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    generator = np.random.default_rng(5)
    values, weights = generator.random(300), generator.integers(1, 9, 300).astype(float)
    starts, ends, means = pool_adjacent(values, weights)
    mine = np.repeat(means, ends - starts + 1)
    theirs = isotonic.IsotonicRegression().fit_transform(
        np.arange(300), values, sample_weight=weights
    )
    assert mine == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=12))
def test_pooling_gives_means_of_blocks_that_rise(cells: list[tuple[float, int]]) -> None:
    values, weights = (np.array(part, dtype=float) for part in zip(*cells, strict=True))
    starts, ends, means = pool_adjacent(values, weights)
    assert (np.diff(means) > 0).all()
    assert starts[0] == 0
    assert ends[-1] == len(values) - 1
    assert (starts[1:] == ends[:-1] + 1).all()
    for start, end, mean in zip(starts, ends, means, strict=True):
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
    assert ((p >= 0) & (p <= 1)).all()
    if method == "isotonic" and (true + false).any():
        assert ((p > 0) & (p < 1)).all()
    assert CalibrationMap.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    raw = sigmoid(np.linspace(-8, 8, 9))
    assert fitted.apply(raw) == pytest.approx(fitted.apply_to_logits(np.linspace(-8, 8, 9)))


@settings(deadline=None)
@given(st.sampled_from([*DISTORTIONS, "isotonic"]), st.floats(0.001, 0.999))
def test_a_threshold_is_the_least_score_that_reaches_it(name: str, wanted: float) -> None:
    truth = DISTORTIONS["platt" if name == "isotonic" else name][1]
    method: Method = "isotonic" if name == "isotonic" else DISTORTIONS[name][0]
    fitted = fit_map(method, BIN_LOGITS, *draw(truth, seed=6, size=3000))
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
    _, truth, _ = DISTORTIONS[name]
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


# -- judging -------------------------------------------------------------------------------------


def test_reliability_against_plain_loops() -> None:
    generator = np.random.default_rng(9)
    true = generator.integers(0, 3, len(BIN_LOGITS)).astype(float)
    false = generator.integers(0, 4, len(BIN_LOGITS)).astype(float)
    fitted = CalibrationMap(method="platt", parameters=(0.3, -1.0))
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


@pytest.mark.parametrize(
    "value",
    [
        {"method": "magic", "parameters": [], "knots": []},
        {"method": "platt", "parameters": [1.0], "knots": []},
        {"method": "platt", "parameters": [-1.0, 0.0], "knots": []},
        {"method": "beta", "parameters": [1.0, -0.1, 0.0], "knots": []},
        {"method": "temperature", "parameters": [float("nan")], "knots": []},
        {"method": "isotonic", "parameters": [], "knots": []},
        {"method": "isotonic", "parameters": [], "knots": [[0.0, 0.5], [1.0, 0.4]]},
        {"method": "isotonic", "parameters": [], "knots": [[0.0, 0.5], [1.0, 1.4]]},
        {"method": "isotonic", "parameters": []},
        {"method": "platt", "parameters": ["a", "b"], "knots": []},
    ],
)
def test_maps_that_are_none_of_ours_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(RunError):
        CalibrationMap.from_json(value)


def test_probabilities_of_zero_and_one_are_mapped() -> None:
    assert IDENTITY.apply([0.0, 1.0]) == pytest.approx([0, 1], abs=1e-12)
    assert IDENTITY.apply_to_logits([-1e9, 1e9]) == pytest.approx(
        sigmoid(np.array([-LOGIT_LIMIT, LOGIT_LIMIT]))
    )
