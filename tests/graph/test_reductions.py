"""Normalising, PCA and pooling against independent arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import FeatureError
from momok.graph import l2_normalise, pool
from momok.graph.reductions import find_components, find_paper_grids


def random_matrix(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reduce(matrix, width):
    return find_components(matrix, width).reduce(matrix)


def test_l2_normalise():
    matrix = np.array([[3, 4], [0, 0], [-1e-30, 0], [3e38, 3e38]], dtype=np.float32)
    half = 0.5**0.5
    expected = [[0.6, 0.8], [0, 0], [-1, 0], [half, half]]
    np.testing.assert_allclose(l2_normalise(matrix), expected, rtol=1e-6)
    assert l2_normalise(matrix).dtype == np.float32


@pytest.mark.parametrize("shape", [(40, 12), (9, 30), (13, 13)])
def test_pca_agrees_with_the_singular_values(shape):
    matrix = random_matrix(*shape) * np.linspace(1, 5, shape[1], dtype=np.float32)
    reduced = reduce(matrix, 5)
    rows = matrix.astype(np.float64)
    left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(reduced), np.abs(left * values)[:, :5], atol=1e-4)
    assert reduced.shape == (shape[0], 5)


def test_pca_fixes_the_sign():
    """Mirrored data has the same components, so the mirrored scores: no sign is left to chance."""
    matrix = random_matrix(30, 6)
    np.testing.assert_allclose(reduce(-matrix, 3), -reduce(matrix, 3), atol=1e-5)


def test_components_take_further_rows():
    """Rows that the components were not found in keep the distances that the components see."""
    matrix = random_matrix(30, 6)
    components = find_components(matrix[:20], 6)  # all directions: distances stay
    later = components.reduce(matrix[20:])
    expected = np.linalg.norm(matrix[20:, None] - matrix[:20], axis=2)
    found = np.linalg.norm(later[:, None] - components.reduce(matrix[:20]), axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(40, 12), (9, 30)])
@pytest.mark.parametrize("seed", range(4))
def test_the_largest_weight_of_a_component_is_positive(shape, seed):
    matrix = random_matrix(*shape, seed=seed)
    reduced = reduce(matrix, 4)
    weights = (matrix - matrix.mean(axis=0)).T @ reduced  # components, each times its variance
    assert (weights[np.abs(weights).argmax(axis=0), np.arange(4)] > 0).all()


def test_pca_keeps_distances_at_full_rank():
    matrix = random_matrix(10, 4)
    reduced = reduce(matrix, 4)
    before = np.linalg.norm(matrix[:, None] - matrix, axis=2)
    np.testing.assert_allclose(
        np.linalg.norm(reduced[:, None] - reduced, axis=2), before, atol=1e-5
    )


@pytest.mark.parametrize(
    ("matrix", "width", "rank"),
    [
        (random_matrix(5, 9), 5, 4),
        (random_matrix(9, 5), 6, 5),
        (np.repeat(random_matrix(20, 1), 6, axis=1), 2, 1),
    ],
)
def test_pca_beyond_the_rank_gives_the_rank(matrix, width, rank):
    reduced = reduce(matrix, width)
    assert reduced.shape == (len(matrix), rank)
    centred = matrix - matrix.mean(axis=0)
    np.testing.assert_allclose(reduced @ reduced.T, centred @ centred.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("matrix", "width", "message"),
    [
        (np.ones((5, 3), dtype=np.float32), 1, "the 5 vectors are all the same"),
        (random_matrix(5, 3), 0, "expected at least 1"),
    ],
)
def test_pca_of_what_it_cannot_reduce(matrix, width, message):
    with pytest.raises(FeatureError, match=message):
        reduce(matrix, width)


def test_pca_of_nothing():
    with pytest.raises(FeatureError, match="no entity has a vector"):
        find_components(random_matrix(3, 2)[:0], 1)


sides = st.integers(1, 17)


@given(grid=st.tuples(sides, sides), target=st.tuples(sides, sides), rows=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_pooling_agrees_with_pytorch(grid, target, rows):
    matrix = random_matrix(rows, grid[0] * grid[1])
    pooled = pool(matrix, grid, target)
    assert pooled.shape == (rows, target[0] * target[1])
    if rows:
        cells = torch.from_numpy(matrix).reshape(rows, 1, *grid)
        expected = torch.nn.functional.adaptive_avg_pool2d(cells, target).reshape(rows, -1)
        np.testing.assert_allclose(pooled, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("grid", "target"), [((64, 64), (16, 16)), ((12, 64), (4, 64)), ((12, 32), (4, 64))]
)
def test_pooling_of_the_paper(grid, target):
    matrix = random_matrix(2, grid[0] * grid[1])
    cells = torch.from_numpy(matrix).reshape(2, 1, *grid)
    expected = torch.nn.functional.adaptive_avg_pool2d(cells, target).reshape(2, 256)
    np.testing.assert_allclose(pool(matrix, grid, target), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("width", "to", "expected"),
    [
        (384, 256, ((12, 32), (4, 64))),  # texts of MKG-W and MKG-Y
        (383, 256, None),  # their images
        (768, 256, ((12, 64), (4, 64))),  # texts of DB15K, texts and images of KVC16K
        (4096, 256, ((64, 64), (16, 16))),  # images of DB15K
        (512, 256, ((1, 512), (1, 256))),
        (200, 256, None),
        (768, 64, ((1, 768), (1, 64))),
        (383, 64, ((1, 383), (1, 64))),
    ],
)
def test_the_grids_of_the_paper(width, to, expected):
    assert find_paper_grids(width, to) == expected


def test_pooling_a_grid_of_another_size():
    with pytest.raises(FeatureError, match="the vectors have width 10, expected 12"):
        pool(random_matrix(2, 10), (3, 4), (1, 1))
