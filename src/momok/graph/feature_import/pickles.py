"""Reading arrays out of pickles without running what is in them.

A pickle is a program: it names functions and calls them. This reader knows a handful of names,
those by which NumPy and PyTorch write arrays, and has its own harmless functions for them; any
other name is an error. Neither PyTorch nor the functions named are used.

Understood are plain pickles, files of ``torch.save`` (the zip archive, and the stream before
PyTorch 1.6), and the pickles inside ``.npy`` files of objects. What comes out is made of dict,
list, str, bytes, numbers, None, NumPy arrays and ``LazyTensor``.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from momok.errors import FeatureError
from momok.graph.feature_import.tensors import STORAGES, LazyTensor, Storage, measure_item

__all__ = ["read_pickle", "read_pickled_array"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first object of torch.save before 1.6
_PLAIN_DTYPE = re.compile(r"[<>=|]?([biufUS]\d+|\?)")


class _RefusedError(Exception):
    """The pickle holds something that is not opened."""


class _Call:
    """Stands in for a function or class that a pickle names; nothing can be stored on it."""

    __slots__ = ("_build", "name")

    def __init__(self, name: str, build: Callable[..., Any]) -> None:
        self.name, self._build = name, build

    def __call__(self, *args: Any, **_kwargs: Any) -> Any:
        return self._build(*args)

    def __setstate__(self, _state: object) -> None:
        raise _RefusedError(f"a state for {self.name}")


class _Dict(dict[Any, Any]):
    """An OrderedDict of a pickle; attributes that came with it are dropped."""

    def __setstate__(self, _state: object) -> None:
        """Nothing."""


class _DType:
    """A NumPy dtype of a pickle."""

    def __init__(self, name: object) -> None:
        self.name = _text(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order: ``(version, order, ...)``."""
        order = _text(state[1])
        if order in ("<", ">"):
            self.name = order + self.name.lstrip("<>=|")

    def resolve(self) -> np.dtype[Any] | None:
        """The dtype; None for objects."""
        if self.name.lstrip("<>=|") in ("O", "O8"):
            return None
        if not _PLAIN_DTYPE.fullmatch(self.name):
            raise _RefusedError(f"an array of type {self.name[:40]!r}")
        return np.dtype(self.name)


