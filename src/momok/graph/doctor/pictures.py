"""Pictures that are missing, cannot be decoded, or look like those of another entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from momok.graph.doctor.look_alikes import (
    PictureHash,
    find_duplicates,
    group_alike,
    hash_picture,
)
from momok.graph.doctor.report import MAX_EXAMPLES, Problem, Severity, count_problem
from momok.graph.entities_file import list_pictures, read_table
from momok.graph.graph import MultimodalGraph
from momok.graph.pictures import PictureError, PictureTooLargeError, ignore_picture_warnings
from momok.progress import Progress

_BATCH = 256  # pictures between two words to the progress bar
_THREADS = 4  # decoders let go of the interpreter; each holds one decoded picture


@dataclass(frozen=True)
class PictureList:
    """The pictures that a graph names.

    Attributes:
        entities: entity id of each picture file that is there ``[n]``.
        paths: the files ``[n]``; entities may share one.
        missing: the others, with their place.
        outside: paths that lead out of the folder, with their place.
    """

    entities: NDArray[np.int64]
    paths: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    def covered(self, num_entities: int) -> NDArray[np.bool_]:
        """Mark the entities ``[N]`` that have a picture file."""
        has = np.zeros(num_entities, dtype=np.bool_)
        has[self.entities] = True
        return has


def find_pictures(folder: Path | None, graph: MultimodalGraph) -> PictureList:
    """Find the pictures that ``entities.tsv`` of a folder names, or else those of the graph."""
    if folder is None or not (folder / "entities.tsv").is_file():
        held = [(entity, path) for entity, paths in graph.all_pictures.items() for path in paths]
        return PictureList(
            np.array([entity for entity, _ in held], np.int64), tuple(path for _, path in held)
        )
    cells = list(list_pictures(folder, read_table(folder / "entities.tsv")))
    found = [(cell.row, cell.path) for cell in cells if cell.path is not None]
    lost = [cell for cell in cells if cell.path is None]
    return PictureList(
        np.array([row for row, _ in found], np.int64),
        tuple(path for _, path in found),
        tuple(f"{cell.place}: {cell.text}" for cell in lost if not cell.is_outside),
        tuple(f"{cell.place}: {cell.text}" for cell in lost if cell.is_outside),
    )


def check_pictures(
    pictures: PictureList, graph: MultimodalGraph, progress: Progress
) -> Iterator[Problem]:
    """Check the pictures; each file is decoded once.

    Raises:
        MissingExtraError: there are pictures and Pillow is not installed.
    """
    named = len(pictures.paths) + len(pictures.missing) + len(pictures.outside)
    yield from _describe_paths(pictures, named)
    if not pictures.paths:
        return
    files = {path: i for i, path in enumerate(dict.fromkeys(pictures.paths))}
    hashes = _hash_all(list(files), progress)
    faults: dict[str, list[str]] = {"undecodable": [], "too-large": []}
    for path, found in zip(files, hashes, strict=True):
        if isinstance(found, PictureError):
            kind = "too-large" if isinstance(found, PictureTooLargeError) else "undecodable"
            faults[kind].append(f"{_show_path(path)}: {found}")
    for kind, examples in faults.items():
        yield from _describe_faults(kind, examples, len(files))
    rows = np.array([files[path] for path in pictures.paths], dtype=np.int64)
    yield from _check_look_alikes(pictures, graph, hashes, rows)


def _hash_all(paths: Sequence[Path], progress: Progress) -> list[PictureHash | PictureError]:
    hashes: list[PictureHash | PictureError] = []
    with ignore_picture_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(paths), _BATCH):
            progress("decoding pictures", start, len(paths))
            hashes += pool.map(_hash_or_error, paths[start : start + _BATCH])
    progress("decoding pictures", len(paths), len(paths))
    return hashes


def _hash_or_error(path: Path) -> PictureHash | PictureError:
    try:
        return hash_picture(path)
    except PictureError as error:
        return error


def _describe_paths(pictures: PictureList, named: int) -> Iterator[Problem]:
    severity: Severity
    for kind, severity, places, what, effect, remedy in (
        (
            "picture-outside",
            "error",
            pictures.outside,
            "lie outside the folder or are no relative paths",
            "momok refuses to load the graph",
            "copy the files into the folder and name them by relative paths (pictures/flag.png)",
        ),
        (
            "missing-picture",
            "warning",
            pictures.missing,
            "are not there",
            "these entities count as having no picture",
            "put the files there, or blank the column picture in entities.tsv",
        ),
    ):
        if places:
            yield count_problem(
                *("pictures", kind, severity),
                count=len(places),
                total=named,
                unit="pictures",
                what=f"that entities.tsv names {what}",
                effect=effect,
                examples=places[:MAX_EXAMPLES],
                remedy=remedy,
            )


def _describe_faults(kind: str, examples: list[str], total: int) -> Iterator[Problem]:
    if not examples:
        return
    what = "cannot be decoded" if kind == "undecodable" else "are too large to be decoded safely"
    remedy = "fetch the files again, or blank the column picture in entities.tsv"
    if kind == "too-large":
        remedy = "save them smaller: encoders look at a few hundred pixels a side"
    yield count_problem(
        *("pictures", f"{kind}-picture", "warning"),
        count=len(examples),
        total=total,
        unit="pictures",
        what=what,
        effect="an encoder leaves them out: these entities count as having no picture",
        examples=tuple(examples[:MAX_EXAMPLES]),
        remedy=remedy,
    )


def _check_look_alikes(
    pictures: PictureList,
    graph: MultimodalGraph,
    hashes: list[PictureHash | PictureError],
    rows: NDArray[np.int64],
) -> Iterator[Problem]:
    good = [found for found in hashes if isinstance(found, PictureHash)]
    sound = np.array([isinstance(found, PictureHash) for found in hashes], dtype=np.bool_)
    kept = np.flatnonzero(sound[rows])
    if len(kept) < 2:
        return
    groups = group_alike(
        np.array([found.bits for found in good], dtype=np.uint64),
        np.stack([found.colours for found in good]),
    )
    position = np.cumsum(sound) - 1
    groups = groups[position[rows[kept]]]
    entities = pictures.entities[kept]
    duplicates = find_duplicates(groups, entities, graph)
    if duplicates is not None:
        total = len(np.unique(entities))
        yield count_problem(
            *("pictures", "near-identical-pictures", duplicates.grade(total)),
            count=duplicates.count,
            total=total,
            unit="entities",
            what=f"with pictures have one that looks like another's ({duplicates.extent})",
            effect="pictures cannot tell these entities apart; a large group is often a stand-in",
            examples=duplicates.examples,
            remedy="blank the column picture of stand-ins in entities.tsv; else nothing to do",
        )


def _show_path(path: Path) -> str:
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name
