"""What is wrong with a graph, counted, ranked by how much it hurts, with the remedy."""

from momok.graph.doctor.check import CHECKS, check_graph
from momok.graph.doctor.report import (
    SEVERITIES,
    Cardinality,
    Coverage,
    DataReport,
    Degrees,
    Overview,
    Problem,
    Severity,
)

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
