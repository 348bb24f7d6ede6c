"""The training part of the authors' numbers: losses, gradients and weights of five steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from momok.model import ClubNetworks, MoMoK
from momok.model.reference import load_reference, load_reference_clubs, reference_state
from momok.training.losses import LOSSES
from momok.training.queries import QueryBatch
from momok.training.step import Disentanglement, ExpertDraw, training_step
from tests.training.small_training import sum_heads

WEIGHT, RATE, STEPS = 0.01, 1e-3, 5


@pytest.fixture
def expected(reference: Path) -> dict[str, np.ndarray]:
    with np.load(reference / "tiny" / "expected.npz") as archive:
        return dict(archive)


def build_batch(expected: dict[str, np.ndarray]) -> QueryBatch:
    queries = torch.from_numpy(expected["queries"])
    rows, answers = torch.nonzero(torch.from_numpy(expected["targets"]), as_tuple=True)
    order = torch.argsort(answers, stable=True)
    return QueryBatch(
        heads=queries[:, 0], relations=queries[:, 1], rows=rows[order], answers=answers[order]
    )


@pytest.fixture
def loaded(reference: Path) -> tuple[MoMoK, ClubNetworks]:
    model = load_reference(reference / "tiny").train()
    return model, load_reference_clubs(reference / "tiny", model)


def run_steps(
    model: MoMoK, clubs: ClubNetworks, batch: QueryBatch, steps: int, block: int
) -> list[tuple[float, float, float]]:
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    exid = Disentanglement(
        clubs=clubs, optimizer=torch.optim.Adam(clubs.parameters(), lr=RATE), weight=WEIGHT
    )
    draw = ExpertDraw(
        pair=(0, 1),
        estimator_pair=(0, 1),
        permutation=torch.roll(torch.arange(len(batch)), 1),
    )
    history = []
    for _ in range(steps):
        losses = training_step(
            model,
            batch,
            optimizer,
            exid,
            generator=torch.Generator(),
            loss=LOSSES["probabilities"],
            block=block,
            draw=draw,
        )
        history.append(
            (
                float(sum_heads(losses)),
                float(losses["mutual_information"]),
                float(losses["estimator"]),
            )
        )
    return history


@pytest.mark.parametrize("block", [7, 2048])
def test_gradients_of_the_first_step(loaded, expected, block) -> None:
    model, clubs = loaded
    run_steps(model, clubs, build_batch(expected), 1, block)
    with torch.no_grad():  # the authors' naming, applied to the gradients that the step left
        for parameter in model.parameters():
            parameter.copy_(
                torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            )
    gradients = reference_state(model)
    names = [key.removeprefix("grad_norm/") for key in expected if key.startswith("grad_norm/")]
    assert len(names) > 50
    for name in names:
        assert float(gradients[name].double().norm()) == pytest.approx(
            float(expected[f"grad_norm/{name}"]), rel=1e-4, abs=1e-9
        ), name


@pytest.mark.parametrize("block", [7, 2048])
def test_losses_and_probabilities_of_five_steps(loaded, expected, block) -> None:
    model, clubs = loaded
    batch = build_batch(expected)
    history = np.array(run_steps(model, clubs, batch, STEPS, block))
    np.testing.assert_allclose(history[:, 0], expected["loss_bce"], rtol=1e-4)
    np.testing.assert_allclose(history[:, 1], expected["loss_mi"], rtol=1e-4)
    np.testing.assert_allclose(history[:, 2], expected["loss_estimator"], rtol=1e-4)
    model.eval()
    with torch.no_grad():
        scores = model.score(batch.heads, batch.relations)
    for head, logits in scores.items():
        np.testing.assert_allclose(
            torch.sigmoid(logits).numpy(), expected[f"after_prob_{head}"], rtol=1e-4, atol=1e-7
        )


def test_probabilities_in_training_mode(loaded, expected) -> None:
    model, _ = loaded
    batch = build_batch(expected)
    with torch.no_grad():
        scores = model.score(batch.heads, batch.relations)
    for head, logits in scores.items():
        np.testing.assert_allclose(
            torch.sigmoid(logits).numpy(), expected[f"train_prob_{head}"], rtol=0, atol=1e-5
        )
