"""A step reads nothing back from the device: on tensors without contents every look is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from momok.model import ClubNetworks, MoMoK, group_by_relation
from momok.training.losses import choose_loss, n3
from momok.training.metric_log import PendingLosses
from momok.training.queries import QueryBatch, TrainingQueries
from momok.training.step import Disentanglement, training_step

from .test_objective import N, R, build

META = torch.device("meta")


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the meta device has not."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _device: False)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


class Sgd:
    """An optimiser without state; PyTorch's own look for a kernel of the device."""

    def __init__(self, parameters: Iterator[torch.nn.Parameter]) -> None:
        self.parameters = list(parameters)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters:
            parameter.grad = None if set_to_none else torch.zeros_like(parameter)

    def step(self) -> None:
        with torch.no_grad():
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=0.1)


def build_batch() -> QueryBatch:
    facts = np.random.default_rng(0).integers((N, R, N), size=(40, 3))
    queries = TrainingQueries(np.unique(facts, axis=0), R)
    return queries.batch(torch.arange(len(queries))[:11])


def step(model: MoMoK, loss: str, negatives: int | None) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    model.noise_generator = generator
    clubs = ClubNetworks([m.width for m in model.spec.modalities]).to(META)
    return training_step(
        model,
        build_batch(),
        Sgd(model.parameters()),
        Disentanglement(clubs=clubs, optimizer=Sgd(clubs.parameters()), weight=1e-4),  # type: ignore[arg-type]
        generator=generator,
        loss=choose_loss(loss, sampled=negatives is not None),
        regulariser=(n3, 0.1),
        block=9,
        negatives=negatives,
    )


@pytest.mark.parametrize("negatives", [None, 7])
@pytest.mark.parametrize("loss", ["logits", "softmax"])
def test_a_step_waits_for_nothing(loss: str, negatives: int | None) -> None:
    losses = step(build().float().to(META), loss, negatives)
    assert {loss.device for loss in losses.values()} == {META}
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        losses["loss/joint"].item()  # what a look would have met with


def test_losses_are_read_after_the_first_step_and_then_some_steps_at_a_time() -> None:
    def losses(number: float) -> dict[str, torch.Tensor]:
        named = {"loss/a": number, "loss/b": 0.5, "mutual_information": 9.0, "estimator": 8.0}
        return {name: torch.tensor(value) for name, value in named.items()}

    ledger, seen = PendingLosses(read_every=3), []
    for number in range(8):
        ledger.add(losses(float(number)))
        if ledger.full:
            seen.append([step["loss/a"] for step in ledger.read()])
            assert ledger.last_task_loss == number + 0.5
    assert seen == [[0.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    (last,) = ledger.read()
    assert last == {"loss/a": 7.0, "loss/b": 0.5, "mutual_information": 9.0, "estimator": 8.0}
    assert ledger.read() == []


def test_a_look_is_noticed() -> None:
    """What sizes would be found out with, were batches laid out on the device."""
    with pytest.raises((NotImplementedError, RuntimeError)):
        group_by_relation(torch.zeros(3, dtype=torch.int64, device=META))
