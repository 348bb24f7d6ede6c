"""What is wrong with a graph, counted, ranked by how much it hurts, with the remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from momok.graph.catalog import open_folder
from momok.graph.doctor.features import check_numbers, check_rows, mark_covered, read_rows
from momok.graph.doctor.labels import check_labels, check_relations
from momok.graph.doctor.leakage import check_leakage
from momok.graph.doctor.pictures import check_pictures, find_pictures, mark_pictured
from momok.graph.doctor.report import (
    SEVERITIES,
    Cardinality,
    Coverage,
    DataReport,
    Degrees,
    Overview,
    Problem,
    Severity,
    compute_overview,
    measure_coverage,
    rank_problems,
)
from momok.graph.doctor.splits import check_splits
from momok.graph.graph import MultimodalGraph
from momok.progress import Progress, no_progress
from momok.storage import check_path

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Cardinality",
    "Coverage",
    "DataReport",
    "Degrees",
    "Overview",
    "Problem",
    "Severity",
    "check_graph",
]

CHECKS = ("splits", "leakage", "labels", "features", "pictures")
"""The families of checks, in the order they are made."""


def check_graph(
    graph: MultimodalGraph | str | Path,
    progress: Progress = no_progress,
    *,
    skip: Collection[str] = (),
) -> DataReport:
    """Check a graph: its shape, and all that is wrong with it.

    Args:
        graph: a graph in memory, checked as it is; or a folder or a name of the catalog, whose
            files are checked as published, with features and pictures that loading would refuse.
        skip: families of ``CHECKS`` to leave out.

    Raises:
        DataError: there is no such graph, or its facts cannot be read.
    """
    folder = None
    if not isinstance(graph, MultimodalGraph):
        check_path(graph, "graph")
        progress("reading the graph", 0, 1)
        graph, folder = open_folder(graph)
        progress("reading the graph", 1, 1)
    checks = tuple(check for check in CHECKS if check not in skip)
    problems: list[Problem] = []
    coverage: list[Coverage] = []
    progress("checking facts", 0, 2)
    if "splits" in checks:
        problems += check_splits(graph)
    progress("checking facts", 1, 2)
    if "leakage" in checks:
        problems += check_leakage(graph)
    progress("checking facts", 2, 2)
    described = np.array([bool(text) for text in graph.descriptions], dtype=np.bool_)
    if described.any():
        coverage.append(measure_coverage(graph, "descriptions", described))
    if "labels" in checks:
        problems += check_labels(graph, progress)
        problems += check_relations(graph)
    if "features" in checks:
        problems += _check_features(graph, folder, coverage, progress)
    pictures = find_pictures(folder, graph)
    if "pictures" in checks:
        problems += check_pictures(pictures, graph, progress)
    pictured = mark_pictured(pictures, graph.num_entities)
    if pictured.any():
        coverage.append(measure_coverage(graph, "pictures", pictured))
    progress("measuring the graph", 0, 1)
    overview = compute_overview(graph, tuple(coverage))
    progress("measuring the graph", 1, 1)
    return DataReport(
        name=graph.name,
        source=graph.source,
        overview=overview,
        problems=rank_problems(problems),
        checks=checks,
    )


def _check_features(
    graph: MultimodalGraph, folder: Path | None, coverage: list[Coverage], progress: Progress
) -> Iterator[Problem]:
    """Check each modality, and note which entities have it."""
    for number, rows in enumerate(read_rows(folder and folder / "features", graph)):
        progress("checking features", number, number + 1)
        if isinstance(rows, Problem):
            yield rows
        else:
            has = mark_covered(rows, graph)
            yield from check_rows(rows, graph, has)
            coverage.append(measure_coverage(graph, rows.manifest.modality, has))
    if folder is not None:
        problems, has_number = check_numbers(folder, graph)
        yield from problems
        if has_number is not None:
            coverage.append(measure_coverage(graph, "numbers", has_number))
