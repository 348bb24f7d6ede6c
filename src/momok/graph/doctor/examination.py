"""The examination: every check, one after the other, on one graph."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from momok.graph.catalog import open_folder
from momok.graph.doctor.diagnosis import Ailment, Coverage, Diagnosis, rank_ailments
from momok.graph.doctor.features import VectorTable, check_table, read_tables
from momok.graph.doctor.labels import check_labels
from momok.graph.doctor.leakage import check_leakage
from momok.graph.doctor.numbers import check_numbers
from momok.graph.doctor.overview import compute_overview, measure_coverage
from momok.graph.doctor.pictures import check_pictures, list_pictures
from momok.graph.doctor.splits import check_splits
from momok.graph.graph import MultimodalGraph
from momok.progress import Progress, no_progress

__all__ = ["CHECKS", "diagnose"]

CHECKS = ("splits", "leakage", "labels", "features", "pictures")
"""The families of checks, in the order they are made."""


def diagnose(
    graph: MultimodalGraph | str | Path,
    progress: Progress = no_progress,
    *,
    skip: Collection[str] = (),
) -> Diagnosis:
    """Examine a graph: its shape, and all that is wrong with it.

    Args:
        graph: a graph in memory, examined as it is; or a folder or a name of the catalog, whose
            files are examined as published, with features and pictures that loading would refuse.
        progress: is told of each check as it goes on.
        skip: families of ``CHECKS`` to leave out.

    Raises:
        DataError: there is no such graph, or its facts cannot be read.
        MissingExtraError: it has pictures, Pillow is not installed, and pictures are not skipped.
    """
    folder = None
    if not isinstance(graph, MultimodalGraph):
        progress("reading the graph", 0, 1)
        graph, folder = open_folder(graph)
        progress("reading the graph", 1, 1)
    examined = tuple(check for check in CHECKS if check not in skip)
    ailments = _examine_facts(graph, examined, progress)
    coverage = _cover_texts(graph)
    if "labels" in examined:
        ailments += check_labels(graph, progress)
    if "features" in examined:
        found, covered = _examine_features(graph, folder, progress)
        ailments += found
        coverage += covered
    pictures = list_pictures(folder, graph)
    if "pictures" in examined:
        ailments += check_pictures(pictures, graph, progress)
    if pictures.paths:
        coverage.append(measure_coverage(graph, "pictures", pictures.covered(graph.num_entities)))
    progress("measuring the graph", 0, 1)
    overview = compute_overview(graph, tuple(coverage))
    progress("measuring the graph", 1, 1)
    return Diagnosis(
        name=graph.name,
        source=graph.source,
        overview=overview,
        ailments=rank_ailments(ailments),
        examined=examined,
    )


def _examine_facts(
    graph: MultimodalGraph, examined: Collection[str], progress: Progress
) -> list[Ailment]:
    ailments: list[Ailment] = []
    checks = (("splits", check_splits), ("leakage", check_leakage))
    for number, (check, examine) in enumerate(checks):
        progress("checking facts", number, len(checks))
        if check in examined:
            ailments += examine(graph)
    progress("checking facts", len(checks), len(checks))
    return ailments


def _cover_texts(graph: MultimodalGraph) -> list[Coverage]:
    has = np.array([bool(text) for text in graph.descriptions], dtype=np.bool_)
    return [measure_coverage(graph, "descriptions", has)] if has.any() else []


def _examine_features(
    graph: MultimodalGraph, folder: Path | None, progress: Progress
) -> tuple[list[Ailment], list[Coverage]]:
    ailments: list[Ailment] = []
    coverage: list[Coverage] = []
    for number, table in enumerate(read_tables(folder and folder / "features", graph)):
        progress("checking features", number, number + 1)
        if isinstance(table, VectorTable):
            ailments += check_table(table, graph)
            has = table.covered(graph.num_entities)
            coverage.append(measure_coverage(graph, table.modality, has))
        else:
            ailments.append(table)
    if folder is not None:
        found, numbered = check_numbers(folder, graph)
        ailments += found
        if numbered is not None:
            coverage.append(measure_coverage(graph, "numbers", numbered))
    return ailments, coverage
