"""Arrays out of pickles and files of PyTorch, without running what is in them.

A pickle is a program: it names functions and calls them. Files of ``torch.save`` are read by
``torch.load(weights_only=True)``, and other pickles by an unpickler that knows the few names by
which NumPy and PyTorch write arrays; any other name is an error. NumPy's own functions are replaced
by harmless ones, since some states of a dtype would let an array reach outside of its memory.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from momok.errors import FeatureError

_ZIP = b"PK\x03\x04"  # how torch.save begins, and how it began before 1.6
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5  # that stand before the numbers

_MOST_REPEATED = 64  # times that something may stand in memory, per time that it stands in a file
_SMALL = 1 << 10  # bytes that this does not apply to
_PLAIN_DTYPE = re.compile(r"[<>=|]?([biufUS]\d+|\?)")


class RefusedError(Exception):
    """The pickle holds something that is not opened."""


def read_pickle(path: Path) -> Any:
    """Read what a pickle or a file of ``torch.save`` holds; arrays and tensors are NumPy's.

    Raises:
        FeatureError: it is corrupt, or names anything but arrays and plain containers.
    """
    with _explain_faults(), path.open("rb") as file:
        start = file.read(len(_LEGACY))
        file.seek(0)
        if start.startswith(_ZIP):
            _check_archive(path)
            return convert(_load_torch(str(path), mmap=True))
        return convert(_load_torch_legacy(file) if start == _LEGACY else _load(file))


def read_pickled_array(file: BinaryIO) -> Any:
    """Read the pickle of an ``.npy`` file of objects, from where its header ends."""
    with _explain_faults():
        return convert(_load(file))


def convert(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """Give the arrays and tensors in plain containers as arrays of NumPy, and all else as it is.

    What stands in several places is converted once.

    Raises:
        FeatureError: a tensor has no numbers in memory, or repeats them too often.
    """
    seen = {} if seen is None else seen
    if isinstance(value, _PickledArray):
        value = value.content
    if isinstance(value, torch.Tensor):
        return _read_tensor(value)
    if id(value) in seen or not isinstance(value, (dict, list, tuple)):
        return seen.get(id(value), value)
    seen[id(value)] = None  # of what holds itself
    if isinstance(value, dict):
        seen[id(value)] = {key: convert(item, seen) for key, item in value.items()}
    else:
        seen[id(value)] = [x if isinstance(x, (int, float)) else convert(x, seen) for x in value]
    return seen[id(value)]


def _read_tensor(tensor: torch.Tensor) -> NDArray[Any]:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise FeatureError(f"holds a tensor of layout {tensor.layout} on {tensor.device}")
    held = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > _MOST_REPEATED * max(held, _SMALL):
        raise FeatureError(f"a tensor repeats {held:,} bytes to {tensor.numel():,} numbers")
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


@contextmanager
def _explain_faults() -> Iterator[None]:
    """Turn whatever a broken or hostile pickle raises into one line."""
    try:
        yield
    except FeatureError:
        raise
    except Exception as error:
        # PyTorch's own reason stands at the end of its advice.
        reason = str(error).rpartition("WeightsUnpickler error: ")[2]
        named = re.search(r"unsupported global:? (?:GLOBAL )?(\S+)", reason, re.IGNORECASE)
        if named or isinstance(error, RefusedError):
            held = ascii(named[1] if named else reason)[1:-1]  # a name may hold anything
            raise FeatureError(
                f"is refused: it holds {held[:200]}, which is neither an array nor a plain "
                f"container of labels and numbers; opening it could run code"
            ) from None
        reason = reason.strip().splitlines()[0][:160] if reason.strip() else type(error).__name__
        raise FeatureError(f"is corrupt or no pickle: {reason}") from error


def _check_archive(path: Path) -> None:
    """Check that a zip archive is one that torch.save writes, before it is unpacked."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.rpartition("/")[2]: info for info in archive.infolist()}
        if "data.pkl" not in members:
            raise FeatureError("is a zip archive, but not one of torch.save: no data.pkl is in it")
        if "constants.pkl" in members:
            raise RefusedError("a TorchScript program")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise FeatureError("is compressed, which torch.save never does")
        with archive.open(members["data.pkl"]) as pickled:
            _check_sizes(pickled)


def _load_torch_legacy(file: BinaryIO) -> Any:
    """Read what torch.save wrote before 1.6: pickles, then the numbers."""
    for _ in range(_LEGACY_PICKLES):
        _check_sizes(file)
    file.seek(0)
    return _load_torch(file)


def _load_torch(source: Any, mmap: bool = False) -> Any:
    named: list[Any] = [(call, name) for name, call in _NUMPY.items()]
    with torch.serialization.safe_globals(named):
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)


def _load(file: BinaryIO) -> Any:
    """Read a plain pickle."""
    start = file.tell()
    _check_sizes(file)
    file.seek(start)
    return _Unpickler(file, encoding="bytes").load()


class _Unpickler(pickle.Unpickler):
    """Knows no name but those of arrays."""

    def find_class(self, module: str, name: str) -> Any:
        known = _NUMPY.get(f"{module}.{name}") or _TORCH.get(f"{module}.{name}")
        if known is None:
            raise RefusedError(f"{module}.{name}")
        return known


