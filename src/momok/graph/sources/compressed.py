"""Files as they come: plain, gzip, bzip2, zstd or zip, told by their first bytes.

A file within a zip archive is named as if the archive were a folder: ``data.zip/facts.nt``.

Nothing is ever unpacked to the disk, and what a small file may swell to is bounded. A zip archive
that looks hostile (names that lead out of a folder, links, absurd sizes) is refused as a whole.
"""

from __future__ import annotations

import bz2
import gzip
import io
import re
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from momok.errors import DataError, FormatError, MissingExtraError
from momok.graph.names import say_near_misses

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12


@dataclass(frozen=True)
class Limits:
    """How far a packed file may swell; beyond it is taken for a bomb.

    Attributes:
        total: bytes at most.
        ratio: unpacked to packed size at most. Text packs 5- to 50-fold, bombs 1000-fold.
        harmless: bytes that the ratio does not apply to.
    """

    total: int = 256 << 30
    ratio: int = 200
    harmless: int = 64 << 20

    def allow(self, packed: int) -> int:
        """Give the bytes that ``packed`` bytes may become."""
        return min(self.total, max(self.harmless, self.ratio * packed))


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
_PEEK = 512  # bytes: past the magic of tar
_SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".bz2": "bzip2", ".zst": "zstd", ".zstd": "zstd"}
_ZSTD_WINDOW = 27  # log2 of bytes: what the command zstd accepts without --long
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
_ZIP_ERRORS = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error)
_ZIP_METHOD_NAMES = {9: "deflate64", 14: "lzma", 93: "zstd", 95: "xz", 98: "ppmd"}
_LITTER = re.compile(r"(?:^|/)(?:__MACOSX/|\._|\.DS_Store$|Thumbs\.db$)")  # left by desktops
_SHOWN = 5  # members named in a message


@contextmanager
def open_source(
    path: Path, *, member: str | None = None, limits: Limits | None = None
) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked as it is read.

    Args:
        path: the file; how it is packed is told by its first bytes, not its name.
        member: which file of a zip archive, needed where there are several; or it is the end of
            the path.
        limits: how far it may swell.

    Raises:
        DataError: there is no such file, or it cannot be read.
        FormatError: it is packed in a way not read here, holds several files or none, looks
            hostile, or - while it is read - ends early, is damaged or swells beyond the limits.
        MissingExtraError: it is packed with zstd and nothing installed reads that.
    """
    limits = limits or Limits()
    path, member = _split_path(path, member)
    with ExitStack() as stack:
        file = stack.enter_context(_open_file(path))
        kind = _tell_packing(file.peek(_PEEK))
        if member is not None and kind != "zip":
            raise FormatError(f"{path}: is no zip archive; it has no member {member!r}")
        if kind is None:
            yield file
            return
        size = path.stat().st_size
        if kind == "zip":
            archive = stack.enter_context(_open_zip(path, file))
            chosen = _choose_member(path, archive, member)
            size = chosen.compress_size
            _check_declared(path, chosen, limits)
            packed = stack.enter_context(_open_member(path, archive, chosen))
        elif kind in _UNPACK:
            packed = stack.enter_context(_UNPACK[kind](file))
        else:
            _refuse(path, kind)
        stream = io.BufferedReader(_Unpacked(packed, path, kind, limits.allow(size)), 1 << 18)
        inner = _tell_packing(stream.peek(_PEEK))
        if inner is not None:
            raise FormatError(
                f"{path}: holds a {inner} file in a {kind} file; unpack the outer one"
            )
        yield stream


_IN_MEMORY = Limits(total=16 << 30)  # it is all held in memory


def read_content(path: Path) -> bytes:
    """Read a file whole, unpacked.

    Raises:
        DataError, FormatError, MissingExtraError: see ``open_source``.
    """
    with open_source(path, limits=_IN_MEMORY) as file:
        try:
            return file.read()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def name_content(path: Path, *, member: str | None = None) -> str:
    """Name what a file holds, which tells its format: ``facts.nt`` for ``facts.nt.gz``.

    Raises:
        DataError, FormatError: see ``open_source``.
    """
    path, member = _split_path(path, member)
    with _open_file(path) as file:
        if _tell_packing(file.peek(_PEEK)) == "zip":
            with _open_zip(path, file) as archive:
                return PurePosixPath(_choose_member(path, archive, member).filename).name
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def list_members(path: Path) -> list[str]:
    """List the files of a zip archive, without what desktops leave in there.

    Raises:
        DataError, FormatError: see ``open_source``; or it is no zip archive.
    """
    with _open_file(path) as file:
        if _tell_packing(file.peek(_PEEK)) != "zip":
            raise FormatError(f"{path}: is no zip archive")
        with _open_zip(path, file) as archive:
            return [info.filename for info in _list_infos(path, archive)]


def is_member(path: Path) -> bool:
    """Tell a path that leads into a file, as ``data.zip/facts.nt`` does."""
    return _split_path(path, None)[1] is not None


def _split_path(path: Path, member: str | None) -> tuple[Path, str | None]:
    """Split a path into that of an archive and the name of a file in it."""
    if member is None and not _exists(path):
        for parent in path.parents:
            if _exists(parent):
                inside = path.relative_to(parent).as_posix()
                return (parent, inside) if parent.is_file() else (path, None)
    return path, member


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _open_file(path: Path) -> io.BufferedReader:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe or device might never end, or never begin
            what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
            raise DataError(f"{path}: is {what}; expected a file")
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        said = getattr(error, "strerror", None) or error
        raise DataError(f"{str(path)!r}: cannot be read: {said}") from None


def _tell_packing(start: bytes) -> str | None:
    return next((kind for kind, magic in _MAGIC.items() if magic.match(start)), None)


def _refuse(path: Path, kind: str) -> NoReturn:
    raise FormatError(
        f"{path}: is a {kind} file, which is not read here; unpack it, or pack it with gzip, "
        "bzip2, zstd or zip"
    )


def _open_zstd(file: io.BufferedReader) -> io.BufferedIOBase:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        try:
            from backports import zstd
        except ModuleNotFoundError:
            raise MissingExtraError("backports.zstd", "data", "reading zstd files") from None
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
    opened: io.BufferedIOBase = zstd.ZstdFile(file, "rb", options=options)
    return opened


_UNPACK: dict[str, Callable[[io.BufferedReader], io.BufferedIOBase]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "bzip2": lambda file: bz2.BZ2File(file, "rb"),
    "zstd": _open_zstd,
}


@contextmanager
def _open_zip(path: Path, file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        raise FormatError(
            f"{path}: the zip archive is truncated or damaged ({error}); get it again"
        ) from None
    with archive:
        yield archive


def _list_infos(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the files of an archive in which every name stays inside and nothing is a link."""
    infos = archive.infolist()
    for info in infos:
        name = info.orig_filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name) or "\0" in name:
            raise FormatError(
                f"{path}: has a member {info.orig_filename!r} that leads out of its folder; "
                "such archives are refused"
            )
        mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was not made on Unix
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if mode == stat.S_IFLNK else "no ordinary file"
            raise FormatError(
                f"{path}: has a member {info.filename!r} that is {what}; such archives are refused"
            )
    return [info for info in infos if not info.is_dir() and not _LITTER.search(info.filename)]


