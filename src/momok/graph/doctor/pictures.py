"""Pictures that are missing or cannot be decoded, and entities that look like another.

Pictures are compared by a hash of 64 bits of their outlines, and by their colours, without
comparing every pair. Hashes that differ in at most 3 bits agree in at least one of 4 bands of 16.
The pictures are sorted once per band, and each is compared with the few that follow it in its band
(the sorted-neighbourhood method of Hernández and Stolfo, "The Merge/Purge Problem", 1995), so that
the cost is n log n however many pictures share a band. In a crowded band a pair may be missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Bools, Ints
from momok.graph.doctor.report import MAX_EXAMPLES, Problem, Severity, count_problem, format_count
from momok.graph.entities_file import PictureCell, list_pictures, read_table
from momok.graph.graph import MultimodalGraph
from momok.graph.pictures import (
    PictureError,
    PictureTooLargeError,
    ignore_picture_warnings,
    open_picture,
)
from momok.graph.triples import join_pairs, sort_unique
from momok.progress import Progress

MAX_BITS = 3
MAX_COLOUR = 6.0  # mean difference of the 8 x 8 colours, of 255

_BANDS = 4
_WINDOW = 8
_BLOCK = 1 << 16

_WARNING_SHARE = 0.1
_NAMED = 3  # entities of each group


def count_duplicates(
    groups: Ints,
    entities: Ints,
    graph: MultimodalGraph,
    check: str,
    kind: str,
    *,
    total: int,
    what: str,
    **said: Any,
) -> Iterator[Problem]:
    """Count the entities that share a group with another; the largest groups are the examples.

    Args:
        groups: the group ``[n]`` of each vector or picture, numbered from 0.
        entities: the entity id ``[n]`` of each.
        check, kind, total: as of ``count_problem``.
        what: as there, with ``{}`` for the number and size of groups.
    """
    keys = sort_unique(groups * graph.num_entities + entities)  # each entity once in a group
    groups, entities = np.divmod(keys, graph.num_entities)
    sizes = np.bincount(groups)
    shared = sizes > 1
    count = len(np.unique(entities[shared[groups]]))
    largest = np.argsort(-sizes, kind="stable")[:MAX_EXAMPLES]
    examples = []
    for group in largest[shared[largest]]:
        members = entities[groups == group][:_NAMED]
        more = f" and {sizes[group] - _NAMED:,} more" if sizes[group] > _NAMED else ""
        examples.append(" = ".join(graph.entities.labels[i] for i in members) + more)
    extent = f"{format_count(int(shared.sum()), 'group')}, the largest of {sizes.max(initial=0):,}"
    severity: Severity = "warning" if count >= _WARNING_SHARE * total else "note"
    yield from count_problem(
        *(check, kind, severity),
        count=count,
        total=total,
        what=what.format(extent),
        examples=examples,
        **said,
    )


@dataclass(frozen=True)
class PictureHash:
    """What a picture looks like from afar.

    Attributes:
        bits: 64, one per pair of neighbours of a 9 x 8 grey picture: set where the brightness
            falls from left to right (the "difference hash").
        colours: the picture at 8 x 8, RGB.
    """

    bits: int
    colours: NDArray[np.uint8]


def hash_picture(path: Path) -> PictureHash:
    """Decode a picture and hash it.

    Raises:
        PictureError: it cannot be decoded within bounds.
    """
    from PIL.Image import Resampling

    small = open_picture(path, side=64).resize((32, 32), Resampling.BOX)
    grey = np.asarray(small.convert("L").resize((9, 8), Resampling.BOX), dtype=np.int16)
    falls = (grey[:, 1:] < grey[:, :-1]).ravel()
    colours = np.asarray(small.resize((8, 8), Resampling.BOX), dtype=np.uint8)
    return PictureHash(int.from_bytes(np.packbits(falls).tobytes(), "big"), colours)


def group_alike(hashes: NDArray[np.uint64], colours: NDArray[np.uint8]) -> Ints:
    """Group pictures with nearly the same hash and nearly the same colours.

    Args:
        hashes: ``[n]``, 64 bits each.
        colours: ``[n, 8, 8, 3]``.

    Returns:
        The group of each picture ``[n]``, numbered from 0; likeness is passed on within a group.
    """
    flat = colours.reshape(len(colours), -1)
    brightness = flat.mean(axis=1, dtype=np.float32)
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for band in range(_BANDS):
        shift = np.uint64(16 * band)
        turned = (hashes << shift) | (hashes >> (np.uint64(64) - shift) if band else 0)
        order = np.lexsort((brightness, turned))
        bands = turned[order] >> np.uint64(48)
        for step in range(1, min(_WINDOW, len(order) - 1) + 1):
            near = np.flatnonzero(bands[step:] == bands[:-step])
            first, second = order[near], order[near + step]
            alike = np.bitwise_count(hashes[first] ^ hashes[second]) <= MAX_BITS
            first, second = first[alike], second[alike]
            kept = _have_like_colours(flat, first, second)
            pairs.append(np.stack([first[kept], second[kept]]))
    return join_pairs(np.concatenate(pairs, axis=1), len(hashes))


def _have_like_colours(flat: NDArray[np.uint8], first: Ints, second: Ints) -> Bools:
    near = np.empty(len(first), dtype=np.bool_)
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        difference = np.abs(flat[first[part]].astype(np.int16) - flat[second[part]])
        near[part] = difference.mean(axis=1) <= MAX_COLOUR
    return near


_BATCH = 256  # pictures between two words to the progress bar
_THREADS = 4  # decoders let go of the interpreter; each holds one decoded picture


def find_pictures(folder: Path | None, graph: MultimodalGraph) -> list[PictureCell]:
    """Find the pictures that ``entities.tsv`` of a folder names, or else those of the graph."""
    if folder is not None and (folder / "entities.tsv").is_file():
        return list(list_pictures(folder, read_table(folder / "entities.tsv")))
    held = graph.all_pictures.items()
    return [PictureCell(entity, "", path.name, path) for entity, paths in held for path in paths]


def mark_pictured(pictures: Iterable[PictureCell], num_entities: int) -> Bools:
    """Mark the entities ``[N]`` that have a picture file."""
    has = np.zeros(num_entities, dtype=np.bool_)
    has[[cell.row for cell in pictures if cell.path is not None]] = True
    return has


def check_pictures(
    pictures: Sequence[PictureCell], graph: MultimodalGraph, progress: Progress
) -> Iterator[Problem]:
    """Check the pictures; each file is decoded once."""
    yield from _describe_paths(pictures)
    found = [(cell.row, cell.path) for cell in pictures if cell.path is not None]
    if not found:
        return
    files = {path: i for i, path in enumerate(dict.fromkeys(path for _, path in found))}
    hashes = _hash_all(list(files), progress)
    for kind, error, what, remedy in _FAULTS:
        examples = [
            f"{Path(*path.parts[-2:])}: {fault}"
            for path, fault in zip(files, hashes, strict=True)
            if type(fault) is error
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
    rows = np.array([files[path] for _, path in found], dtype=np.int64)
    entities = np.array([entity for entity, _ in found], dtype=np.int64)
    yield from _check_look_alikes(entities, graph, hashes, rows)


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


def _describe_paths(pictures: Sequence[PictureCell]) -> Iterator[Problem]:
    severity: Severity
    lost = [cell for cell in pictures if cell.path is None]
    for kind, severity, is_outside, what, effect, remedy in (
        (
            "picture-outside",
            "error",
            True,
            "lie outside the folder or are no relative paths",
            "momok refuses to load the graph",
            "copy the files into the folder and name them by relative paths (pictures/flag.png)",
        ),
        (
            "missing-picture",
            "warning",
            False,
            "are not there",
            "these entities count as having no picture",
            "put the files there, or blank the column picture in entities.tsv",
        ),
    ):
        places = [f"{c.place}: {c.text}" for c in lost if c.is_outside == is_outside]
        yield from count_problem(
            *("pictures", kind, severity),
            count=len(places),
            total=len(pictures),
            unit="pictures",
            what=f"that entities.tsv names {what}",
            effect=effect,
            examples=places,
            remedy=remedy,
        )


def _check_look_alikes(
    entities: Ints,
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
    entities = entities[kept]
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
