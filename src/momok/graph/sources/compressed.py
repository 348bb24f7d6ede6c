"""Files as they come: plain, gzip, bzip2, xz, zstd or zip, told by their first bytes.

A file within a zip archive is named as if the archive were a folder: ``data.zip/facts.nt``.

Nothing is ever unpacked to the disk, and what a small file may swell to is bounded. A zip archive
that looks hostile (names that lead out of a folder, links) is refused as a whole.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from momok.errors import DataError, FormatError, MissingExtraError
from momok.graph.names import suggest_near_misses

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12


def _open_zstd(file: BinaryIO) -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        try:
            from backports import zstd
        except ModuleNotFoundError:
            raise MissingExtraError("backports.zstd", "data", "reading zstd files") from None
    opened: Any = zstd.open(file)
    return opened


_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
    "zstd": _open_zstd,
}
_MAGIC: dict[str, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "zip": re.compile(rb"PK(?:\x03\x04|\x05\x06)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "7z": re.compile(rb"7z\xbc\xaf\x27\x1c"),
    "rar": re.compile(rb"Rar!\x1a\x07"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
    "tar": re.compile(rb"(?s).{257}ustar"),
}
_CHUNK = 1 << 18  # bytes read at once
_PEEK = 512  # bytes: past the magic of tar
_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd")
_LITTER = re.compile(r"(?:^|/)(?:__MACOSX/|\._|\.DS_Store$|Thumbs\.db$)")  # left by desktops
_SHOWN = 5  # members named in a message
# What swells further is taken for a bomb: text packs 5- to 50-fold, bombs 1000-fold.
_MOST, _IN_MEMORY = 256 << 30, 16 << 30  # bytes of a file that is read as it comes, or whole
_MOST_SWOLLEN = 200  # times the packed size
_HARMLESS = 64 << 20  # bytes that this does not apply to


@contextmanager
def open_source(path: Path, *, most: int = _MOST) -> Iterator[io.BufferedReader[Any]]:
    """Open a file for reading, decompressed as it is read.

    Args:
        path: the file, or one within a zip archive; how it is compressed is told by its first
            bytes, not its name.

    Raises:
        FormatError: it is compressed in a way not read here, holds several files or none, looks
            hostile, or - while it is read - ends early, is damaged or swells beyond the limits.
    """
    path, member = _split_path(path)
    with ExitStack() as stack:
        file, kind, archive = stack.enter_context(_open_packed(path))
        if member is not None and archive is None:
            raise FormatError(f"{path}: is no zip archive; it has no member {member!r}")
        if kind is None:
            yield file
            return
        size = path.stat().st_size
        if archive is not None:
            chosen = _choose_member(path, archive, member)
            size = chosen.compress_size
            try:
                opened: IO[bytes] = archive.open(chosen)
            except Exception as error:  # encrypted, an unknown method, damaged: each its own class
                raise FormatError(f"{path}: {chosen.filename!r} cannot be read: {error}") from None
        elif kind in _OPENERS:
            opened = _OPENERS[kind](file)
        else:
            raise FormatError(
                f"{path}: is a {kind} file, which is not read here; unpack it, or pack it with "
                f"{', '.join(_OPENERS)} or zip"
            )
        packed = stack.enter_context(opened)
        stream = _count_bytes(packed, f"{path}: the {kind} stream", size, most)
        inner = _find_compression(stream)
        if inner is not None:
            raise FormatError(
                f"{path}: holds a {inner} file in a {kind} file; unpack the outer one"
            )
        yield stream


def read_content(path: Path) -> bytes:
    """Read a file whole, decompressed."""
    with open_source(path, most=_IN_MEMORY) as file:
        try:
            return file.read()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def name_content(path: Path) -> str:
    """Name what a file holds, which tells its format: ``facts.nt`` for ``facts.nt.gz``."""
    path, member = _split_path(path)
    with _open_packed(path) as (_, _, archive):
        if archive is not None:
            return PurePosixPath(_choose_member(path, archive, member).filename).name
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def list_members(path: Path) -> list[str]:
    """List the files of a zip archive, without what desktops leave in there."""
    with _open_packed(path) as (_, _, archive):
        if archive is None:
            raise FormatError(f"{path}: is no zip archive")
        return [info.filename for info in _list_infos(path, archive)]


def is_container(path: Path) -> bool:
    """Tell folders, and zip archives of several files, from files."""
    if not path.is_file():
        return path.is_dir()
    with _open_packed(path) as (_, _, archive):
        return archive is not None and len(_list_infos(path, archive)) > 1


def is_member(path: Path) -> bool:
    """Tell a path that leads into a file, as ``data.zip/facts.nt`` does."""
    return _split_path(path)[1] is not None


def _split_path(path: Path) -> tuple[Path, str | None]:
    """Split a path into that of an archive and the name of a file in it."""
    for parent in path.parents:
        if os.path.isfile(parent):  # noqa: PTH113  # Path.is_file raises at names that are too long
            return parent, path.relative_to(parent).as_posix()
    return path, None


def _open_file(path: Path) -> io.BufferedReader[Any]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe or device might never end, or never begin
            what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
            raise DataError(f"{path}: is {what}; expected a file")
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{str(path)!r}: cannot be read: {reason}") from None


def _find_compression(file: io.BufferedReader[Any]) -> str | None:
    start = file.peek(_PEEK)
    return next((kind for kind, magic in _MAGIC.items() if magic.match(start)), None)


@contextmanager
def _open_packed(
    path: Path,
) -> Iterator[tuple[io.BufferedReader[Any], str | None, zipfile.ZipFile | None]]:
    """Open a file; give it, how it is compressed, and the archive if it is one."""
    with _open_file(path) as file:
        kind, archive = _find_compression(file), None
        if kind == "zip":
            try:
                archive = zipfile.ZipFile(file)
            except Exception as error:  # at damaged archives of many classes
                raise FormatError(
                    f"{path}: the zip archive is truncated or damaged ({error}); get it again"
                ) from None
        yield file, kind, archive


def _list_infos(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the files of an archive in which every name stays inside and nothing is a link."""
    infos = archive.infolist()
    for info in infos:
        name = info.orig_filename.replace("\\", "/")
        inside = ".." not in name.split("/") and not re.match("/|[A-Za-z]:|.*\0", name)
        mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was not made on Unix
        if not inside or mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "is no ordinary file" if inside else "leads out of its folder"
            raise FormatError(
                f"{path}: has a member {info.orig_filename!r} that {what}; such archives are "
                "refused"
            )
    return [info for info in infos if not info.is_dir() and not _LITTER.search(info.filename)]


