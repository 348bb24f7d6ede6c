"""The doctor: what is wrong with a graph, counted, ranked by how much it hurts, with the remedy."""

from momok.graph.doctor.diagnosis import (
    SEVERITIES,
    Ailment,
    Cardinality,
    Coverage,
    Degrees,
    Diagnosis,
    Overview,
    Severity,
)
from momok.graph.doctor.examination import CHECKS, diagnose

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Ailment",
    "Cardinality",
    "Coverage",
    "Degrees",
    "Diagnosis",
    "Overview",
    "Severity",
    "diagnose",
]
