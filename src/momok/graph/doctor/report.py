"""What a check of a graph gives: its shape, and its problems, the worst first."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst."""

MAX_EXAMPLES = 5

_ERROR_SHARE, _WARNING_SHARE = 0.1, 0.001


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong with a graph, counted, with what it does and what mends it.

    Attributes:
        check: the family of checks: splits, leakage, labels, features or pictures.
        kind: a short name that stays the same, such as ``overlap`` or ``symmetric-leak``.
        severity: ``error`` spoils results or cannot be read; ``warning`` shifts them; ``note`` is
            worth knowing.
        count: how many of ``unit``.
        unit: what is counted: "test facts", "entities", ...
        total: of how many, 0 where there is no such number.
        message: one sentence: what was found.
        effect: one sentence: what it does to results, with a bound where there is one.
        impact: the share in [0, 1] of test queries, facts, entities or pictures concerned; within
            a severity the larger stands first. Left out, it is ``count`` of ``total``.
        examples: the first few, not yet made safe to print.
        remedy: what mends it, with the command where there is one.
    """

    check: str
    kind: str
    severity: Severity
    count: int
    unit: str
    message: str
    effect: str
    remedy: str
    total: int = 0
    impact: float = math.nan
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if math.isnan(self.impact):
            object.__setattr__(self, "impact", self.count / self.total if self.total else 0.0)


def count_problem(
    check: str,
    kind: str,
    severity: Severity,
    *,
    count: int,
    total: int,
    unit: str,
    what: str,
    effect: str,
    remedy: str,
    impact: float = math.nan,
    examples: Iterable[str] = (),
    subject: str = "",
) -> Problem:
    """Make a problem whose message is ``subject: 3 of 1,000 units what``."""
    return Problem(
        check=check,
        kind=kind,
        severity=severity,
        count=count,
        unit=unit,
        message=f"{subject + ': ' if subject else ''}{count:,} of {total:,} {unit} {what}",
        effect=effect,
        remedy=remedy,
        total=total,
        impact=impact,
        examples=tuple(examples),
    )


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """In how many facts entities are, all splits together (a fact with itself counts twice).

    Attributes:
        median: of all entities.
        mean: of all entities.
        largest: of all entities.
        hub: the label of the entity with the largest.
        histogram: (lowest, highest, entities) for 0, 1, 2-3, 4-7, 8-15, ... facts.
    """

    median: float
    mean: float
    largest: int
    hub: str
    histogram: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Cardinality:
    """How many relations, and train facts of them, are 1-1, 1-N, N-1 or N-N."""

    kind: str
    relations: int
    facts: int


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many entities have a modality, also by type where types are known.

    Attributes:
        modality: a modality of features, or ``pictures``, ``descriptions``.
        entities: how many have it.
        share: of all entities.
        by_type: (type, entities that have it, entities of the type), by how many have it.
    """

    modality: str
    entities: int
    share: float
    by_type: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The sizes and the shape of a graph; facts are distinct, as published."""

    entities: int
    relations: int
    facts: dict[str, int]
    degrees: Degrees
    cardinalities: tuple[Cardinality, ...]
    coverage: tuple[Coverage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """All that a check of a graph found.

    Attributes:
        name: the graph.
        source: where it was read.
        overview: sizes and shape.
        problems: what is wrong, ranked: by severity, then impact, then count.
        checks: the families of checks that were made.
    """

    name: str
    source: str
    overview: Overview
    problems: tuple[Problem, ...] = ()
    checks: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The worst severity found, None where nothing was."""
        return self.problems[0].severity if self.problems else None

    def reaches(self, level: Severity) -> bool:
        """Whether anything as bad as ``level`` or worse was found."""
        return self.worst is not None and SEVERITIES.index(self.worst) <= SEVERITIES.index(level)

    def count(self, severity: Severity) -> int:
        """Count the problems of a severity."""
        return sum(problem.severity == severity for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON types: every field under its own name, and ``worst``."""
        return {"worst": self.worst, **asdict(self)}


def grade(share: float) -> Severity:
    """Grade by the share of test queries, facts or entities concerned.

    From 10 % on nothing that is measured on them can be trusted (error); from 0.1 % on it shows
    in the digits that results are published with (warning).
    """
    return "error" if share >= _ERROR_SHARE else "warning" if share >= _WARNING_SHARE else "note"


def format_count(count: int, noun: str) -> str:
    """Write ``1 rule`` or ``2,000 rules``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def quote_source(source: str) -> str:
    """Name a graph as a shell takes it, for the commands of a remedy."""
    return shlex.quote(source) if source else "GRAPH"


def rank_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Order by severity, then impact, then count, the worst first; the order is total."""
    return tuple(
        sorted(
            problems,
            key=lambda p: (SEVERITIES.index(p.severity), -p.impact, -p.count, p.check, p.message),
        )
    )
