"""Pictures that are missing, cannot be decoded, or look like those of another entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from momok.arrays import Bools, Ints
from momok.graph.doctor.look_alikes import PictureHash, count_duplicates, group_alike, hash_picture
from momok.graph.doctor.report import Problem, Severity, count_problem
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
        outside: paths that lead out of the folder, with their place.
    """

    entities: Ints
    paths: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    def covered(self, num_entities: int) -> Bools:
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
    """Check the pictures; each file is decoded once."""
    named = len(pictures.paths) + len(pictures.missing) + len(pictures.outside)
    yield from _describe_paths(pictures, named)
    if not pictures.paths:
        return
    files = {path: i for i, path in enumerate(dict.fromkeys(pictures.paths))}
    hashes = _hash_all(list(files), progress)
    for kind, error, what, remedy in _FAULTS:
        examples = [
            f"{_show_path(path)}: {found}"
            for path, found in zip(files, hashes, strict=True)
            if type(found) is error
        ]
        yield from count_problem(
            *("pictures", kind, "warning"),
            count=len(examples),
            total=len(files),
            unit="pictures",
            what=what,
            effect="an encoder leaves them out: these entities count as having no picture",
            examples=examples,
            remedy=remedy,
        )
    rows = np.array([files[path] for path in pictures.paths], dtype=np.int64)
    yield from _check_look_alikes(pictures, graph, hashes, rows)


_FAULTS = (
    (
        *("undecodable-picture", PictureError, "cannot be decoded"),
        "fetch the files again, or blank the column picture in entities.tsv",
    ),
    (
        *("too-large-picture", PictureTooLargeError, "are too large to be decoded safely"),
        "save them smaller: encoders look at a few hundred pixels a side",
    ),
)


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
        yield from count_problem(
            *("pictures", kind, severity),
            count=len(places),
            total=named,
            unit="pictures",
            what=f"that entities.tsv names {what}",
            effect=effect,
            examples=places,
            remedy=remedy,
        )


def _check_look_alikes(
    pictures: PictureList,
    graph: MultimodalGraph,
    hashes: list[PictureHash | PictureError],
    rows: Ints,
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
    groups = groups[(np.cumsum(sound) - 1)[rows[kept]]]
    entities = pictures.entities[kept]
    yield from count_duplicates(
        groups,
        entities,
        graph,
        *("pictures", "near-identical-pictures"),
        total=len(np.unique(entities)),
        unit="entities",
        what="with pictures have one that looks like another's ({})",
        effect="pictures cannot tell these entities apart; a large group is often a stand-in",
        remedy="blank the column picture of stand-ins in entities.tsv; else nothing to do",
    )


def _show_path(path: Path) -> str:
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name
