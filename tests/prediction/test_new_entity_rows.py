"""The map from features to trained rows, against NumPy's least squares."""

from __future__ import annotations

import numpy as np
import pytest

from momok.prediction.new_entity_rows import fit_row_map, solve_ridge


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("shape", [(60, 7), (6, 9)])
def test_ridge_is_least_squares_with_rows_of_penalty(
    shape: tuple[int, int], strength: float
) -> None:
    x, y = draw(*shape) * np.linspace(1, 3, shape[1]) + 2, draw(shape[0], 4, seed=1)
    [(weights, centre, shift)] = solve_ridge(x, y, [strength])
    centred = x - x.mean(axis=0)
    penalty = strength * np.square(centred).sum() / shape[1]  # n times the mean variance
    taller = np.vstack([centred, np.sqrt(penalty) * np.eye(shape[1])])
    targets = np.vstack([y - y.mean(axis=0), np.zeros((shape[1], 4))])
    expected = np.linalg.lstsq(taller, targets, rcond=None)[0]
    np.testing.assert_allclose(weights, expected, atol=1e-9)
    np.testing.assert_allclose(centre, x.mean(axis=0))
    np.testing.assert_allclose(shift, y.mean(axis=0))


def test_a_linear_move_is_found_and_applied_to_entities_that_were_not_there() -> None:
    x, further = draw(200, 5).astype(np.float32), draw(20, 5, seed=3).astype(np.float32)
    matrix, offset = draw(5, 5, seed=1), draw(5, seed=2)
    found = fit_row_map(x, (x @ matrix + offset).astype(np.float32))
    assert found.strength == 1e-4  # the least: there is no noise
    assert found.error < 1e-3 * found.identity_error
    np.testing.assert_allclose(found.apply(further), further @ matrix + offset, atol=1e-2)


def test_noise_alone_leaves_the_features_as_they_are() -> None:
    x = draw(100, 6).astype(np.float32)
    noise = draw(100, 6, seed=4)
    noise -= noise.mean(axis=0)
    found = fit_row_map(x, (x + 0.1 * noise).astype(np.float32))
    # What is held out has nothing to do with the rest: the strongest penalty, or none at all.
    assert found.strength is None or found.strength == 1e4
    np.testing.assert_allclose(found.apply(x), x, atol=1e-2)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_few_entities_give_the_identity(count: int) -> None:
    x = draw(count, 3).astype(np.float32)
    found = fit_row_map(x, x + 1)
    assert found.strength is None
    further = draw(4, 3, seed=5).astype(np.float32)
    np.testing.assert_array_equal(found.apply(further), further)


def test_directions_without_variance_have_no_say() -> None:
    x = draw(50, 4).astype(np.float32)
    x[:, 2] = 0.5
    found = fit_row_map(x, x * 2)
    assert np.isfinite(found.weights).all()
    np.testing.assert_allclose(found.weights[2], 0, atol=1e-6)
