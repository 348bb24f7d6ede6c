"""Several runs against each other: equal settings put together, spread over seeds, intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from momok.arrays import Floats
from momok.errors import RunError
from momok.evaluation import ANSWER, QueryRanks, hierarchical_bootstrap
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import Value, shorten

Interval = tuple[float, float, float]  # value, low, high

SEED = 0
_LONGEST_NAME = 44

# Settings that change where and how a run computes, but not what is trained.
_CIRCUMSTANCES = {
    "seed",
    "preset",
    "runtime.device",
    "runtime.threads",
    "evaluation.memory_mb",
    "training.track",
    "training.memory_mb",
    "training.candidate_block",
}

METRICS = ("MRR", "Hits@1", "Hits@10")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of the same settings and data that differ in their seeds."""

    name: str
    runs: Sequence[RunContents]

    @property
    def tested(self) -> list[RunContents]:
        """The runs that have a test result."""
        return [run for run in self.runs if run.evaluation is not None]

    def list_values(self, *path: str) -> list[Value]:
        """A value of the answer's metrics of every run that was tested."""
        overall = [run.result.find("by_tie_rule", "realistic", ANSWER, *path) for run in self.runs]
        return [value for value in overall if value is not None]

    @property
    def ranks(self) -> dict[int, QueryRanks]:
        """The ranks of single test queries of the runs that have them, by seed."""
        return {run.config.seed: run.ranks for run in self.runs if run.ranks is not None}

    def average(self) -> Floats:
        """1 / rank of every test query [2F], the mean over the runs."""
        mean: Floats = np.mean([ranks.reciprocal() for ranks in self.ranks.values()], axis=0)
        return mean


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One group against the reference.

    Attributes:
        metrics: by metric, the mean difference and its 95% interval, as shares.
        better, worse, equal: queries whose mean reciprocal rank is higher, lower, the same.
    """

    group: Group
    reference: Group
    metrics: Mapping[str, Interval]
    better: int
    worse: int
    equal: int


def check_comparable(runs: Sequence[RunContents]) -> None:
    """Check that runs were trained and tested on the same facts.

    Raises:
        RunError: one was not; metrics of different questions say nothing about each other.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.facts_fingerprint != first.facts_fingerprint:
            raise RunError(
                f"{run.run.path} cannot be compared with {first.run.path}: "
                f"{_describe_facts(run)} against {_describe_facts(first)}, which are not the same "
                "facts; give runs of one graph and split, or write a report of each"
            )


def group_runs(runs: Sequence[RunContents]) -> list[Group]:
    """Put runs of the same settings and data together, in the order of their first runs.

    A group of one run has its name; others are named by the settings in which groups differ.
    """
    by_key: dict[str, list[RunContents]] = {}
    for run in runs:
        by_key.setdefault(_key(run), []).append(run)
    differing = list_differing_settings([members[0] for members in by_key.values()])
    groups: list[Group] = []
    for number, members in enumerate(by_key.values()):
        if len(by_key) == 1:
            name = "all runs"
        elif all(len(each) == 1 for each in by_key.values()):
            name = members[0].name
        else:
            name = _name_group(number, members[0], differing)
        groups.append(Group(name=name, runs=members))
    return groups


def list_differing_settings(runs: Sequence[RunContents]) -> dict[str, list[Any]]:
    """The settings in which runs differ, each with its value in every run; None where unset."""
    flat = [run.list_settings() for run in runs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {
        name: [settings[name].value if name in settings else None for settings in flat]
        for name in names
    }
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def compare(groups: Sequence[Group]) -> list[Difference]:
    """Compare every group with the first, on the same test facts and seeds.

    Of groups with other seeds the means over runs are compared, and only the choice of test facts
    counts.
    Groups without the ranks of single queries, or of another protocol than the first, are left
    out.
    """
    reference, *others = groups
    if not reference.ranks:
        return []
    before = reference.average()
    differences = []
    for group in others:
        if not group.ranks or group.runs[0].published != reference.runs[0].published:
            continue
        change = group.average() - before
        differences.append(
            Difference(
                group=group,
                reference=reference,
                metrics={m: _find_interval(group, reference, m.lower()) for m in METRICS},
                better=int((change > 0).sum()),
                worse=int((change < 0).sum()),
                equal=int((change == 0).sum()),
            )
        )
    return differences


def _find_interval(group: Group, reference: Group, metric: str) -> Interval:
    after, before = group.ranks, reference.ranks
    if after.keys() == before.keys():
        change = [after[s].per_fact(metric) - before[s].per_fact(metric) for s in sorted(after)]
    else:
        means = ([r.per_fact(metric) for r in ranks.values()] for ranks in (after, before))
        a, b = (np.mean(values, axis=0) for values in means)
        change = [a - b]
    value, low, high, _ = hierarchical_bootstrap(np.stack(change), seed=SEED)
    return value, low, high


def _key(run: RunContents) -> str:
    """What runs of one group share: settings and data."""
    settings = {k: v.value for k, v in run.list_settings().items() if k not in _CIRCUMSTANCES}
    precision = run.environment.value.get("precision")  # "auto" is no setting; what it came to is
    settings["runtime.precision"] = precision or settings["runtime.precision"]
    return json.dumps([settings, run.data["fingerprint"].value], sort_keys=True)


def _name_group(number: int, run: RunContents, differing: Iterable[str]) -> str:
    letter = chr(ord("A") + number) if number < 26 else str(number + 1)
    named = [name for name in differing if name not in _CIRCUMSTANCES]
    settings = run.list_settings()
    values = ", ".join(
        f"{name.split('.')[-1]} {_show(settings[name].value if name in settings else None)}"
        for name in named[:2]
    )
    if not named:
        values = "other features" if number else "these features"
    return shorten(f"{letter}: {values}", _LONGEST_NAME)


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value)) or "all"
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _describe_facts(run: RunContents) -> str:
    facts = run.data.value["facts"]
    return (
        f"{run.graph_name} ({run.data.value['split']} split; {facts['train']:,} train, "
        f"{facts['valid']:,} valid, {facts['test']:,} test facts)"
    )
