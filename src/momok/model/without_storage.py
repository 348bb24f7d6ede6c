"""Modules without storage, which take their tensors from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_FILLING = (torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_)


@contextmanager
def without_storage() -> Iterator[None]:
    """Build modules on the meta device: they have shapes and no numbers."""
    with torch.device("meta"), _WithoutNumbers():
        yield


class _WithoutNumbers(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled with random numbers.

    On the meta device that does nothing, but takes a second: PyTorch loads its compiler for it.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FILLING:
            return args[0] if args else kwargs["tensor"]
        if func is torch.randn:
            func, kwargs = torch.empty, {}
        return func(*args, **kwargs)
