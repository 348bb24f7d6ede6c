"""Whose vector is whose: from rows and keys to the entities of a graph.

The feature files that papers of this field publish are known by their names. What is assumed of
them is printed, since nothing in the files confirms it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Bools
from momok.errors import FeatureError
from momok.graph.feature_import.vectors import (
    MOST_NUMBERS,
    Key,
    KeyedVectors,
    RowVectors,
    name_rows,
    to_floats,
)
from momok.graph.names import Vocabulary, read_id_list, strip_brackets
from momok.graph.text_files import read_lines

Resolve = Callable[[Key], int | None]


_BY_ID = "one row per line of the entity2id.txt of the same release"
_BY_DBPEDIA = (
    "one dataset per entity, keyed by the last part of its DBpedia address; the vectors of several "
    "{} are averaged"
)
_BY_FREEBASE = (
    "one dataset per entity, keyed by its Freebase identifier; the vectors of several pictures are "
    "averaged"
)
_DBPEDIA = "http://dbpedia.org/resource/"


@dataclass(frozen=True)
class PublishedFile:
    """A published feature file.

    Attributes:
        pattern: of the file's name; a group ``graph`` is the name of the graph.
        key_prefix: what the keys leave out of the label.
    """

    pattern: str
    origin: str
    modality: str
    about: str
    key_prefix: str = ""


PUBLISHED_FILES: tuple[PublishedFile, ...] = (
    PublishedFile(r"img_features\.pth", "MoMoK, M-Hyper", "image", _BY_ID),
    PublishedFile(r"text_features\.pth", "MoMoK, M-Hyper", "text", _BY_ID),
    PublishedFile(r"numeric_features\.pth", "M-Hyper", "numeric", _BY_ID),
    PublishedFile(r"(?P<graph>.+)-visual\.pth", "NativE, AdaMF-MAT", "image", _BY_ID),
    PublishedFile(r"(?P<graph>.+)-textual\.pth", "NativE, AdaMF-MAT", "text", _BY_ID),
    PublishedFile(r"(?P<graph>.+)-numeric\.pth", "NativE", "numeric", _BY_ID),
    PublishedFile(
        r"(?P<graph>MKG_W|MKG_Y|MMKB)_description_sentences\.h5",
        *("MMRNS", "text", _BY_DBPEDIA.format("sentences"), _DBPEDIA),
    ),
    PublishedFile(
        r"(?P<graph>MKG_W|MKG_Y)_img_\w+[-\w]*\.h5",
        *("MMRNS", "image", _BY_DBPEDIA.format("pictures"), _DBPEDIA),
    ),
    PublishedFile(r"(?P<graph>MMKB)_img_\w+[-\w]*\.h5", "MMRNS", "image", _BY_FREEBASE),
)


def recognise(name: str) -> tuple[PublishedFile, str] | None:
    """Find the published file of this name, and the name of the graph in it, if any."""
    for published in PUBLISHED_FILES:
        found = re.fullmatch(published.pattern, name)
        if found:
            return published, found.groupdict().get("graph") or ""
    return None


@dataclass(frozen=True, eq=False)
class Assignment:
    """Vectors of entities.

    Attributes:
        matrix: ``[N, d]`` float32, zeros where there is none.
        present: which entities have a vector ``[N]``.
        unmatched: keys or labels that name no entity.
        averaged: how many vectors are the mean of several.
    """

    matrix: NDArray[np.float32]
    present: Bools
    unmatched: tuple[str, ...] = ()
    averaged: int = 0


def read_labels(path: Path) -> tuple[str, ...]:
    """Read the labels of rows: one a line, or an ``entity2id.txt`` with labels and ids.

    Raises:
        DataError: the file is missing or empty, or ids are not 0, 1, 2, ....
    """
    lines = [line for line in read_lines(path) if line.strip()]
    if not lines:
        raise FeatureError(f"{path}: lists no labels")
    has_count = len(lines) > 1 and lines[0].strip() == str(len(lines) - 1)  # as OpenKE's files
    rows = lines[has_count:]
    if all(re.fullmatch(r".*\S[\t ]+\d+\s*", row) for row in rows):
        return tuple(read_id_list(path)[0])
    return tuple(strip_brackets(row.strip()) for row in rows)


def read_links(path: Path) -> dict[str, str]:
    """Read which key means which label: two columns, or ``key relation label`` with a last dot."""
    links: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        parts = line.strip().split("\t")
        if len(parts) == 1:
            parts = [part for part in line.split() if part != "."]
        if len(parts) not in (2, 3):
            raise FeatureError(f"{path}:{number}: expected a key and a label, found {line[:120]!r}")
        links[strip_brackets(parts[0].strip())] = strip_brackets(parts[-1].strip())
    return links


def build_resolver(
    entities: Vocabulary, prefix: str, links: Mapping[str, str], *, merged_slashes: bool
) -> Resolve:
    """Build what finds the entity of a key: the label itself, or in angle brackets.

    Args:
        prefix: what keys may leave out of a label.
        links: labels by key, where keys are of another source.
        merged_slashes: keys have one slash where labels may have several, as in HDF5.
    """
    merged: dict[str, int] = {}  # -1 where several labels have the same short form
    for label, entity in entities.ids.items() if merged_slashes else ():
        if "//" in label:
            short = re.sub("/+", "/", label)
            merged[short] = -1 if short in merged else entity

    def resolve(key: Key) -> int | None:
        if not isinstance(key, str):
            return None
        plain = strip_brackets(key.strip())
        freebase = f"/m/{plain[2:]}" if plain[:2] in ("m.", "m_") else plain
        for spelling in (key, plain, f"{prefix}{plain}", freebase):
            for label in (spelling, links.get(spelling)):
                if label is not None and label in entities.ids:
                    return entities.ids[label]
        found = merged.get(plain, -1)
        return found if found >= 0 else None

    return resolve


def assign_rows(vectors: RowVectors, labels: Sequence[str], entities: Vocabulary) -> Assignment:
    """Give row i to the entity that the i-th label names.

    Raises:
        FeatureError: there are more or fewer rows than labels, a label is there twice, or none
            names an entity.
    """
    rows = vectors.rows
    if len(rows) != len(labels):
        raise FeatureError(
            f"{len(rows):,} rows of width {rows.shape[1]:,} for {len(labels):,} labels of "
            f"entities; the file belongs to another graph or another release of this one"
        )
    if rows.shape[1] > MOST_NUMBERS:
        raise FeatureError(f"rows of {rows.shape[1]:,} numbers; expected {MOST_NUMBERS:,} at most")
    return assign_keys(name_rows(labels, rows), entities, lambda key: entities.ids.get(str(key)))


def assign_keys(vectors: KeyedVectors, entities: Vocabulary, resolve: Resolve) -> Assignment:
    """Give each entity what stands under its key; several vectors are averaged.

    Raises:
        FeatureError: no key names an entity, two keys name the same, or widths differ.
    """
    owners: dict[int, Key] = {}
    unmatched: list[str] = []
    for key in vectors.keys:
        entity = resolve(key)
        if entity is None:
            unmatched.append(str(key))
        elif entity in owners:
            raise FeatureError(
                f"the keys {owners[entity]!r} and {key!r} both name {entities.labels[entity]!r}"
            )
        else:
            owners[entity] = key
    if not owners:
        first = str(vectors.keys[0])[:80]
        raise FeatureError(
            f"none of its {len(vectors.keys):,} labels (the first is {first!r}) "
            f"names an entity of the graph, such as {entities.labels[0]!r}; where they are those "
            f"of another source, give --links"
        )
    matrix, present, averaged = None, np.zeros(len(entities), dtype=np.bool_), 0
    for entity, key in owners.items():
        vector, several = _read_vector(vectors, key)
        if vector is None:
            continue
        if matrix is None:
            matrix = np.zeros((len(entities), len(vector)), dtype=np.float32)
        if len(vector) != matrix.shape[1]:
            raise FeatureError(
                f"{key!r} has {len(vector):,} numbers, others have {matrix.shape[1]:,}"
            )
        matrix[entity], present[entity] = vector, True
        averaged += several
    if matrix is None:
        raise FeatureError("no key of an entity of the graph has a vector")
    return Assignment(matrix, present, tuple(unmatched), averaged)


def _read_vector(vectors: KeyedVectors, key: Key) -> tuple[NDArray[np.float32] | None, bool]:
    """Read the vector of a key, and whether it is a mean of several; rows of zeros do not count."""
    value = vectors.read(key)
    if value is None:
        return None, False
    if not isinstance(value, np.ndarray):
        raise FeatureError(f"{key!r} has a {type(value).__name__}, expected a vector")
    array = to_floats(value)
    if array.size == 0:
        return None, False
    if array.ndim not in (1, 2) or array.shape[-1] > MOST_NUMBERS:
        raise FeatureError(f"{key!r} has an array of shape {list(array.shape)}, expected a vector")
    if array.ndim == 1:
        return array, False
    filled = array[array.any(axis=1)]
    if not len(filled):
        return None, False
    return filled.mean(axis=0, dtype=np.float64).astype(np.float32), len(filled) > 1
