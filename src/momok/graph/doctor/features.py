"""Vectors and numbers that do not fit the graph, cannot be used, or say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Bools, Ints
from momok.errors import DataError, FeatureError
from momok.graph.doctor.pictures import count_duplicates
from momok.graph.doctor.report import Problem, Severity, code_types, count_problem
from momok.graph.entities_file import NUMBERS_FILE, read_numbers
from momok.graph.features import FeatureRows, list_modalities, load_rows
from momok.graph.graph import MultimodalGraph

_BLOCK = 1 << 22  # numbers looked at once: 16 MB of float32


def read_rows(folder: Path | None, graph: MultimodalGraph) -> Iterator[FeatureRows | Problem]:
    """Read each modality of a folder ``features`` as it is; what cannot be read is a problem.

    Without a folder, the features that the graph holds are taken.
    """
    if folder is None:
        for features in graph.features.values():
            ids = np.flatnonzero(features.present)
            lost = features.unmatched
            yield FeatureRows(
                manifest=features.manifest,
                labels=[*(graph.entities.labels[i] for i in ids), *lost],
                entities=np.append(ids, [-1] * len(lost)).astype(np.int64),
                vectors=features.matrix[ids],
                present=np.arange(len(ids) + len(lost)) < len(ids),
            )
        return
    for modality in list_modalities(folder):
        try:
            yield load_rows(folder, modality, graph.entities)
        except FeatureError as error:
            yield _describe_unreadable(
                *("unreadable-features", "modalities", error),
                effect="momok refuses to load the graph while this stands in its folder",
                remedy=(
                    "momok encode makes it again, momok features import reads vectors of other "
                    "formats; or move the files out of the folder features"
                ),
            )


def _describe_unreadable(
    kind: str, unit: str, error: Exception, *, effect: str, remedy: str
) -> Problem:
    return Problem(
        check="features",
        kind=kind,
        severity="error",
        count=1,
        unit=unit,
        message=str(error),
        effect=effect,
        impact=1.0,
        remedy=remedy,
    )


def mark_covered(rows: FeatureRows, graph: MultimodalGraph) -> Bools:
    """Mark the entities ``[N]`` that have a vector."""
    has = np.zeros(graph.num_entities, dtype=np.bool_)
    has[rows.entities[rows.present & (rows.entities >= 0)]] = True
    return has


def check_rows(table: FeatureRows, graph: MultimodalGraph, has: Bools) -> Iterator[Problem]:
    """Check one modality: its rows, its values, its columns.

    Args:
        has: which entities have a vector ``[N]``.
    """
    modality = table.manifest.modality
    yield from count_problem(
        *("features", "unknown-rows", "warning" if has.any() else "error"),
        subject=modality,
        count=len(table.unmatched),
        total=len(table.entities),
        unit="rows",
        what="name no entity of the graph",
        effect=(
            "these vectors are not used; where labels were changed, entities lost theirs"
            if has.any()
            else "no vector belongs to an entity: momok refuses to load the graph"
        ),
        examples=table.unmatched,
        remedy="momok encode makes the modality again for the present labels",
    )
    yield from _check_missing(modality, graph, has)
    rows = np.flatnonzero(table.present & (table.entities >= 0))
    if not len(rows):
        return
    bad, zero, low, high = _scan(table.vectors, rows)
    for marks, (kind, severity, what, effect, remedy) in zip((bad, zero), _FAULTS, strict=True):
        yield from count_problem(
            *("features", kind, severity),
            subject=modality,
            count=int(marks.sum()),
            total=len(rows),
            unit="vectors",
            what=what,
            effect=effect,
            examples=(table.labels[row] for row in rows[marks]),
            remedy=remedy,
        )
    if len(rows) >= 2:
        yield from _check_columns(modality, low, high)
    sound = rows[~(bad | zero)]
    yield from count_duplicates(
        group_equal_rows(table.vectors, sound),
        table.entities[sound],
        graph,
        *("features", "duplicate-vector"),
        subject=modality,
        total=len(rows),
        unit="vectors",
        what="are shared by several entities ({})",
        effect="this modality cannot tell these entities apart; a large group is often a stand-in",
        remedy="mark stand-ins absent (present = 0); look whether texts or pictures repeat",
    )


_FAULTS: tuple[tuple[str, Severity, str, str, str], ...] = (
    (
        *("not-finite", "error", "hold NaN or infinity"),
        "momok refuses to load the graph; one NaN spoils every score",
        "encode these entities again, or mark the rows absent (present = 0)",
    ),
    (
        *("zero-vector", "warning", "are zero, though marked present"),
        "a zero says 'nothing is known' but is learned from as if something were",
        "mark the rows absent (present = 0), so that the setting features.missing applies",
    ),
)


def _scan(vectors: NDArray[Any], rows: Ints) -> tuple[Bools, Bools, NDArray[Any], NDArray[Any]]:
    """Mark rows with NaN or infinity and rows of zeros; give column extremes of the finite rows."""
    width = vectors.shape[1]
    bad, zero = np.zeros(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    low, high = np.full(width, np.inf, np.float32), np.full(width, -np.inf, np.float32)
    step = max(1, _BLOCK // max(1, width))
    for start in range(0, len(rows), step):
        block = vectors[rows[start : start + step]].astype(np.float32, copy=False)
        wrong = ~np.isfinite(block).all(axis=1)
        bad[start : start + step] = wrong
        zero[start : start + step] = ~block.any(axis=1)
        np.minimum(low, block[~wrong].min(axis=0, initial=np.inf), out=low)
        np.maximum(high, block[~wrong].max(axis=0, initial=-np.inf), out=high)
    return bad, zero, low, high


def _check_missing(modality: str, graph: MultimodalGraph, has: Bools) -> Iterator[Problem]:
    missing = ~has
    # That no currency has a flag is how things are; that some countries have none is a gap.
    types, codes = code_types(graph)
    expected = missing & (np.bincount(codes[has], minlength=len(types)) > 0)[codes]
    share = float(expected.sum() / max(1, (expected | has).sum()))
    what = "have no vector"
    if expected.any() and any(graph.entity_types):
        what += f", {expected.sum():,} of them of a type of which others have one"
    elif any(graph.entity_types):
        what += ", all of types of which none has one"
    shown = np.flatnonzero(expected if expected.any() else missing)
    yield from count_problem(
        *("features", "missing-vectors", "warning" if share >= 0.5 else "note"),
        subject=modality,
        count=int(missing.sum()),
        total=graph.num_entities,
        unit="entities",
        what=what,
        effect="the setting features.missing decides what stands for them",
        impact=share,
        examples=(graph.entities.labels[i] for i in shown),
        remedy=(
            f"give them a text or picture and momok encode again; or choose "
            f"modality.{modality}.missing (momok config)"
        ),
    )


def _check_columns(modality: str, low: NDArray[Any], high: NDArray[Any]) -> Iterator[Problem]:
    constant = np.flatnonzero(low == high)
    yield from count_problem(
        *("features", "constant-column", "warning" if 2 * len(constant) >= len(low) else "note"),
        subject=modality,
        count=len(constant),
        total=len(low),
        unit="columns",
        what="never change",
        effect="they tell no entity from another and cost memory and time",
        examples=(f"column {c} is {low[c]:g}" for c in constant),
        remedy="features.reduce=pca leaves them out; or encode without them",
    )


def group_equal_rows(vectors: NDArray[Any], rows: Ints) -> Ints:
    """Give ``rows`` ``[n]`` groups, numbered from 0; the vectors of a group are equal."""
    groups = np.empty(len(rows), dtype=np.int64)
    numbers: dict[bytes, int] = {}
    step = max(1, _BLOCK // max(1, vectors.shape[1]))
    for start in range(0, len(rows), step):
        block = vectors[rows[start : start + step]].astype(np.float32) + np.float32(0)  # -0 to 0
        for i, vector in enumerate(block, start):
            digest = blake2b(vector, digest_size=16).digest()
            groups[i] = numbers.setdefault(digest, len(numbers))
    return groups


def check_numbers(folder: Path, graph: MultimodalGraph) -> tuple[list[Problem], Bools | None]:
    """Check ``numbers.tsv`` of a folder, and mark the entities ``[N]`` that have any number.

    Without the file, or where it cannot be read, nothing is marked.
    """
    try:
        numbers = read_numbers(folder)
    except DataError as error:
        unreadable = _describe_unreadable(
            *("unreadable-numbers", "files", error),
            effect="momok encode GRAPH numeric refuses the file",
            remedy=f"mend the line in {NUMBERS_FILE}, or make the graph with momok data build",
        )
        return [unreadable], None
    if not numbers:
        return [], None
    labels = {label for values in numbers.values() for label in values}
    unknown = sorted(labels - graph.entities.ids.keys())
    constant = [
        (name, next(iter(values.values())))
        for name, values in numbers.items()
        if len(values) > 1 and len({*values.values()}) == 1
    ]
    problems = [
        *count_problem(
            *("features", "unknown-numbers", "warning"),
            count=len(unknown),
            total=len(labels),
            unit="labels",
            what=f"in {NUMBERS_FILE} name no entity of the graph",
            effect="their numbers are not used; where labels changed, entities lost theirs",
            examples=unknown,
            remedy="give the entities the labels that they have in entities.tsv",
        ),
        *count_problem(
            *("features", "constant-number", "note"),
            count=len(constant),
            total=len(numbers),
            unit="attributes",
            what="have one value throughout",
            effect="they tell no entity from another",
            examples=(f"{name} is {value:g}" for name, value in constant),
            remedy=f"take them out of {NUMBERS_FILE}",
        ),
    ]
    has = np.array([label in labels for label in graph.entities.labels], dtype=np.bool_)
    return problems, has
