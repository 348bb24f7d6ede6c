"""Vectors and numbers that do not fit the graph, cannot be used, or say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.errors import DataError, FeatureError
from momok.graph.doctor.look_alikes import find_duplicates
from momok.graph.doctor.overview import code_types
from momok.graph.doctor.report import MAX_EXAMPLES, Problem, Severity, count_problem
from momok.graph.entities_file import NUMBERS_FILE, read_numbers
from momok.graph.features import list_modalities, read_manifest, read_tensors
from momok.graph.graph import MultimodalGraph

_BLOCK = 1 << 22  # numbers looked at once: 16 MB of float32


@dataclass(frozen=True, eq=False)
class VectorTable:
    """The vectors of a modality as they lie on disk or in memory.

    Attributes:
        modality: its name.
        vectors: ``[n, d]``, float16 or float32, not yet checked.
        present: rows ``[n]`` that stand for something.
        entities: entity id of each row ``[n]``, -1 where the label is unknown.
        unknown: the first labels that are no entities.
    """

    modality: str
    vectors: NDArray[Any]
    present: NDArray[np.bool_]
    entities: NDArray[np.int64]
    unknown: tuple[str, ...] = ()

    def covered(self, num_entities: int) -> NDArray[np.bool_]:
        """Mark the entities ``[N]`` that have a vector."""
        has = np.zeros(num_entities, dtype=np.bool_)
        has[self.entities[self.present & (self.entities >= 0)]] = True
        return has


def read_tables(folder: Path | None, graph: MultimodalGraph) -> Iterator[VectorTable | Problem]:
    """Read each modality of a folder ``features`` as it is; what cannot be read is a problem.

    Without a folder, the features that the graph holds are taken.
    """
    if folder is None:
        everyone = np.arange(graph.num_entities)
        for modality, features in graph.features.items():
            yield VectorTable(
                modality, features.matrix, features.present, everyone, features.unmatched
            )
        return
    for modality in list_modalities(folder):
        try:
            yield _read_table(folder, modality, graph)
        except FeatureError as error:
            yield Problem(
                check="features",
                kind="unreadable-features",
                severity="error",
                count=1,
                unit="modalities",
                message=str(error),
                effect="momok refuses to load the graph while this stands in its folder",
                impact=1.0,
                remedy=(
                    "momok encode makes it again, momok features import reads vectors of other "
                    "formats; or move the files out of the folder features"
                ),
            )


def _read_table(folder: Path, modality: str, graph: MultimodalGraph) -> VectorTable:
    path = folder / f"{modality}.safetensors"
    manifest, labels, sha256 = read_manifest(folder / f"{modality}.json", modality)
    vectors, present = read_tensors(path, sha256)
    if vectors.shape != (len(labels), manifest.width):
        raise FeatureError(
            f"{path}: {vectors.shape[0]:,} vectors of width {vectors.shape[1]:,}, but "
            f"{modality}.json says {len(labels):,} rows of width {manifest.width:,}"
        )
    entities = np.array([graph.entities.ids.get(label, -1) for label in labels], dtype=np.int64)
    unknown = tuple(labels[i] for i in np.flatnonzero(entities < 0))
    return VectorTable(modality, vectors, present, entities, unknown)


def check_table(table: VectorTable, graph: MultimodalGraph) -> Iterator[Problem]:
    """Check one modality: its rows, its values, its columns."""
    has = table.covered(graph.num_entities)
    yield from _check_unknown(table, int(has.sum()))
    yield from _check_missing(table, graph, has)
    rows = np.flatnonzero(table.present & (table.entities >= 0))
    if not len(rows):
        return
    bad, zero, low, high = _scan(table.vectors, rows)
    yield from _describe_rows(table, graph, rows[bad], len(rows), "not-finite")
    yield from _describe_rows(table, graph, rows[zero], len(rows), "zero-vector")
    yield from _check_columns(table, low, high, len(rows))
    sound = rows[~(bad | zero)]
    yield from _check_duplicates(table, graph, sound, len(rows))


def _scan(
    vectors: NDArray[Any], rows: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[Any], NDArray[Any]]:
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


def _check_unknown(table: VectorTable, covered: int) -> Iterator[Problem]:
    unknown = int((table.entities < 0).sum())
    total = len(table.entities)
    if not unknown:  # of a graph in memory, which keeps only the labels of such rows
        unknown = len(table.unknown)
        total = covered + unknown
    if unknown:
        yield count_problem(
            *("features", "unknown-rows", "warning" if covered else "error"),
            subject=table.modality,
            count=unknown,
            total=total,
            unit="rows",
            what="name no entity of the graph",
            effect=(
                "these vectors are not used; where labels were changed, entities lost theirs"
                if covered
                else "no vector belongs to an entity: momok refuses to load the graph"
            ),
            examples=table.unknown[:MAX_EXAMPLES],
            remedy="momok encode makes the modality again for the present labels",
        )


def _check_missing(
    table: VectorTable, graph: MultimodalGraph, has: NDArray[np.bool_]
) -> Iterator[Problem]:
    if has.all():
        return
    missing = ~has
    expected = missing & _mark_types_with(has, graph)
    share = float(expected.sum() / max(1, (expected | has).sum()))
    what = "have no vector"
    if expected.any() and any(graph.entity_types):
        what += f", {expected.sum():,} of them of a type of which others have one"
    elif any(graph.entity_types):
        what += ", all of types of which none has one"
    shown = np.flatnonzero(expected if expected.any() else missing)[:MAX_EXAMPLES]
    yield count_problem(
        *("features", "missing-vectors", "warning" if share >= 0.5 else "note"),
        subject=table.modality,
        count=int(missing.sum()),
        total=graph.num_entities,
        unit="entities",
        what=what,
        effect="the setting features.missing decides what stands for them",
        impact=share,
        examples=(graph.entities.labels[i] for i in shown),
        remedy=(
            f"give them a text or picture and momok encode again; or choose "
            f"modality.{table.modality}.missing (momok config)"
        ),
    )


def _mark_types_with(has: NDArray[np.bool_], graph: MultimodalGraph) -> NDArray[np.bool_]:
    """Mark the entities ``[N]`` of a type of which any entity has the modality.

    That no currency has a flag is how things are; that some countries have none is a gap.
    """
    types, codes = code_types(graph)
    counts = np.bincount(codes[has], minlength=len(types))
    marked: NDArray[np.bool_] = counts[codes] > 0
    return marked


_ROW_FAULTS: dict[str, tuple[Severity, str, str, str]] = {
    "not-finite": (
        "error",
        "hold NaN or infinity",
        "momok refuses to load the graph; one NaN spoils every score",
        "encode these entities again, or mark the rows absent (present = 0)",
    ),
    "zero-vector": (
        "warning",
        "are zero, though marked present",
        "a zero says 'nothing is known' but is learned from as if something were",
        "mark the rows absent (present = 0), so that the setting features.missing applies",
    ),
}


def _describe_rows(
    table: VectorTable, graph: MultimodalGraph, rows: NDArray[np.int64], total: int, kind: str
) -> Iterator[Problem]:
    if len(rows):
        severity, what, effect, remedy = _ROW_FAULTS[kind]
        yield count_problem(
            *("features", kind, severity),
            subject=table.modality,
            count=len(rows),
            total=total,
            unit="vectors",
            what=what,
            effect=effect,
            examples=(graph.entities.labels[table.entities[row]] for row in rows[:MAX_EXAMPLES]),
            remedy=remedy,
        )


def _check_columns(
    table: VectorTable, low: NDArray[Any], high: NDArray[Any], rows: int
) -> Iterator[Problem]:
    constant = np.flatnonzero(low == high)
    width = len(low)
    if rows >= 2 and len(constant):
        yield count_problem(
            *("features", "constant-column", "warning" if 2 * len(constant) >= width else "note"),
            subject=table.modality,
            count=len(constant),
            total=width,
            unit="columns",
            what="never change",
            effect="they tell no entity from another and cost memory and time",
            examples=(f"column {c} is {low[c]:g}" for c in constant[:MAX_EXAMPLES]),
            remedy="features.reduce=pca leaves them out; or encode without them",
        )


def group_equal_rows(vectors: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
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


def _check_duplicates(
    table: VectorTable, graph: MultimodalGraph, rows: NDArray[np.int64], total: int
) -> Iterator[Problem]:
    groups = group_equal_rows(table.vectors, rows)
    duplicates = find_duplicates(groups, table.entities[rows], graph)
    if duplicates is not None:
        yield count_problem(
            *("features", "duplicate-vector", duplicates.grade(total)),
            subject=table.modality,
            count=duplicates.count,
            total=total,
            unit="vectors",
            what=f"are shared by several entities ({duplicates.extent})",
            effect=(
                "this modality cannot tell these entities apart; a large group is often a stand-in"
            ),
            examples=duplicates.examples,
            remedy="mark stand-ins absent (present = 0); look whether texts or pictures repeat",
        )


def check_numbers(
    folder: Path, graph: MultimodalGraph
) -> tuple[list[Problem], NDArray[np.bool_] | None]:
    """Check ``numbers.tsv`` of a folder, and mark the entities ``[N]`` that have any number.

    Without the file, or where it cannot be read, nothing is marked.
    """
    try:
        numbers = read_numbers(folder)
    except DataError as error:
        unreadable = Problem(
            check="features",
            kind="unreadable-numbers",
            severity="error",
            count=1,
            unit="files",
            message=str(error),
            effect="momok encode GRAPH numeric refuses the file",
            impact=1.0,
            remedy=f"mend the line in {NUMBERS_FILE}, or make the graph with momok data build",
        )
        return [unreadable], None
    if not numbers:
        return [], None
    problems: list[Problem] = []
    labels = {label for values in numbers.values() for label in values}
    unknown = sorted(labels - graph.entities.ids.keys())
    if unknown:
        problems.append(
            count_problem(
                *("features", "unknown-numbers", "warning"),
                count=len(unknown),
                total=len(labels),
                unit="labels",
                what=f"in {NUMBERS_FILE} name no entity of the graph",
                effect="their numbers are not used; where labels changed, entities lost theirs",
                examples=unknown[:MAX_EXAMPLES],
                remedy="give the entities the labels that they have in entities.tsv",
            )
        )
    constant = [
        (name, next(iter(values.values())))
        for name, values in numbers.items()
        if len(values) > 1 and len({*values.values()}) == 1
    ]
    if constant:
        problems.append(
            count_problem(
                *("features", "constant-number", "note"),
                count=len(constant),
                total=len(numbers),
                unit="attributes",
                what="have one value throughout",
                effect="they tell no entity from another",
                examples=(f"{name} is {value:g}" for name, value in constant[:MAX_EXAMPLES]),
                remedy=f"take them out of {NUMBERS_FILE}",
            )
        )
    has = np.array([label in labels for label in graph.entities.labels], dtype=np.bool_)
    return problems, has