class _Array:
    """A NumPy array of a pickle, which gets its content after it was made."""

    def __init__(self) -> None:
        self.content: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take ``(version, shape, dtype, is Fortran's order, content)``."""
        _, shape, dtype, by_columns, content = state
        self.content = _fill(shape, dtype, "F" if by_columns else "C", content)


def read_pickle(path: Path) -> Any:
    """Read what a pickle or a file of ``torch.save`` holds.

    Tensors are read from the file when they are looked at; it must stay as it is meanwhile.

    Raises:
        FeatureError: it is corrupt, or names anything but arrays and plain containers.
    """
    with _explain(path):
        if zipfile.is_zipfile(path):
            return _read_torch_zip(path)
        with path.open("rb") as file:
            return _read_stream(file)


def read_pickled_array(path: Path, file: BinaryIO) -> Any:
    """Read the pickle of an ``.npy`` file of objects, from where its header ends."""
    with _explain(path):
        array = _Unpickler(file).load()
        return _finish(array)


class _explain:  # noqa: N801 - a context manager that reads as a verb
    """Turns whatever a broken or hostile pickle raises into one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Explain."""
        if isinstance(error, _RefusedError):
            raise FeatureError(
                f"{self.path}: is refused: it holds {error}, which is neither an array nor a plain "
                f"container of labels and numbers; opening it could run code"
            ) from None
        if isinstance(error, FeatureError):
            raise FeatureError(f"{self.path}: {error}") from error
        if isinstance(error, Exception):
            said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            raise FeatureError(f"{self.path}: is corrupt or no pickle: {said}") from error


class _Unpickler(pickle._Unpickler):  # the one in Python
    """Knows no name but those of arrays.

    The unpickler in Python and not the one in C: a hostile index into the memo costs the latter any
    amount of memory.
    """

    def __init__(
        self, file: BinaryIO, load_storage: Callable[[tuple[Any, ...]], Storage] | None = None
    ) -> None:
        super().__init__(file, encoding="bytes")
        self._load_storage = load_storage

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def load_pairs(self, load: Callable[[Any], None], keys: Sequence[Any]) -> None:
        """Put pairs into a dictionary if the keys are plain.

        The hash of a tuple of a tuple of a tuple ... would overflow the stack of the process.
        """
        for key in keys:
            if not isinstance(key, (str, bytes, int, float, type(None))):
                raise _RefusedError(f"a {type(key).__name__.strip('_')} as a key")
        load(self)

    def load_set(self) -> None:
        """Refuse sets, whose members are hashed too."""
        raise _RefusedError("a set")

    def find_class(self, module: object, name: object) -> Any:
        """Give our own function for a name that is known."""
        module, name = _text(module), _text(name)
        known = _find_known(module, name)
        if known is None:
            raise _RefusedError(f"{module}.{name}"[:200])
        return known

    def persistent_load(self, pid: Any) -> Any:
        """Give a storage of a file of PyTorch."""
        if self._load_storage is None or not isinstance(pid, tuple) or _text(pid[0]) != "storage":
            raise _RefusedError("a reference to something outside of it")
        return self._load_storage(pid)

    def get_extension(self, code: int) -> Any:
        """Refuse codes that other programs have registered."""
        raise _RefusedError(f"extension {code}")


def _guard_pairs(opcode: bytes, find_keys: Callable[[list[Any]], Sequence[Any]]) -> None:
    load = _Unpickler.dispatch[opcode[0]]
    _Unpickler.dispatch[opcode[0]] = lambda unpickler: unpickler.load_pairs(
        load, find_keys(unpickler.stack)
    )


_guard_pairs(pickle.SETITEM, lambda stack: stack[-2:-1])
_guard_pairs(pickle.SETITEMS, lambda stack: stack[::2])  # since the mark, keys and values in turn
_guard_pairs(pickle.DICT, lambda stack: stack[::2])
for _opcode in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS):
    _Unpickler.dispatch[_opcode[0]] = _Unpickler.load_set


def _find_known(module: str, name: str) -> _Call | None:
    full = f"{module}.{name}"
    if module == "torch" and name in STORAGES:
        return _Call(full, _no_call(full))
    build = _KNOWN.get(full.replace("numpy._core", "numpy.core"))
    return None if build is None else _Call(full, build)


def _no_call(name: str) -> Callable[..., Any]:
    def refuse(*_args: Any) -> Any:
        raise _RefusedError(f"a call of {name}")

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
        raise _RefusedError("a tensor without storage")
    sizes, steps = tuple(map(int, shape)), tuple(map(int, strides))
    if len(sizes) != len(steps) or min(sizes, default=0) < 0:
        raise FeatureError(f"a tensor of shape {sizes} and strides {steps}")
    return LazyTensor(storage, int(offset), sizes, steps)


def _begin_dict() -> _Dict:
    """An empty dictionary; pairs come one by one, so that their keys are looked at."""
    return _Dict()


def _read_nested(content: bytes) -> Any:
    """A storage that a plain pickle of a tensor holds: a whole file of torch.save within it."""
    return _read_stream(io.BytesIO(bytes(content)))


def _encode_text(text: str, encoding: Any) -> bytes:
    if _text(encoding) not in ("latin1", "latin-1"):
        raise _RefusedError(f"text in {encoding!r}")
    return text.encode("latin1")


