"""Reading arrays out of pickles without running what is in them.

A pickle is a program: it names functions and calls them. This reader knows a handful of names,
those by which NumPy and PyTorch write arrays, and has harmless functions of its own for them
(``pickled_objects``); any other name is an error. Neither PyTorch nor the functions named are used.

Understood are plain pickles, files of ``torch.save`` (the zip archive, and the stream before
PyTorch 1.6), and the pickles inside ``.npy`` files of objects. What comes out is made of dict,
list, str, bytes, numbers, None, NumPy arrays and ``LazyTensor``.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from momok.errors import FeatureError
from momok.graph.feature_import.pickled_objects import (
    BUILDERS,
    NamedCall,
    PickledArray,
    RefusedError,
    read_name,
    refuse_call,
)
from momok.graph.feature_import.tensors import STORAGES, Storage, measure_item

__all__ = ["read_pickle", "read_pickled_array"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first object of torch.save before 1.6


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
        if isinstance(error, RefusedError):
            held = ascii(str(error))[1:-1]  # in a damaged file a name may hold anything
            raise FeatureError(
                f"{self.path}: is refused: it holds {held}, which is neither an array nor a plain "
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
                raise RefusedError(f"a {type(key).__name__.strip('_')} as a key")
        load(self)

    def load_set(self) -> None:
        """Refuse sets, whose members are hashed too."""
        raise RefusedError("a set")

    def find_class(self, module: object, name: object) -> Any:
        """Give our own function for a name that is known."""
        module, name = read_name(module), read_name(name)
        known = _find_known(module, name)
        if known is None:
            raise RefusedError(f"{module}.{name}"[:200])
        return known

    def persistent_load(self, pid: Any) -> Any:
        """Give a storage of a file of PyTorch."""
        if (
            self._load_storage is None
            or not isinstance(pid, tuple)
            or read_name(pid[0]) != "storage"
        ):
            raise RefusedError("a reference to something outside of it")
        return self._load_storage(pid)

    def get_extension(self, code: int) -> Any:
        """Refuse codes that other programs have registered."""
        raise RefusedError(f"extension {code}")


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


def _find_known(module: str, name: str) -> NamedCall | None:
    full = f"{module}.{name}"
    if module == "torch" and name in STORAGES:
        return NamedCall(full, refuse_call(full))
    if full == "torch.storage._load_from_bytes":
        return NamedCall(full, _read_nested)
    build = BUILDERS.get(full.replace("numpy._core", "numpy.core"))
    return None if build is None else NamedCall(full, build)


def _read_nested(content: bytes) -> Any:
    """A storage that a plain pickle of a tensor holds: a whole file of torch.save within it."""
    return _read_stream(io.BytesIO(bytes(content)))


def _finish(value: Any, depth: int = 0) -> Any:
    """Take the content out of arrays, down to the values of a dict or list."""
    if isinstance(value, PickledArray):
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
    for key in map(read_name, _Unpickler(file).load()):
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
        raise RefusedError("a TorchScript program")
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
    dtype = STORAGES.get(kind.name.removeprefix("torch.")) if isinstance(kind, NamedCall) else None
    if dtype is None:
        raise RefusedError("a storage of unknown type")
    return dtype, read_name(pid[2]), int(pid[4])
