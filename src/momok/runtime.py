"""Device, precision, threads and seeds."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from momok.errors import ConfigError
from momok.settings import RuntimeSettings

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's mallopt


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """On what a run computes."""

    device: torch.device
    precision: torch.dtype
    threads: int

    def autocast(self) -> AbstractContextManager[Any]:
        """A context in which matrix products run in the chosen precision."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == torch.bfloat16
        )

    @contextmanager
    def share_threads(self, tasks: int) -> Iterator[int]:
        """Share the threads out among tasks that run side by side: how many at a time.

        In this block an operation has its task's share of the threads. A GPU takes one at a time.
        """
        count = min(max(tasks, 1), self.threads) if self.device.type == "cpu" else 1
        torch.set_num_threads(self.threads // count)
        try:
            yield count
        finally:
            torch.set_num_threads(self.threads)

    def describe(self) -> str:
        """In words: ``cpu, 2 threads, bfloat16 products``."""
        precision = str(self.precision).removeprefix("torch.")
        where = f"cpu, {self.threads} thread{'' if self.threads == 1 else 's'}"
        if self.device.type == "cuda":
            where = torch.cuda.get_device_name(self.device)
        return f"{where}, {precision} products"


def start_runtime(settings: RuntimeSettings) -> Runtime:
    """Apply the settings to this process: threads, memory reuse, precision of products.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    device = find_device(settings.device, "runtime.device")
    threads = settings.threads or asked_threads() or usable_cores()
    torch.set_num_threads(threads)
    if device.type == "cpu":
        _keep_freed_memory()
    precision = torch.float32
    if settings.precision == "bfloat16" or (
        settings.precision == "auto" and has_fast_bfloat16(device)
    ):
        precision = torch.bfloat16
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 products remain
    return Runtime(device=device, precision=precision, threads=threads)


def find_device(name: str, setting: str = "device") -> torch.device:
    """Find the device of ``cpu``, ``cuda``, or ``auto``: a GPU if there is one.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"{setting} = {name!r}: expected auto, cpu or cuda")
    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise ConfigError(
            f"{setting} = 'cuda': PyTorch sees no GPU here; set {setting}=cpu or auto, or install "
            f"a PyTorch build for your GPU"
        )
    return torch.device("cuda" if cuda and name != "cpu" else "cpu")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster here than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # AMX tiles: 15 to 20 times the float32 rate (measured). AVX512-BF16 alone: about twice.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def build_generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that one does not shift another's numbers."""
    words = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(2, np.uint32)
    state = int(words[0]) << 31 | int(words[1]) >> 1
    return torch.Generator(device=device).manual_seed(state)


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A host tensor on ``device``, without waiting for what the device is doing.

    From ordinary memory a copy to a GPU begins only after everything that was asked of it before;
    from pinned memory it takes its turn.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def describe_environment(runtime: Runtime) -> dict[str, Any]:
    """What the run computed on, for the run folder: plain JSON."""
    described = asdict(runtime) | {
        "device": str(runtime.device),
        "precision": str(runtime.precision).removeprefix("torch."),
    }
    if runtime.device.type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(runtime.device)
    return described | {
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def compare_environments(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What a run began with and no longer has, of all that rounding depends on; in words."""
    return ", ".join(
        f"{name} {before[name]} (now {now.get(name)})"
        for name in ("device", "gpu", "cpu", "threads", "precision", "torch")
        if name in before and before[name] != now.get(name)
    )


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def asked_threads() -> int:
    """What ``OMP_NUM_THREADS`` says, as everything else that PyTorch computes with heeds it."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() else 0


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if _linux() else os.cpu_count() or 1


def _linux() -> bool:
    return sys.platform.startswith("linux")


def _keep_freed_memory() -> None:
    """Let freed memory be used again instead of handing every large tensor back to the system.

    A fresh 60 MB tensor costs 16,000 page faults; a training step allocates dozens. With glibc
    told to keep its heap, a step of MKG-Y size takes 15% less time (measured, 2 cores).
    """
    if not _linux():
        return
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):  # another C library: slower, nothing else
        return


def give_memory_back() -> None:
    """Hand freed memory back to the system, which ``start_runtime`` keeps for what comes next.

    For when nothing of that size comes next.
    """
    gc.collect()
    if not _linux():
        return
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
