"""What pickles of arrays are made of: harmless stand-ins for the functions and classes they name.

``BUILDERS`` lists all that may be called, but for one name that ``pickles`` adds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from momok.errors import FeatureError
from momok.graph.feature_import.tensors import LazyTensor, Storage

__all__ = ["BUILDERS", "NamedCall", "PickledArray", "RefusedError", "read_name", "refuse_call"]

_PLAIN_DTYPE = re.compile(r"[<>=|]?([biufUS]\d+|\?)")


class RefusedError(Exception):
    """The pickle holds something that is not opened."""


class NamedCall:
    """Stands in for a function or class that a pickle names; nothing can be stored on it."""

    __slots__ = ("_build", "name")

    def __init__(self, name: str, build: Callable[..., Any]) -> None:
        self.name, self._build = name, build

    def __call__(self, *args: Any, **_kwargs: Any) -> Any:
        """Build what is meant."""
        return self._build(*args)

    def __setstate__(self, _state: object) -> None:
        raise RefusedError(f"a state for {self.name}")


class _Dict(dict[Any, Any]):
    """An OrderedDict of a pickle; attributes that came with it are dropped."""

    def __setstate__(self, _state: object) -> None:
        """Nothing."""


class _DType:
    """A NumPy dtype of a pickle."""

    def __init__(self, name: object) -> None:
        self.name = read_name(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order: ``(version, order, ...)``."""
        order = read_name(state[1])
        if order in ("<", ">"):
            self.name = order + self.name.lstrip("<>=|")

    def resolve(self) -> np.dtype[Any] | None:
        """The dtype; None for objects."""
        if self.name.lstrip("<>=|") in ("O", "O8"):
            return None
        if not _PLAIN_DTYPE.fullmatch(self.name):
            raise RefusedError(f"an array of type {self.name[:40]!r}")
        return np.dtype(self.name)


class PickledArray:
    """A NumPy array of a pickle, which gets its content after it was made."""

    def __init__(self) -> None:
        self.content: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take ``(version, shape, dtype, is Fortran's order, content)``."""
        _, shape, dtype, by_columns, content = state
        self.content = _fill(shape, dtype, "F" if by_columns else "C", content)


def read_name(value: object) -> str:
    """Take a text, which Python 2 may have written as bytes.

    Raises:
        RefusedError: it is neither.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise RefusedError(f"a {type(value).__name__} where a name belongs")
    return value


def refuse_call(name: str) -> Callable[..., Any]:
    """Make a function that stands for a name which may be named but not called."""

    def refuse(*_args: Any) -> Any:
        raise RefusedError(f"a call of {name}")

    return refuse


def _fill(shape: Any, dtype: Any, order: str, content: Any) -> Any:
    """Make an array of its bytes; an array of objects becomes a list, row by row if it has rows."""
    kind = dtype.resolve()
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if kind is None:
        if not isinstance(content, list) or len(content) != math.prod(sizes):
            raise FeatureError(f"an array of {sizes} objects with other content")
        return content if len(sizes) else content[0]
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    if len(raw) != math.prod(sizes) * kind.itemsize:
        raise FeatureError(f"an array of {kind} {sizes} with {len(raw):,} bytes")
    flat = np.frombuffer(raw, dtype=kind)
    return flat.reshape(sizes, order="F" if order == "F" else "C")


def _scalar(dtype: Any, content: Any = b"") -> Any:
    return _fill((), dtype, "C", content).item()


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_others: Any) -> LazyTensor:
    if not isinstance(storage, Storage):
        raise RefusedError("a tensor without storage")
    sizes, steps = tuple(map(int, shape)), tuple(map(int, strides))
    if len(sizes) != len(steps) or min(sizes, default=0) < 0:
        raise FeatureError(f"a tensor of shape {sizes} and strides {steps}")
    return LazyTensor(storage, int(offset), sizes, steps)


def _begin_dict() -> _Dict:
    """An empty dictionary; pairs come one by one, so that their keys are looked at."""
    return _Dict()


def _encode_text(text: str, encoding: Any) -> bytes:
    if read_name(encoding) not in ("latin1", "latin-1"):
        raise RefusedError(f"text in {encoding!r}")
    return text.encode("latin1")


BUILDERS: Mapping[str, Callable[..., Any]] = {
    "numpy.ndarray": refuse_call("numpy.ndarray"),
    "numpy.dtype": lambda name, *_options: _DType(name),
    "numpy.core.multiarray._reconstruct": lambda *_args: PickledArray(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": lambda raw, dtype, shape, order: _fill(
        shape, dtype, read_name(order), raw
    ),
    "collections.OrderedDict": _begin_dict,
    "_codecs.encode": _encode_text,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda data, *_others: data,
    "torch.Size": tuple,
}
"""What makes the objects of a pickle, by the name that it calls."""
