"""Tables over seeds: means, paired differences, groups."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from momok.errors import RunError
from momok.evaluation import ANSWER
from momok.studies import Study, load_study
from momok.studies.results import compare, group
from momok.studies.summary import summarise
from momok.training import RunFolder


def test_means_and_deviations_over_seeds(whole: Study) -> None:
    frame = whole.to_frame()
    table = summarise(frame)
    assert table["variant"].to_list() == ["complex", "distmult"]
    assert table["seeds"].to_list() == [2, 2]
    for row in table.iter_rows(named=True):
        values = frame.filter(pl.col("variant") == row["variant"])["mrr"].to_numpy()
        assert row["mrr"] == pytest.approx(values.mean())
        assert row["mrr_std"] == pytest.approx(values.std(ddof=1))


def test_differences_are_those_of_the_means(whole: Study) -> None:
    means = {row["variant"]: row for row in summarise(whole.to_frame()).iter_rows(named=True)}
    table = compare(whole, whole.to_frame())
    assert table["variant"].unique().to_list() == ["distmult"]
    assert table["against"].unique().to_list() == ["complex"]
    for row in table.iter_rows(named=True):
        expected = means["distmult"][row["metric"]] - means["complex"][row["metric"]]
        assert row["difference"] == pytest.approx(expected)
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["p"] is None  # two seeds: too few
        assert row["p_holm"] is None


def test_a_variant_is_compared_with_the_one_that_it_names(whole: Study) -> None:
    plan = whole.plan.model_copy(update={"baseline": "distmult"})
    table = compare(Study(path=whole.path, plan=plan), whole.to_frame())
    assert set(zip(table["variant"], table["against"], strict=True)) == {("complex", "distmult")}


def test_seeds_that_only_one_has_do_not_count(whole: Study) -> None:
    frame = whole.to_frame().filter(~(pl.col("run") == "distmult-seed1"))
    table = compare(whole, frame)
    assert table["seeds"].unique().to_list() == [1]
    ranks = [
        RunFolder(whole.runs / f"{name}-seed0").load_ranks("test")
        for name in ("distmult", "complex")
    ]
    a, b = (1 / np.asarray(r.ranks[ANSWER].realistic) for r in ranks if r is not None)
    difference = table.filter(pl.col("metric") == "mrr")["difference"].item()
    assert difference == pytest.approx((a - b).mean())


def test_groups_are_those_of_the_evaluations(whole: Study) -> None:
    table = group(whole, whole.to_frame())
    by_group = table.filter((pl.col("variant") == "complex") & (pl.col("grouping") == "side"))
    runs = [RunFolder(whole.runs / f"complex-seed{seed}") for seed in (0, 1)]
    for row in by_group.iter_rows(named=True):
        values = [r.load_evaluation("test").by_side[row["group"]][ANSWER].mrr for r in runs]
        assert row["mrr"] == pytest.approx(np.mean(values))
    assert set(table["grouping"]) >= {"head", "side", "cardinality", "relation"}


def test_lost_ranks_say_how_to_make_them(copy: Study) -> None:
    (copy.runs / "complex-seed0" / "results" / "test-ranks.safetensors").unlink()
    with pytest.raises(RunError, match=r"momok evaluate .*complex-seed0 writes them again"):
        compare(load_study(copy.path), copy.to_frame())


def test_a_study_shows_itself_in_a_notebook(whole: Study, copy: Study) -> None:
    assert repr(whole).endswith("shifts, 4 of 4 runs finished, tested>")
    shown = whole._repr_html_()
    means = {row["variant"]: row for row in summarise(whole.to_frame()).iter_rows(named=True)}
    for variant, row in means.items():
        cells = re.search(f"<tr[^>]*><td[^>]*>{variant}<.*?</tr>", shown)
        assert cells
        assert all(f">{row[name]:.4f}<" in cells[0] for name in ("mrr", "mrr_std", "hits@10"))
    assert ">fewer than 3 seeds: differences may be the luck of the seed<" in shown
    assert "damage" not in shown  # the graph was none
    (copy.runs / "complex-seed0" / "results" / "test.json").unlink()
    broken = replace(copy, failures={"distmult-seed1": "<diverged>"})
    assert "not tested yet" in repr(broken)
    assert ">distmult-seed1 failed: &lt;diverged&gt;<" in broken._repr_html_()
    (copy.runs / "complex-seed1" / "results" / "valid.json").write_text("{")
    assert "valid.json" in copy._repr_html_()
    assert "unreadable" in repr(copy)
