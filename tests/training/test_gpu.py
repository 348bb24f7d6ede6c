"""A GPU takes the steps that the CPU takes, and nobody waits for it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import momok
from momok.evaluation import ANSWER, evaluate
from momok.model import ClubNetworks, MoMoK
from momok.prediction import explain_model
from momok.training.checkpoint import load_model
from momok.training.kernels import CompiledKernels, PlainKernels
from momok.training.losses import LOSSES
from momok.training.metric_log import PendingLosses
from momok.training.step import Disentanglement, ExpertDraw, training_step

from .small_training import Interrupter, build_graph, train_small
from .test_no_waiting import build_batch
from .test_objective import build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode"),
    pytest.mark.filterwarnings("ignore:TensorFloat32"),  # the compiler would rather have it
]


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Training takes TF32 for the process; here the CPU's numbers are wanted."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def train(
    device: str, kernels: type[PlainKernels], form: str
) -> tuple[MoMoK, list[dict[str, float]]]:
    """Five steps without noise."""
    model = build().float().to(device)
    clubs = ClubNetworks([m.width for m in model.spec.modalities]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    club_optimizer = torch.optim.Adam(clubs.parameters(), lr=1e-2, fused=True)
    batch, ledger, chosen = build_batch(), PendingLosses(read_every=100), kernels(model)
    draw = ExpertDraw(
        pair=(0, 1), estimator_pair=(1, 0), permutation=torch.arange(len(batch)).roll(1)
    )
    for number in range(5):
        try:
            if device == "cuda" and number:  # the first step takes memory and picks algorithms
                torch.cuda.set_sync_debug_mode("error")
            losses = training_step(
                model,
                batch,
                optimizer,
                Disentanglement(clubs=clubs, optimizer=club_optimizer, weight=1e-4),
                generator=torch.Generator().manual_seed(0),
                block=9,
                loss=LOSSES[form],
                kernels=chosen,
                draw=draw,
            )
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
        ledger.add(losses)
    return model, ledger.read()


@pytest.mark.parametrize("form", ["logits", "probabilities"])
@pytest.mark.parametrize("kernels", [PlainKernels, CompiledKernels])
def test_steps_are_those_of_the_cpu(kernels: type[PlainKernels], form: str) -> None:
    expected, expected_losses = train("cpu", PlainKernels, form)
    model, losses = train("cuda", kernels, form)
    for step, expected_step in zip(losses, expected_losses, strict=True):
        assert step == pytest.approx(expected_step, rel=1e-4)
    for (name, found), wanted in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found.cpu(), wanted, rtol=1e-3, atol=1e-4, msg=name)


def test_a_run_goes_on_where_it_was_interrupted_and_its_model_works_on_a_cpu(
    tmp_path: Path,
) -> None:
    graph = build_graph()
    whole = train_small(tmp_path / "whole", graph, runtime__device="cuda")
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", graph, reporter=Interrupter(steps=9), runtime__device="cuda")
    resumed = momok.resume(tmp_path / "run", progress=False)
    expected = evaluate(load_model(whole.best_checkpoint)[0], whole.load_graph(), "test")
    for run in (whole, resumed):  # sums of a GPU come in any order, so not to the bit
        found = run.load_evaluation("test").overall[ANSWER].mrr
        assert found == pytest.approx(expected.overall[ANSWER].mrr, abs=0.02)


def test_a_run_as_it_is_by_default(tmp_path: Path) -> None:
    """Narrow products, noise of the device, compiled; then what is done with a run."""
    run = train_small(
        tmp_path / "run",
        runtime__device="cuda",
        runtime__precision="auto",
        runtime__compile="on",
        training__epochs=40,
    )
    losses = [record["loss"] for record in run.records("epoch")]
    assert losses[-1] < losses[0]
    there, here = (momok.Predictor(run.path, device=device) for device in ("cuda", "cpu"))
    for predictor in (there, here):
        explain_model(predictor)
    found, wanted = (p.predict(head="e1", relation="r1", k=5) for p in (there, here))
    assert [a.score for a in found] == pytest.approx([a.score for a in wanted], abs=1e-3)