def _choose_member(path: Path, archive: zipfile.ZipFile, member: str | None) -> zipfile.ZipInfo:
    infos = {info.filename: info for info in _list_infos(path, archive)}
    names = list(infos)
    if member is not None:
        if member not in infos:
            raise FormatError(
                f"{path}: has no member {member!r}{suggest_near_misses(member, names)}"
            )
        return infos[member]
    if not infos:
        raise FormatError(f"{path}: the zip archive holds no file")
    if len(infos) > 1:
        shown = ", ".join(map(repr, names[:_SHOWN]))
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        raise FormatError(
            f"{path}: holds {len(names):,} files ({shown}{more}); say which, as in "
            f"{path / names[0]}"
        )
    return infos[names[0]]


def _count_bytes(source: IO[bytes], name: str, size: int, most: int) -> io.BufferedReader[Any]:
    """Count what comes out of a compressed stream, and report its faults in one line."""
    count = 0
    allowed = min(most, max(_HARMLESS, _MOST_SWOLLEN * size))

    def read(wanted: int) -> bytes:
        nonlocal count
        try:
            data = source.read(wanted)
        except Exception as error:  # each format has errors of its own
            fault = "ends early" if isinstance(error, EOFError) else f"is damaged ({error})"
            raise FormatError(f"{name} {fault} after {count:,} bytes; get the file again") from None
        count += len(data)
        if count > allowed:
            raise FormatError(
                f"{name} unpacks to {count:,} bytes or more from {size:,}, as bombs do; if it is "
                "no bomb, unpack it yourself"
            )
        return data

    return open_function(read)


def open_function(read: Callable[[int], bytes]) -> io.BufferedReader[Any]:
    """Open a function as a file: it gives up to so many bytes at a call, and none at the end."""
    return io.BufferedReader(_FunctionStream(read), _CHUNK)


class _FunctionStream(io.RawIOBase):
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)
