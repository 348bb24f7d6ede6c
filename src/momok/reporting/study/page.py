"""What ``templates/study.html`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from momok.reporting.report import formatting as fmt
from momok.reporting.report.formatting import Cell, Notice
from momok.reporting.report.run_parts import GROUPS, PRESENCE
from momok.reporting.study.figures import describe_scenario, find_metric, name_file
from momok.reporting.study.tables import show_number
from momok.studies import Study
from momok.studies.summary import FEW_SEEDS

Row = list[Cell]
_TITLES: dict[str, tuple[str, Mapping[str, str]]] = {
    "head": ("Head of the model", {}),
    "relation": ("Relation", {}),
    **{name: GROUPS[f"by_{name}"] for name in ("side", "cardinality", "seen")},
}


def build_content(study: Study, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Everything that the template names, but for the charts."""
    scenarios = {s.name: describe_scenario(s.name, s.modality) for s in study.plan.scenarios}
    return {
        "about": study.plan.about,
        "metric": "test" if find_metric(tables["runs"]) == "mrr" else "validation",
        "scenarios": list(scenarios.items()),
        "against": [
            (name_file(a), a) for a in tables["differences"]["against"].unique(maintain_order=True)
        ],
        "notices": list(_list_notices(study, tables)),
        "summary": list_summary(tables["summary"], scenarios),
        "differences": list_differences(tables["differences"], scenarios),
        "groups": list_groups(tables["groups"]),
        "variants": [
            [fmt.name(name), fmt.code(", ".join(f"{k}={v}" for k, v in variant.settings.items()))]
            for name, variant in study.plan.variants.items()
        ],
    }


def list_summary(
    summary: pl.DataFrame, scenarios: Mapping[str, str]
) -> list[tuple[str, list[Row]]]:
    """Mean and deviation of every variant, in a group for each scenario and level."""
    parts = []
    for (scenario, level), rows in summary.group_by(["scenario", "level"], maintain_order=True):
        title = _describe_point(scenarios, str(scenario), level)
        parts.append((title, [_summarise(row) for row in rows.iter_rows(named=True)]))
    return parts


def _describe_point(scenarios: Mapping[str, str], scenario: str, level: Any) -> str:
    if scenario:
        return f"{scenarios[scenario]}: {level:.0%}"
    return "The graph as it is" if scenarios else ""


def _summarise(row: Mapping[str, Any]) -> Row:
    cells: Row = [fmt.name(row["variant"]), fmt.number(row["seeds"], str)]
    for name in ("valid_mrr", "mrr", "hits@1", "hits@3", "hits@10"):
        cells.append(_spread(name, row))
    cells.append(fmt.number(row["minutes"], lambda value: f"{value:.1f}"))
    return cells


def _spread(name: str, row: Mapping[str, Any]) -> Cell:
    if row[name] is None:
        return fmt.NONE
    shown, deviation = fmt.percent(row[name]), row[f"{name}_std"]
    if deviation is None:
        return shown
    return fmt.Number('{}<span class="deviation"> ± {}</span>').format(
        shown, fmt.percent(deviation)
    )


def list_differences(
    differences: pl.DataFrame, scenarios: Mapping[str, str]
) -> list[tuple[str, list[Row]]]:
    """The differences of the MRR, in a group for each scenario and level."""
    parts = []
    mrr = differences.filter(pl.col("metric") == "mrr")
    for (scenario, level), rows in mrr.group_by(["scenario", "level"], maintain_order=True):
        title = _describe_point(scenarios, str(scenario), level)
        parts.append(
            (
                title,
                [
                    [
                        fmt.name(row["variant"]),
                        fmt.name(row["against"]),
                        fmt.number(row["seeds"], str),
                        fmt.interval(row["difference"], row["low"], row["high"]),
                        fmt.number(row["p_holm"], lambda p: show_number("p_holm", p)),
                        _judge(row),
                    ]
                    for row in rows.iter_rows(named=True)
                ],
            )
        )
    return parts


def _judge(row: Mapping[str, Any]) -> Cell:
    if row["p_holm"] is None:
        return "too few seeds to tell"
    if row["p_holm"] > 0.05:
        return "no difference shown"
    return "better" if row["difference"] > 0 else "worse"


def list_groups(groups: pl.DataFrame) -> list[tuple[str, list[Cell], list[Row]]]:
    """(grouping, variants, rows) of the undamaged graph."""
    if not groups.width:
        return []
    found: list[tuple[str, list[Cell], list[Row]]] = []
    plain = groups.filter(pl.col("scenario") == "").unique(
        ["variant", "grouping", "group"], maintain_order=True
    )
    for (grouping,), rows in plain.group_by(["grouping"], maintain_order=True):
        title, words = _TITLES.get(str(grouping), (f"Features: {grouping}", PRESENCE))
        if words is PRESENCE and not rows["group"].str.ends_with("absent").any():
            continue  # every entity has it
        variants = rows["variant"].unique(maintain_order=True).to_list()
        lines: list[Row] = []
        for (name,), members in rows.group_by(["group"], maintain_order=True):
            by_variant = {row["variant"]: row for row in members.iter_rows(named=True)}
            first = next(iter(by_variant.values()))
            cells: Row = [words.get(str(name), fmt.name(name)), fmt.count(first["queries"])]
            cells += [
                _spread("mrr", by_variant[v]) if v in by_variant else fmt.NONE for v in variants
            ]
            lines.append(cells)
        found.append((title, [fmt.name(variant) for variant in variants], lines))
    return found


def _list_notices(study: Study, tables: Mapping[str, pl.DataFrame]) -> Iterator[Notice]:
    if len(study.plan.seeds) < FEW_SEEDS:
        count = len(study.plan.seeds)
        yield (
            f"{count} seed{'' if count == 1 else 's'}: too few to tell a difference from the luck "
            f"of the seed. Give {FEW_SEEDS} or more; what is there is not trained again.",
            "warn",
        )
    for name, why in study.failures.items():
        yield f"{name} failed and is missing here: {why}", "bad"
    if len(tables["runs"]) and not tables["runs"]["mrr"].is_not_null().any():
        yield "Nothing was looked at on test: all numbers are of validation.", "plain"
