"""What a check of a graph gives: its shape (degrees, cardinalities, coverage), and its problems."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np

from momok.arrays import Bools, Ints
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.triples import (
    CARDINALITIES,
    Triples,
    classify_cardinality,
    encode_triples,
    sort_unique,
)

Severity: TypeAlias = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst."""

MAX_EXAMPLES = 5

_ERROR_SHARE, _WARNING_SHARE = 0.1, 0.001
_MOST_TYPES = 8


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
) -> Iterator[Problem]:
    """Give a problem whose message is ``subject: 3 of 1,000 units what``, where there are any."""
    if count:
        yield Problem(
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
            examples=tuple(islice(examples, MAX_EXAMPLES)),
        )


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """In how many facts entities are, all splits together (a fact with itself counts twice).

    Attributes:
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
        problems: what is wrong, ranked: by severity, then impact, then count.
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


def compute_overview(graph: MultimodalGraph, coverage: tuple[Coverage, ...]) -> Overview:
    """Compute sizes and shape from the distinct facts of all splits."""
    sizes = graph.num_entities, graph.num_relations
    facts = np.concatenate([graph.facts(split) for split in SPLIT_NAMES])
    keys = encode_triples(facts, *sizes)
    distinct = facts[np.unique(keys, return_index=True)[1]]
    return Overview(
        entities=sizes[0],
        relations=sizes[1],
        facts={split: len(graph.facts(split)) for split in SPLIT_NAMES},
        degrees=_measure_degrees(graph, distinct),
        cardinalities=count_cardinalities(graph.train, *sizes),
        coverage=coverage,
    )


def _measure_degrees(graph: MultimodalGraph, facts: Triples) -> Degrees:
    degrees = np.bincount(facts[:, ::2].ravel(), minlength=graph.num_entities)
    # Bin 0 holds degree 0, bin b the degrees from 2**(b-1) to 2**b - 1; frexp is exact.
    bins = np.frexp(degrees.astype(np.float64))[1]
    histogram = tuple(
        (2 ** (int(b) - 1) if b else 0, 2 ** int(b) - 1, int(count))
        for b, count in enumerate(np.bincount(bins))
    )
    hub = int(degrees.argmax())
    return Degrees(
        median=float(np.median(degrees)),
        mean=float(degrees.mean()),
        largest=int(degrees[hub]),
        hub=graph.entities.labels[hub],
        histogram=histogram,
    )


def count_cardinalities(
    train: Triples, num_entities: int, num_relations: int
) -> tuple[Cardinality, ...]:
    """Count the relations and distinct train facts of each cardinality (Bordes et al. 2013)."""
    kinds = classify_cardinality(train, num_entities, num_relations)
    distinct = sort_unique(encode_triples(train, num_entities, num_relations))
    facts = np.bincount(distinct // num_entities % num_relations, minlength=num_relations)
    return tuple(
        Cardinality(
            kind=name, relations=int((kinds == i).sum()), facts=int(facts[kinds == i].sum())
        )
        for i, name in enumerate(CARDINALITIES[:-1])
    )


def code_types(graph: MultimodalGraph) -> tuple[tuple[str, ...], Ints]:
    """Give the distinct entity types and the position of each entity's type in them ``[N]``."""
    codes = {kind: i for i, kind in enumerate(dict.fromkeys(graph.entity_types))}
    of_each = np.fromiter((codes[t] for t in graph.entity_types), np.int64, graph.num_entities)
    return tuple(codes), of_each


def measure_coverage(graph: MultimodalGraph, modality: str, has: Bools) -> Coverage:
    """Measure which entities have a modality ``[N]``, in all and by type."""
    types, codes = code_types(graph)
    sizes = np.bincount(codes, minlength=len(types))
    covered = np.bincount(codes[has], minlength=len(types))
    best = [i for i in np.lexsort((-sizes, -covered)) if types[i]][:_MOST_TYPES]
    return Coverage(
        modality=modality,
        entities=int(has.sum()),
        share=float(has.mean()),
        by_type=tuple((types[i], int(covered[i]), int(sizes[i])) for i in best),
    )
