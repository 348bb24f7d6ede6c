"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from momok.errors import DataError, StorageError

__all__ = ["append_line", "truncate_file", "write_file", "write_folder", "write_through"]


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that the path holds the old content or all of the new one.

    Raises:
        StorageError: the disk refused; what was there before is untouched.
    """
    draft = _name_draft(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_through(draft, content)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(f"{path}: could not be written: {error.strerror or error}") from error


@contextmanager
def write_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty draft folder beside ``path`` that takes its place if the block succeeds.

    If the block fails, the draft is removed and ``path`` is as it was.

    Raises:
        DataError: ``path`` exists, is not an empty folder, and is not to be overwritten.
        StorageError: the disk refused.
    """
    if path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path}: exists already; remove it or choose another folder")
    draft = _name_draft(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        yield draft
        _put_in_place(draft, path)
    except OSError as error:
        raise StorageError(f"{path}: could not be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, path: Path) -> None:
    """Rename the draft to ``path``; an old folder is set aside until that has worked."""
    aside = _name_draft(path)
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


def _name_draft(path: Path) -> Path:
    """Name a path in the same folder, so that renaming never crosses file systems."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.partial")


def write_through(path: Path, content: bytes) -> None:
    """Write and wait until the disk has it: a rename must not overtake the content."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def append_line(path: Path, line: str) -> None:
    """Add a line to a log.

    Raises:
        StorageError: the disk refused.
    """
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")
    except OSError as error:
        raise StorageError(f"{path}: could not be written: {error.strerror or error}") from error


def truncate_file(path: Path, size: int) -> None:
    """Cut a log back to its first ``size`` bytes.

    Raises:
        StorageError: the disk refused.
    """
    try:
        os.truncate(path, size)
    except OSError as error:
        raise StorageError(f"{path}: could not be cut back: {error.strerror or error}") from error
