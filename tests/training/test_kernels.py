"""Compiled or plain, a step is the same; and what happens where nothing can be compiled."""

from __future__ import annotations

import math

import pytest
import torch

from momok.errors import ConfigError
from momok.training import kernels as kernels_module
from momok.training.candidates import all_candidates
from momok.training.kernels import (
    CompiledKernels,
    PlainKernels,
    choose_kernels,
    has_compiler,
    score_flops,
)
from momok.training.losses import LOSSES, Logits, Probabilities
from momok.training.objective import backward_candidates

from .test_objective import build, build_batch

# PyTorch's compiler uses parts of PyTorch that it calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not has_compiler(CPU), reason="no C++ compiler here")


def choose(setting, flops, model=None):  # type: ignore[no-untyped-def]
    model = model or build()
    return choose_kernels(setting, model, Logits, CPU, flops=flops, queries=11, block=9)


def gradients(model, kernels, form):  # type: ignore[no-untyped-def]
    model.zero_grad()
    model.noise_generator = torch.Generator().manual_seed(3)
    batch, _ = build_batch()
    queries = model.encode_queries(
        model.entity_rows(batch.heads), batch.heads, batch.relations
    ).vectors
    blocks = all_candidates(batch, model.num_entities, 9)
    loss = backward_candidates(model, queries, blocks, loss=LOSSES[form], kernels=kernels)
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return loss, found


@needs_compiler
@pytest.mark.slow
def test_compiled_kernels_give_what_plain_ones_give() -> None:
    """Blocks of 9 and of 5 candidates: one compilation serves every size; noise is the same."""
    model = build().float()
    for form in ("logits", "probabilities"):
        compiled = CompiledKernels(model, LOSSES[form])
        model.zero_grad()
        model.noise_generator = torch.Generator().manual_seed(3)
        before = model.noise_generator.get_state()
        compiled.warm_up(11, 9)
        assert torch.equal(model.noise_generator.get_state(), before)
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())
        compilations = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        wanted, exact = gradients(model, PlainKernels(model, LOSSES[form]), form)
        loss, found = gradients(model, compiled, form)
        for head, value in wanted.per_head.items():
            torch.testing.assert_close(loss.per_head[head], value, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(
                loss.query_gradients[head], wanted.query_gradients[head], rtol=1e-4, atol=1e-7
            )
        assert found.keys() == exact.keys()
        for name, gradient in exact.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compilations


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_fused_loss_is_the_cross_entropy_and_its_derivative(share) -> None:
    """Uncompiled, against float64: large and small scores, and those that 1 + e rounds away."""
    scores = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([-1e4, 1e4, 0.0])])[None]
    exact = scores.double()
    slopes = torch.empty_like(scores)
    total = Logits.fused_cost(scores, slopes, share, 0.0)
    cells = torch.cat(
        [Logits.fused_cost(cell, torch.empty_like(cell), share, 0.0) for cell in scores.T.split(1)]
    )
    wanted = torch.nn.functional.softplus(exact)[0] - share * exact[0]
    torch.testing.assert_close(cells.double(), wanted, rtol=3e-7, atol=1e-18)
    torch.testing.assert_close(total.double(), cells.double().sum()[None], rtol=1e-5, atol=0)
    torch.testing.assert_close(slopes.double(), torch.sigmoid(exact) - share, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.25])
def test_the_fused_saturating_loss_is_that_of_float32_probabilities(share) -> None:
    """Uncompiled, against PyTorch's own: cells that saturate on either side, and all between."""
    near = [math.log(2.0**24) + x for x in (-0.7, -0.1, 0.1, 0.7)]
    scores = torch.cat(
        [torch.linspace(-130, 130, 5201), torch.tensor([-1e4, 1e4, 0.0, 27.6, -27.6, *near])]
    )[None]
    slopes, wanted_slopes = torch.empty_like(scores), torch.empty_like(scores)
    Probabilities.fused_cost(scores, slopes, share, 0.0)
    x = scores[0].clone().requires_grad_()
    p = torch.sigmoid(x)
    target = torch.full_like(p, share)
    wanted = torch.nn.functional.binary_cross_entropy(p, target, reduction="none")
    wanted.sum().backward()
    torch.testing.assert_close(slopes[0], x.grad, rtol=2e-5, atol=1e-12)
    assert (slopes[0] == 0.0).sum() > 2000
    Probabilities.cost(scores, wanted_slopes, share, 0.0)
    torch.testing.assert_close(slopes, wanted_slopes, rtol=2e-5, atol=1e-12)
    cells = torch.cat(
        [
            Probabilities.fused_cost(cell, torch.empty_like(cell), share, 0.0)
            for cell in scores.T.split(1)
        ]
    )
    saturated, wanted = (p == 1.0).detach(), wanted.detach()
    assert torch.equal(cells[saturated], wanted[saturated])
    exact = scores[0].double()
    exact = torch.nn.functional.softplus(exact) - share * exact.clamp_min(-100.0)
    torch.testing.assert_close(cells[~saturated].double(), exact[~saturated], rtol=3e-7, atol=1e-18)
    small = scores[0].abs() < 8  # the rounding of 1 - p does not show yet
    torch.testing.assert_close(cells[small], wanted[small], rtol=1e-4, atol=1e-7)


def test_a_short_run_is_not_compiled() -> None:
    model = build()
    chosen, remark = choose("auto", 1e9, model)
    assert not chosen.compiled
    assert remark is None
    assert score_flops(model, 10, 2) == 6 * 2 * 10 * model.num_entities * (6 + 5 + 7)


def refuse(*_: object, **__: object) -> None:
    raise RuntimeError("no such compiler\nand a long story")


def test_where_nothing_can_be_compiled(monkeypatch) -> None:
    monkeypatch.setattr(CompiledKernels, "warm_up", refuse)
    monkeypatch.setattr(kernels_module, "has_compiler", lambda _device: True)
    chosen, remark = choose("auto", 1e18)
    assert not chosen.compiled
    assert remark is not None
    assert "no such compiler" in remark
    assert "story" not in remark
    with pytest.raises(ConfigError, match=r"runtime.compile = on: .*no such compiler"):
        choose("on", 1.0)
    monkeypatch.setattr(kernels_module, "has_compiler", lambda _device: False)
    chosen, remark = choose("auto", 1e18)
    assert (chosen.compiled, remark) == (False, None)


def test_the_derivative_of_narrow_scores_is_made_in_float32() -> None:
    """At the offset the slope is all but the share: what is left is lost in bfloat16."""
    scores = torch.linspace(-0.5, 0.5, 400).view(4, 100).bfloat16()
    share, offset = 1e-4, math.log(1e-4)
    x = scores.double() + offset
    expected = torch.sigmoid(x) - share
    found = torch.empty_like(scores)
    total = PlainKernels(build()).cost(scores, found, share, offset)
    torch.testing.assert_close(found.double(), expected, rtol=5e-3, atol=1e-9)
    loss = (torch.nn.functional.softplus(x) - share * x).sum()
    torch.testing.assert_close(total, loss, rtol=1e-4, atol=0.0)
