"""The tables of a study: differences between variants, and groups of queries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl

from momok.errors import RunError
from momok.evaluation import ANSWER, Evaluation, QueryRanks, correct_holm, hierarchical_bootstrap
from momok.studies.folder import Study
from momok.studies.summary import FEW_SEEDS
from momok.training import RunFolder

_PLACE = ("variant", "scenario", "level")
MOST_RELATIONS = 40


def compare(study: Study, frame: pl.DataFrame) -> pl.DataFrame:
    """Every variant against its baseline at the same scenario and level, on the same seeds.

    Columns: variant, against, scenario, level, seeds, metric (mrr, hits@1, hits@10), difference,
    low, high (95%, hierarchical bootstrap over seeds and test facts), p (null with fewer than
    three seeds) and p_holm (corrected over all rows of ``mrr``).
    """
    rows = []
    for (scenario, level), part in frame.group_by(["scenario", "level"], maintain_order=True):
        load = cache(partial(_load_ranks, study))  # the baseline's are asked for again and again
        for variant, against in _list_pairs(study):
            runs = _pair(part, variant, against)
            if not runs:
                continue
            both = [(load(a), load(b)) for a, b in runs]
            if any(len(a.facts) != len(b.facts) for a, b in both):
                continue  # another split: other test facts
            for metric in ("mrr", "hits@1", "hits@10"):
                change = np.stack([a.per_fact(metric) - b.per_fact(metric) for a, b in both])
                value, low, high, p = hierarchical_bootstrap(change, seed=0)
                rows.append(
                    {
                        "variant": variant, "against": against, "scenario": scenario,
                        "level": level, "seeds": len(runs), "metric": metric,
                        "difference": value, "low": low, "high": high,
                        "p": p if len(runs) >= FEW_SEEDS else None,
                    }
                )  # fmt: skip
    schema = {
        **{"variant": pl.String, "against": pl.String, "scenario": pl.String, "level": pl.Float64},
        **{"seeds": pl.Int64, "metric": pl.String, "difference": pl.Float64, "low": pl.Float64},
        **{"high": pl.Float64, "p": pl.Float64},
    }
    table = pl.DataFrame(rows, schema=schema)
    tested = table["p"].is_not_null() & (table["metric"] == "mrr")
    corrected = np.full(len(table), np.nan)
    corrected[tested.to_numpy()] = correct_holm(table["p"].filter(tested).to_numpy())
    return table.with_columns(pl.Series("p_holm", corrected).fill_nan(None))


def group(study: Study, frame: pl.DataFrame) -> pl.DataFrame:
    """Test MRR by head, side, cardinality, presence of modalities, seen or not, and relation.

    Columns: variant, scenario, level, grouping (head, side, cardinality, seen, relation, or the
    name of a modality), group, queries, seeds, mrr, mrr_std. Of relations, the most frequent ones.
    """
    rows = []
    for row in frame.filter(pl.col("mrr").is_not_null()).iter_rows(named=True):
        place = {name: row[name] for name in _PLACE}
        evaluation = RunFolder(study.runs / row["run"]).load_evaluation("test")
        rows += [{**place, **found} for found in _list_groups(evaluation)]
    if not rows:
        return pl.DataFrame()
    return (
        pl.DataFrame(rows, infer_schema_length=None)
        .group_by([*_PLACE, "grouping", "group"], maintain_order=True)
        .agg(
            pl.col("queries").first(),
            pl.len().alias("seeds"),
            pl.col("mrr").mean(),
            pl.col("mrr").std().alias("mrr_std"),
        )
    )


def _list_groups(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for head, metrics in evaluation.overall.items():
        yield {"grouping": "head", "group": head, "queries": metrics.count, "mrr": metrics.mrr}
    relations = sorted(evaluation.by_relation.items(), key=lambda r: -r[1][ANSWER].count)
    for grouping, groups in (
        ("side", evaluation.by_side),
        ("cardinality", evaluation.by_cardinality),
        ("seen", evaluation.by_seen),
        *evaluation.by_presence.items(),
        ("relation", dict(relations[:MOST_RELATIONS])),
    ):
        for name, heads in groups.items():
            answer = heads[ANSWER]
            if answer.count:
                yield {
                    "grouping": grouping, "group": name, "queries": answer.count,
                    "mrr": answer.mrr,
                }  # fmt: skip


def _list_pairs(study: Study) -> Iterator[tuple[str, str]]:
    for name, variant in study.plan.variants.items():
        against = variant.against or study.plan.reference
        if against != name:
            yield name, against


def _pair(part: pl.DataFrame, variant: str, against: str) -> list[tuple[str, str]]:
    """The tested runs of both with the same seeds."""
    tested = part.filter(pl.col("mrr").is_not_null())
    runs = {
        (row["variant"], row["seed"]): row["run"]
        for row in tested.iter_rows(named=True)
        if row["variant"] in (variant, against)
    }
    seeds = sorted({seed for _, seed in runs})
    return [
        (runs[variant, seed], runs[against, seed])
        for seed in seeds
        if (variant, seed) in runs and (against, seed) in runs
    ]


def _load_ranks(study: Study, run: str) -> QueryRanks:
    found = RunFolder(study.runs / run).load_ranks("test")
    if found is None:
        raise RunError(
            f"{study.runs / run}: the ranks of single queries are not there: momok evaluate "
            f"{study.runs / run} writes them again"
        )
    return found
