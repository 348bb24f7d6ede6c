"""Intervals and p-values against known distributions and a plain form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.evaluation.statistics import correct_holm, hierarchical_bootstrap


def test_a_constant_difference_has_no_width() -> None:
    assert hierarchical_bootstrap(np.full((1, 7), 0.25), seed=0)[:3] == (0.25, 0.25, 0.25)


def test_one_seed_is_the_bootstrap_over_facts() -> None:
    """For a mean of n values the interval is mean ± 1.96 s / sqrt(n)."""
    values = np.random.default_rng(0).normal(0.1, 0.5, size=(1, 2000))
    mean, low, high, _ = hierarchical_bootstrap(values, seed=1, samples=4000)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.1 * half)


def test_differences_between_seeds_widen_the_interval() -> None:
    """With all facts alike, what is left is Student's interval of the seeds' mean."""
    means = np.random.default_rng(3).normal(size=3)
    mean, low, high, _ = hierarchical_bootstrap(
        np.repeat(means[:, None], 50, axis=1), seed=0, samples=20000
    )
    half = 4.303 * means.std(ddof=1) / np.sqrt(3)
    assert mean == pytest.approx(means.mean())
    assert high - low == pytest.approx(2 * half, rel=0.1)


def test_a_fact_that_is_hard_is_hard_for_every_seed() -> None:
    """Seeds share their facts: more seeds do not make the facts more."""
    facts = np.random.default_rng(0).normal(size=400)
    one = hierarchical_bootstrap(facts[None], seed=0)
    many = hierarchical_bootstrap(np.repeat(facts[None], 9, axis=0), seed=0)
    assert many[2] - many[1] == pytest.approx(one[2] - one[1], rel=0.1)


def test_p_values_of_no_difference_are_rarely_small() -> None:
    rng = np.random.default_rng(0)
    found = []
    for trial in range(200):
        noise = rng.normal(size=(5, 1)) * 0.3 + rng.normal(size=(1, 200))
        found.append(hierarchical_bootstrap(noise, seed=trial, samples=400)[3])
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.07
    assert hierarchical_bootstrap(rng.normal(2, 1, size=(5, 200)), seed=0)[3] < 0.01


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=(3, 70))
    assert hierarchical_bootstrap(values, seed=4) == hierarchical_bootstrap(values, seed=4)
    with pytest.raises(ValueError, match=r"\[seeds, facts\]"):
        hierarchical_bootstrap(values[0], seed=0)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_the_closed_test_of_bonferroni(values: list[float]) -> None:
    """Written out: the k-th smallest is multiplied by how many are not smaller, and never falls."""
    expected = {}
    running = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        running = max(running, min(1.0, values[place] * (len(values) - rank)))
        expected[place] = running
    corrected = correct_holm(np.array(values))
    np.testing.assert_allclose(corrected, [expected[i] for i in range(len(values))])


def test_holm_on_the_example_of_a_textbook() -> None:
    np.testing.assert_allclose(correct_holm(np.array([0.01, 0.04, 0.03, 0.005])),
                               [0.03, 0.06, 0.06, 0.02])  # fmt: skip
