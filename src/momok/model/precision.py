"""Which precision a product or a reduction runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor


def matmul_dtype(x: Tensor) -> torch.dtype:
    """The precision of products with ``x``: autocast's where it is on, else the tensor's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def as_given(x: Tensor) -> AbstractContextManager[Any]:
    """A context in which products run in the precision of their operands, autocast or not."""
    return torch.autocast(x.device.type, enabled=False)


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` itself, or in float32 when it is narrower: for losses, softmaxes and norms."""
    return x.float() if x.dtype.itemsize < 4 else x
