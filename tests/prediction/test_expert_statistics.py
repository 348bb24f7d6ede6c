"""Average gates against a loop through the model itself, CKA against its definition by Gram
matrices: N x N, another formula and another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from momok.prediction import expert_statistics
from momok.prediction.expert_statistics import (
    average_query_gates,
    compute_cka,
    compute_random_cka,
)
from tests.model.small_model import build_model, build_spec

ENTITIES = torch.tensor([0, 3, 3, 9, 16, 2, 0])
RELATIONS = torch.tensor([0, 0, 1, 4, 4, 4, 5])  # 2 and 3 have no query


def average(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    tau = model.temperature
    return average_query_gates(
        model.candidates().gates,
        None if tau is None else torch.sigmoid(tau),
        ENTITIES,
        RELATIONS,
        2 * model.num_relations,
    )


@pytest.mark.parametrize("more", [{}, {"relation_temperature": False}, {"experts": 1}], ids=str)
@torch.no_grad()
def test_averages_are_those_of_the_gates_that_the_model_gives(more: dict[str, int]) -> None:
    model = build_model(build_spec(**more))
    asked = model.queries(ENTITIES, RELATIONS).gates
    for modality, found in average(model).items():
        for relation in range(6):
            rows = [asked[modality][i].numpy() for i in range(7) if RELATIONS[i] == relation]
            if not rows:
                assert torch.isnan(found[relation]).all()
                continue
            assert found[relation].tolist() == pytest.approx(np.mean(rows, axis=0), abs=1e-12)
            assert found[relation].sum().item() == pytest.approx(1.0, abs=1e-12)


@torch.no_grad()
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model()
    expected = average(model)
    monkeypatch.setattr(expert_statistics, "_BLOCK", 2)
    for modality, found in average(model).items():
        assert torch.allclose(found, expected[modality], atol=1e-14, equal_nan=True)


def test_a_gate_that_underflows_is_no_crash() -> None:
    gate = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    tau = torch.tensor([1e-3, 1.0])
    zero, one = torch.zeros(2, dtype=torch.int64), torch.tensor([0, 1])
    found = average_query_gates({"text": gate}, tau, one, zero, 2)["text"]
    assert found[0].tolist() == pytest.approx([0.75, 0.25, 0.0])


def gram_cka(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with linear kernels (Kornblith et al. 2019)."""
    center = np.eye(len(x)) - 1.0 / len(x)
    k, l = x @ x.T, y @ y.T  # noqa: E741

    def hsic(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.trace(a @ center @ b @ center))

    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


@pytest.fixture
def outputs() -> torch.Tensor:
    """60 entities, 3 experts that have something in common and means far from zero."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(60, 1, 5))
    return torch.from_numpy(common + rng.normal(size=(60, 3, 5)) + 50 * rng.normal(size=(3, 5)))


@pytest.mark.parametrize("size", [60, 17, 1])
def test_cka_is_that_of_the_gram_matrices(outputs: torch.Tensor, size: int) -> None:
    found = compute_cka(torch.split(outputs, size)).numpy()
    for i in range(3):
        for j in range(3):
            expected = gram_cka(outputs[:, i].numpy(), outputs[:, j].numpy())
            assert found[i, j] == pytest.approx(expected, abs=1e-10)


def test_rotations_and_scales_change_nothing(outputs: torch.Tensor) -> None:
    x = outputs[:, 0]
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    turned = torch.stack([x, -3.0 * x @ rotation + 7.0], dim=1)
    assert compute_cka([turned]).numpy() == pytest.approx(np.ones((2, 2)), abs=1e-10)


def test_unrelated_and_constant_experts() -> None:
    plane = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    outputs = torch.stack([plane[:, :1], plane[:, 1:], torch.full((4, 1), 2.0)], dim=1)
    assert compute_cka([outputs]).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_random_experts_are_those_of_random_maps() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(150, 30)) * np.linspace(0.2, 2.0, 30) + 4.0
    pairs = [gram_cka(*(vectors @ rng.normal(size=(30, 30)) for _ in range(2))) for _ in range(80)]
    found = compute_random_cka(torch.split(torch.from_numpy(vectors), 40), experts=20)
    assert found == pytest.approx(np.mean(pairs), abs=0.015)
    again = compute_random_cka([torch.from_numpy(vectors)], experts=20)
    assert again == pytest.approx(found, abs=1e-12)
    assert compute_random_cka([torch.from_numpy(vectors)], experts=20, seed=1) != again
