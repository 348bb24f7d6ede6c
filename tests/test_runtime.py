"""Device, precision, threads and generators."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from momok import runtime
from momok.errors import ConfigError
from momok.runtime import build_generator, describe_environment, start_runtime
from momok.settings import RuntimeSettings


@pytest.fixture(autouse=True)
def _same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def start(**given: object) -> runtime.Runtime:
    return start_runtime(RuntimeSettings(**({"device": "cpu"} | given)))


def test_threads() -> None:
    assert start(threads=1).threads == torch.get_num_threads() == 1
    assert start(threads=2).threads == torch.get_num_threads() == 2
    assert start(threads=0).threads >= 1


@pytest.mark.parametrize(("asked", "threads"), [("1", 1), ("2", 2), ("", 3), ("many", 3)])
def test_threads_of_the_environment(monkeypatch, asked, threads) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(runtime, "usable_cores", lambda: 3)
    assert start().threads == threads
    assert start(threads=1).threads == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_of_products(precision) -> None:
    started = start(precision=precision, threads=1)
    assert started.precision == getattr(torch, precision)
    with started.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == started.precision
    assert started.describe() == f"cpu, 1 thread, {precision} products"


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_bfloat16_where_it_is_fast(monkeypatch, fast) -> None:
    monkeypatch.setattr(runtime, "has_fast_bfloat16", lambda _: fast)
    assert start().precision == (torch.bfloat16 if fast else torch.float32)
    assert start(precision="float32").precision == torch.float32


def test_an_older_torch_cannot_tell(monkeypatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not runtime.has_fast_bfloat16(torch.device("cpu"))


def test_a_gpu_that_is_not_there(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"PyTorch sees no GPU here; set runtime\.device=cpu"):
        start(device="cuda")
    assert start(device="auto").device.type == "cpu"


def test_the_environment_is_plain_json() -> None:
    described = describe_environment(start(threads=1, precision="bfloat16"))
    assert json.loads(json.dumps(described)) == described
    expected = {"device": "cpu", "threads": 1, "precision": "bfloat16", "torch": torch.__version__}
    assert described.items() >= expected.items()


@given(seed=st.integers(0, 2**63 - 1), purpose=st.sampled_from(["weights", "training", "clubs"]))
@settings(deadline=None)
def test_a_generator_is_fixed_by_seed_and_purpose(seed, purpose) -> None:
    def draw(seed: int, purpose: str) -> list[float]:
        return torch.rand(4, generator=build_generator(seed, purpose)).tolist()

    assert draw(seed, purpose) == draw(seed, purpose)
    assert draw(seed, purpose) != draw(seed, purpose + "s")
    assert draw(seed, purpose) != draw((seed + 1) % 2**63, purpose)


def test_seeds_reach_the_bits_that_the_generator_uses() -> None:
    seeds = {build_generator(seed, "weights").initial_seed() % 2**32 for seed in range(2000)}
    assert len(seeds) > 1990
