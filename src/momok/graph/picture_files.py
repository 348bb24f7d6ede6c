"""Picture files of entities, copied or linked into the folder of a graph."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from momok.errors import DataError
from momok.graph.entities_file import PICTURE_SEPARATOR
from momok.progress import Progress, no_progress

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def copy_pictures(
    pictures: Mapping[int, Iterable[Path]],
    folder: Path,
    *,
    link: bool = False,
    progress: Progress = no_progress,
) -> tuple[dict[int, str], int, int]:
    """Copy each picture file once into the folder ``pictures``.

    Args:
        link: use hard links where the file system can.

    Returns:
        The cell of the column ``picture`` by entity id, the number of files, and how many of them
        were linked.

    Raises:
        DataError: a file cannot be copied.
    """
    cells: dict[int, str] = {}
    copied: dict[Path, str] = {}
    linked = 0
    for entity, files in pictures.items():
        places = []
        for number, file in enumerate(files):
            if file not in copied:
                suffix = file.suffix if _SUFFIX.fullmatch(file.suffix) else ""
                place = f"{entity}_{number}" if number else str(entity)
                copied[file] = f"pictures/{place}{suffix}"
                (folder / "pictures").mkdir(exist_ok=True)
                linked += _copy_or_link(file, folder / copied[file], link)
                if len(copied) % 100 == 0:
                    progress("copying pictures", len(copied), 0)
            places.append(copied[file])
        if places:
            cells[entity] = PICTURE_SEPARATOR.join(places)
    return cells, len(copied), linked


def _copy_or_link(source: Path, target: Path, link: bool) -> bool:
    """Link or copy a picture; tells whether it was linked."""
    if link:
        with suppress(OSError):  # another file system, or one without links
            os.link(os.path.realpath(source), target)
            return True
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"{source}: the picture cannot be copied: {error.strerror}") from error
    return False