_KNOWN: Mapping[str, Callable[..., Any]] = {
    "numpy.ndarray": _no_call("numpy.ndarray"),
    "numpy.dtype": lambda name, *_options: _DType(name),
    "numpy.core.multiarray._reconstruct": lambda *_args: _Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": lambda raw, dtype, shape, order: _fill(
        shape, dtype, _text(order), raw
    ),
    "collections.OrderedDict": _begin_dict,
    "_codecs.encode": _encode_text,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda data, *_others: data,
    "torch.Size": tuple,
    "torch.storage._load_from_bytes": _read_nested,
}


def _finish(value: Any, depth: int = 0) -> Any:
    """Take the content out of arrays, down to the values of a dict or list."""
    if isinstance(value, _Array):
        return _finish(value.content, depth + 1)
    if depth < 3:
        if isinstance(value, dict):
            return {key: _finish(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [_finish(item, depth + 1) for item in value]
    return value


def _read_stream(file: BinaryIO) -> Any:
    """Read a plain pickle, or what torch.save wrote before 1.6."""
    first = _Unpickler(file).load()
    if type(first) is not int or first != _LEGACY_MAGIC:
        return _finish(first)
    _version, _system = _Unpickler(file).load(), _Unpickler(file).load()
    contents: dict[str, bytes] = {}
    sizes: dict[str, int] = {}

    def load_storage(pid: tuple[Any, ...]) -> Storage:
        dtype, key, count = _take_apart(pid)
        view = pid[5] if len(pid) > 5 else None
        if view is not None:
            raise FeatureError("a view of a storage, as PyTorch wrote before 0.4; save it again")
        sizes[key] = measure_item(dtype)
        return Storage(dtype, count, lambda: contents[key])

    value = _finish(_Unpickler(file, load_storage).load())
    for key in map(_text, _Unpickler(file).load()):
        if key not in sizes:
            raise FeatureError(f"numbers of a storage {key[:40]!r} that nothing refers to")
        (count,) = struct.unpack("<q", file.read(8))
        contents[key] = file.read(max(count, 0) * sizes[key])
    return value


def _read_torch_zip(path: Path) -> Any:
    """Read what torch.save has written since 1.6: a pickle and one file per storage."""
    archive = zipfile.ZipFile(path)  # open as long as a tensor may want its numbers
    names = {info.filename: info for info in archive.infolist()}
    found = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
    if len(found) != 1:
        raise FeatureError("is a zip archive, but not one of torch.save: no data.pkl is in it")
    if any(name.rpartition("/")[2] == "constants.pkl" for name in names):
        raise _RefusedError("a TorchScript program")
    if any(info.compress_type != zipfile.ZIP_STORED for info in names.values()):
        raise FeatureError("is compressed, which torch.save never does")
    prefix = found[0].removesuffix("data.pkl")
    if names.get(f"{prefix}byteorder") and archive.read(f"{prefix}byteorder") != b"little":
        raise FeatureError("was saved on a big-endian machine; save it again on another")
    read_member = lru_cache(maxsize=1)(archive.read)  # tensors often share one storage

    def load_storage(pid: tuple[Any, ...]) -> Storage:
        dtype, key, count = _take_apart(pid)
        member = names.get(f"{prefix}data/{key}")
        if member is None or member.file_size != count * measure_item(dtype):
            raise FeatureError(f"the numbers of storage {key[:40]!r} are missing or cut off")
        return Storage(dtype, count, partial(read_member, member.filename))

    pickled = io.BytesIO(archive.read(found[0]))
    return _finish(_Unpickler(pickled, load_storage).load())


def _take_apart(pid: tuple[Any, ...]) -> tuple[str, str, int]:
    """Dtype, key and count of ``("storage", type, key, location, count, ...)``."""
    kind = pid[1]
    dtype = STORAGES.get(kind.name.removeprefix("torch.")) if isinstance(kind, _Call) else None
    if dtype is None:
        raise _RefusedError("a storage of unknown type")
    return dtype, _text(pid[2]), int(pid[4])


def _text(value: object) -> str:
    """A text that Python 2 may have written as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise _RefusedError(f"a {type(value).__name__} where a name belongs")
    return value
