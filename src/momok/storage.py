"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import glob
import json
import os
import platform
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from momok.errors import ConfigError, DataError, StorageError

_DRAFT = ".partial"


def check_path(given: object, what: str) -> Path:
    """A path that was given in Python; ConfigError where it is something else."""
    if not isinstance(given, str | Path):
        raise ConfigError(f"{what}: {type(given).__name__} {given!r:.80}: expected a path")
    return Path(given)


@contextmanager
def _report_refusal(path: Path, what: str = "written") -> Iterator[None]:
    """Turn what the disk refuses within the block into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: could not be {what}: {error.strerror or error}") from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that the path holds the old content or all of the new one.

    A link stays a link; what is no file (a device, a pipe) is written to as it comes.

    Raises:
        StorageError: the disk refused; what was there before is untouched.
    """
    with _report_refusal(path):
        if path.is_dir():
            raise StorageError(f"{path}: could not be written: it is a folder")
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # before links are followed: that to a pipe has no target
            return
        if path.is_symlink():
            path = path.resolve()
        draft = name_draft(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_through(draft, content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all; the same values give the same bytes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(path, text.encode() + b"\n")


def parse_json(content: bytes | str) -> Any:
    """Parse JSON that may be anything; ValueError for all that is none, or nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Add a checksum to an object of JSON."""
    return {**value, "checksum": _sum(value)}


def unseal(value: Any) -> Any:
    """Take off the checksum of ``seal``; what has none is given as it is.

    Raises:
        ValueError: the checksum is that of other values.
    """
    if not isinstance(value, dict) or "checksum" not in value:
        return value
    if not is_sealed(value):
        raise ValueError("it is not what was written: its checksum differs")
    return {key: part for key, part in value.items() if key != "checksum"}


def is_sealed(value: Mapping[str, Any]) -> bool:
    """Whether an object of JSON is as ``seal`` left it; what has no checksum is taken to be."""
    rest = {key: part for key, part in value.items() if key != "checksum"}
    return bool(_sum(rest) == value.get("checksum", _sum(rest)))


def _sum(value: Mapping[str, Any]) -> int:
    """The CRC-32 of a plain form, whatever its layout."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


@contextmanager
def write_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty draft folder beside ``path`` that takes its place if the block succeeds.

    If the block fails, the draft is removed and ``path`` is as it was.

    Raises:
        DataError: ``path`` exists, is not an empty folder, and is not to be overwritten.
    """
    if path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path}: exists already; remove it or choose another folder")
    draft = name_draft(path)
    try:
        with _report_refusal(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.mkdir()
            yield draft
            _put_in_place(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, path: Path) -> None:
    """Rename the draft to ``path``; an old folder is set aside until that has worked."""
    aside = draft.with_suffix(".before")
    try:
        path.rename(aside)
    except FileNotFoundError:
        draft.rename(path)
        return
    try:
        draft.rename(path)
    except OSError:
        aside.rename(path)
        raise
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()


def name_draft(path: Path) -> Path:
    """Name a path in the same folder, so that renaming never crosses file systems.

    What writers of the same path that were killed on this machine have left is removed.
    """
    stem = os.fsencode(path.name)[:100].decode(errors="ignore")  # names end at 255 bytes
    host = f"{zlib.crc32(platform.node().encode()):08x}"
    for draft in path.parent.glob(f".{glob.escape(stem)}.{host}-*{_DRAFT}"):
        owner = draft.name.split("-")[-2]
        if owner.isdigit() and not is_running(int(owner)):
            _remove(draft)
    return path.with_name(f".{stem}.{host}-{os.getpid()}-{secrets.token_hex(6)}{_DRAFT}")


def is_draft(path: Path) -> bool:
    """Whether a name is that of a draft."""
    return path.name.startswith(".") and path.name.endswith(_DRAFT)


def remove_drafts(folder: Path) -> None:
    """Remove all drafts in a folder: what writers that were killed have left."""
    for draft in folder.glob(f".*{_DRAFT}"):
        _remove(draft)


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether there is such a process on this machine; True where that cannot be asked."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def write_through(path: Path, content: bytes) -> None:
    """Write and wait until the disk has it: a rename must not overtake the content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def append_line(path: Path, line: str) -> None:
    """Add a line to a log, all of it or nothing."""
    size = None
    with _report_refusal(path):
        try:
            with path.open("ab") as file:
                size = file.tell()
                file.write(line.encode() + b"\n")
        except OSError:
            if size is not None:
                with suppress(OSError):
                    os.truncate(path, size)
            raise


@contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Hold a lock by a file while the block runs; gives False where another process holds it.

    The system lets go of it when the process ends, however it ends. Its folder is made if need be.
    """
    with _report_refusal(path.parent, "made"):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock, mine = FileLock(path, blocking=False), True
    with _report_refusal(path):
        try:
            lock.acquire()
        except Timeout:  # which is an OSError
            mine = False
        except NotImplementedError:  # a file system without locks
            pass
    try:
        yield mine
    finally:
        lock.release()


def settle_file(path: Path) -> int:
    """Wait until the disk has a file, and give its size.

    Raises:
        StorageError: the file is missing or the disk refused.
    """
    with _report_refusal(path), path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def share_file(path: Path) -> None:
    """Give a file the rights of any other new file: some writers give theirs to the owner alone."""
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)


def truncate_file(path: Path, size: int) -> None:
    """Cut a log back to its first ``size`` bytes."""
    with _report_refusal(path, "cut back"):
        os.truncate(path, size)