def _choose_member(path: Path, archive: zipfile.ZipFile, member: str | None) -> zipfile.ZipInfo:
    infos = _list_infos(path, archive)
    names = [info.filename for info in infos]
    if member is not None:
        if member not in names:
            raise FormatError(f"{path}: has no member {member!r}{say_near_misses(member, names)}")
    elif not infos:
        raise FormatError(f"{path}: the zip archive holds no file")
    elif len(infos) > 1:
        shown = ", ".join(repr(name) for name in names[:_SHOWN])
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        raise FormatError(
            f"{path}: holds {len(names):,} files ({shown}{more}); say which, as in "
            f"{path / names[0]}"
        )
    else:
        member = names[0]
    return infos[names.index(member)]


def _check_declared(path: Path, info: zipfile.ZipInfo, limits: Limits) -> None:
    """Refuse before the first byte what an archive itself says is too large or unreadable."""
    if info.file_size > limits.allow(info.compress_size):
        _refuse_bomb(f"{path}: {info.filename!r} says that it", info.file_size, info.compress_size)
    if info.flag_bits & 0x1:
        raise FormatError(f"{path}: {info.filename!r} is encrypted; unpack the archive")
    if info.compress_type not in _ZIP_METHODS:
        name = _ZIP_METHOD_NAMES.get(info.compress_type, f"number {info.compress_type}")
        raise FormatError(
            f"{path}: {info.filename!r} is packed by the method {name}, which is not read here; "
            "unpack the archive"
        )


@contextmanager
def _open_member(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> Iterator[io.BufferedIOBase]:
    try:
        opened = archive.open(info)
    except _ZIP_ERRORS as error:
        raise FormatError(f"{path}: {info.filename!r} cannot be read: {error}") from None
    with opened:
        assert isinstance(opened, io.BufferedIOBase)
        yield opened


def _refuse_bomb(what: str, unpacked: int, packed: int) -> NoReturn:
    raise FormatError(
        f"{what} unpacks to {unpacked:,} bytes or more from {packed:,}, as bombs do; "
        "if it is no bomb, unpack it yourself"
    )


class _Unpacked(io.RawIOBase):
    """Counts what comes out of a packed stream, and says its faults in one line."""

    def __init__(self, packed: io.BufferedIOBase, path: Path, kind: str, allowed: int) -> None:
        self._packed, self._path, self._kind, self._allowed = packed, path, kind, allowed
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        try:
            data = self._packed.read(len(view))
        except EOFError:
            raise FormatError(
                f"{self._path}: the {self._kind} stream ends early, after {self._count:,} "
                "unpacked bytes; get the file again"
            ) from None
        except _list_errors() as error:
            raise FormatError(
                f"{self._path}: the {self._kind} stream is damaged after {self._count:,} "
                f"unpacked bytes ({error}); get the file again"
            ) from None
        self._count += len(data)
        if self._count > self._allowed:
            _refuse_bomb(f"{self._path}:", self._count, self._path.stat().st_size)
        view[: len(data)] = data
        return len(data)


def _list_errors() -> tuple[type[Exception], ...]:
    """Give what the unpackers raise at damaged input; of zstd only where that is in use."""
    modules = (sys.modules.get(name) for name in ("compression.zstd", "backports.zstd"))
    return (
        *(OSError, zlib.error, zipfile.BadZipFile),
        *(module.ZstdError for module in modules if module is not None),
    )
