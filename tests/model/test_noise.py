"""Dropout and gate noise: frequencies, means, gradients, and where the numbers come from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from momok.model.experts import ExpertBank
from momok.model.noise import Noise

CPU = torch.device("cpu")
RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.9)


def build(seed: int = 0) -> Noise:
    return Noise(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("p", RATES)
def test_masks_keep_as_many_cells_as_they_say(p, dtype) -> None:
    cells = 400_000
    bits = build().keep_bits((cells,), p, torch.empty(0, dtype=dtype))
    assert set(bits.unique().tolist()) == {-1, 0}
    kept = (bits != 0).double().mean()
    expected = Noise.keep_probability(p, CPU)
    deviation = (expected * (1 - expected) / cells) ** 0.5
    assert abs(float(kept) - expected) < 5 * deviation
    assert abs(expected - (1 - p)) <= 0.5 / 256


def test_bytes_of_a_draw_are_independent() -> None:
    """Eight cells share one 64-bit number."""
    mask = -build().keep_bits((50_000, 8), 0.5, torch.empty(0)).double()
    together = torch.corrcoef(mask.T)
    together.fill_diagonal_(0.0)
    assert float(together.abs().max()) < 5 / 50_000**0.5
    assert float(torch.corrcoef(torch.stack([mask[:-1, 7], mask[1:, 0]]))[0, 1]) < 5 / 50_000**0.5


@pytest.mark.parametrize("p", RATES)
def test_dropout_keeps_the_mean(p) -> None:
    x = torch.rand(1000, 300, generator=torch.Generator().manual_seed(0)) + 1.0
    dropped = build().dropout(x, p)
    kept = dropped != 0
    scale = 1.0 / Noise.keep_probability(p, CPU)
    torch.testing.assert_close(dropped[kept], x[kept] * scale)
    assert float(dropped.mean()) == pytest.approx(float(x.mean()), rel=0.02)


@given(shape=st.lists(st.integers(0, 9), min_size=1, max_size=3), p=st.floats(0.0, 0.9999))
@settings(deadline=None)
def test_any_shape_and_any_rate(shape, p) -> None:
    x = torch.ones(shape)
    dropped = build().dropout(x, p)
    assert dropped.shape == x.shape
    assert bool(dropped.isfinite().all())
    kept = dropped != 0
    scale = 1.0 / Noise.keep_probability(p, CPU) if p else 1.0
    assert torch.equal(dropped[kept], torch.full_like(dropped[kept], scale))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_gradient_goes_where_the_values_went(dtype) -> None:
    x = torch.ones(50, 40, dtype=dtype, requires_grad=True)
    dropped = build().dropout(x, 0.4)
    assert dropped.dtype == dtype
    dropped.backward(torch.full_like(dropped, 2.0))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2 * dropped.detach(), rtol=1e-2, atol=0)


def draw(noise: Noise) -> list[Tensor]:
    x = torch.ones(30, 7)
    return [noise.dropout(x, 0.5), noise.keep_bits((9, 3), 0.2, x), noise.normal(x)]


def test_all_randomness_is_that_of_the_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second, other = draw(build(1)), draw(build(1)), draw(build(2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b, c in zip(first, second, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_two_draws_differ() -> None:
    noise = build()
    assert not torch.equal(draw(noise)[0], draw(noise)[0])


def test_without_a_generator_there_is_no_noise() -> None:
    noise, x = Noise(None), torch.rand(5, 4)
    assert noise.off
    assert noise.dropout(x, 0.5) is x
    assert not build().off
    assert build().dropout(x, 0.0) is x


def test_gaussian_noise_of_the_gate() -> None:
    """logits = e U + N(0, 1) (softplus(e V) + 0.01), in training only."""
    entities = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))
    bank = ExpertBank(3, 2)
    with torch.no_grad():
        bank.gate_weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]]))
        bank.noise_weight.copy_(torch.tensor([[0.5, 0.5], [-1.0, 0.0], [0.0, 1.0]]))
        noisy, quiet = bank.gate(entities, build()), bank.gate(entities, Noise(None))
        plain = torch.softmax(entities @ bank.gate_weight, dim=1)
        scale = torch.nn.functional.softplus(entities @ bank.noise_weight) + 0.01
    torch.testing.assert_close(quiet, plain)
    # two experts: the difference of the logits is the log of the ratio of the gates
    shift = (noisy[:, 0] / noisy[:, 1]).log() - (plain[:, 0] / plain[:, 1]).log()
    standard = shift / scale.square().sum(dim=1).sqrt()
    assert abs(float(standard.mean())) < 0.04
    assert float(standard.std()) == pytest.approx(1.0, abs=0.03)


def test_temperature_divides_the_logits() -> None:
    bank, entities = ExpertBank(3, 4), torch.rand(6, 3)
    temperature = torch.rand(6) + 0.1
    with torch.no_grad():
        bank.gate_weight.normal_(generator=torch.Generator().manual_seed(0))
        gate = bank.gate(entities, Noise(None), temperature)
        expected = torch.softmax(entities @ bank.gate_weight / temperature[:, None], dim=1)
    torch.testing.assert_close(gate, expected)