def _check_sizes(pickled: Any) -> None:
    """Refuse a pickle that needs far more memory, stack or time than it has bytes.

    The unpickler keeps an array as long as the largest index into its memo. And the hash of a tuple
    goes through all that it holds: of tuples within tuples it may overflow the stack, or never end.
    So this goes through the pickle without loading it, and keeps for each value on the stack how
    large a tuple it is: what it holds counts twice at each level, and as often as it is met.
    """
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[Any, int] = {}
    for opcode, argument, position in pickletools.genops(pickled):
        name, before, at = opcode.name, opcode.stack_before, position or 0
        if name == "MEMOIZE" or name.endswith("PUT"):
            index = len(memo) if argument is None else argument
            if index > at:
                raise RefusedError(f"a memo of {index:,} values")
            memo[index] = stack[-1]
            continue
        taken: list[int] = []
        below = len(before)
        if pickletools.markobject in before:
            taken = stack[marks[-1] :]
            del stack[marks.pop() :]
            below = before.index(pickletools.markobject)
        elif name == "POP" and marks and marks[-1] == len(stack):
            marks.pop()
            continue
        if below:
            taken += stack[-below:]
            del stack[-below:]
        if name == "MARK":
            marks.append(len(stack))
        elif name.endswith("GET"):
            stack.append(memo[argument])
        elif name.startswith("TUPLE"):
            stack.append(1 + 2 * sum(taken))
            if stack[-1] > _MOST_REPEATED * (at + _SMALL):
                raise RefusedError("tuples within tuples within tuples")
        else:
            stack += taken * 2 if name == "DUP" else [1] * len(opcode.stack_after)


class _Function:
    """Stands for a function that a pickle names; nothing can be stored on it."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, _state: object) -> None:
        raise RefusedError("a state for a function")


class _PickledDType:
    """Stands for a NumPy dtype; only those of plain numbers and texts become one."""

    def __init__(self, name: object = "", *_options: object) -> None:
        self.name = _decode(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order: ``(version, order, ...)``."""
        if _decode(state[1]) in ("<", ">"):
            self.name = _decode(state[1]) + self.name.lstrip("<>=|")

    def resolve(self) -> np.dtype[Any] | None:
        """The dtype; None for objects."""
        if self.name.lstrip("<>=|") in ("O", "O8"):
            return None
        if not _PLAIN_DTYPE.fullmatch(self.name):
            raise RefusedError(f"an array of type {self.name[:40]!r}")
        return np.dtype(self.name)


class _PickledArray:
    """Stands for a NumPy array, which gets its content after it was made."""

    content: Any = None

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take ``(version, shape, dtype, is Fortran's order, content)``."""
        _, shape, dtype, by_columns, content = state
        self.content = _fill(content, dtype, shape, "F" if by_columns else "C")


def _decode(name: object) -> str:
    """Take a text, which Python 2 may have written as bytes."""
    if isinstance(name, bytes):
        return name.decode("utf-8", "replace")
    if not isinstance(name, str):
        raise RefusedError(f"a {type(name).__name__} where a name belongs")
    return name


def _fill(content: Any, dtype: _PickledDType, shape: Any, order: Any = "C") -> Any:
    """Make an array of its bytes; an array of objects becomes a list."""
    kind = dtype.resolve()
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if kind is None:
        if not isinstance(content, list) or len(content) != math.prod(sizes):
            raise FeatureError(f"an array of {sizes} objects with other content")
        return content if sizes else content[0]
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    if len(raw) != math.prod(sizes) * kind.itemsize:
        raise FeatureError(f"an array of {kind} {sizes} with {len(raw):,} bytes")
    return np.frombuffer(raw, kind).reshape(sizes, order="F" if _decode(order) == "F" else "C")


def _encode_text(text: str, encoding: Any) -> bytes:
    """The bytes of an array in a pickle of protocol 2, which has none."""
    if _decode(encoding) not in ("latin1", "latin-1"):
        raise RefusedError(f"text in {encoding!r}")
    return text.encode("latin1")


def _rebuild_tensor(storage: Any, offset: int, shape: Any, strides: Any, *_others: Any) -> Any:
    """Make a tensor of a storage, which must have all of its numbers."""
    empty = torch._utils._rebuild_tensor(storage, 0, (0,), (1,))  # type: ignore[no-untyped-call]
    return empty.new_empty(0).set_(empty.untyped_storage()).as_strided(shape, strides, offset)


_NUMPY: Mapping[str, Any] = {
    "numpy.ndarray": _PickledArray,
    "numpy.dtype": _PickledDType,
    "_codecs.encode": _Function(_encode_text),
    **{
        f"numpy.{core}.{name}": call
        for core in ("core", "_core")
        for name, call in {
            "multiarray._reconstruct": _PickledArray,
            "multiarray.scalar": _Function(lambda dtype, raw=b"": _fill(raw, dtype, ()).item()),
            "numeric._frombuffer": _Function(_fill),
        }.items()
    },
}
"""What makes the arrays of a pickle, by the name that it calls."""

_TORCH: Mapping[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch.storage._load_from_bytes": _Function(lambda raw: _load_torch_legacy(io.BytesIO(raw))),
    "torch._utils._rebuild_tensor_v2": _Function(_rebuild_tensor),
    "torch._utils._rebuild_parameter": _Function(lambda tensor, *_others: tensor),
}
"""The same of a tensor in a plain pickle; files of PyTorch are read by PyTorch itself."""
