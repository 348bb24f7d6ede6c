"""Tables as files: what is written can be read, and is what people read."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from momok.reporting.study.tables import save_table, write_latex, write_markdown

TABLE = pl.DataFrame(
    {
        "variant": ["a_b & c", "x|y"],
        "scenario": ["", "noise"],
        "level": [0.0, 0.4],
        "seeds": [3, 1],
        "mrr": [0.40125, None],
        "mrr_std": [0.00456, None],
        "p_holm": [0.0004, 0.25],
        "minutes": [1.26, 0.0],
    }
)


def test_markdown_has_percent_and_one_cell_for_mean_and_deviation() -> None:
    assert write_markdown(TABLE).splitlines() == [
        "| variant | scenario | level | seeds | mrr | p_holm | minutes |",
        "|---|---|---|---|---|---|---|",
        "| a_b & c |  | 0% | 3 | 40.12 ± 0.46 | <0.001 | 1.3 |",
        "| x\\|y | noise | 40% | 1 |  | 0.250 | 0.0 |",
    ]


def test_columns_of_scenarios_are_left_out_where_there_are_none() -> None:
    header = write_markdown(TABLE.head(1)).splitlines()[0]
    assert header == "| variant | seeds | mrr | p_holm | minutes |"


def test_latex_is_escaped() -> None:
    lines = write_latex(TABLE).splitlines()
    assert lines[0] == r"\begin{tabular}{lllllll}"
    assert lines[2] == r"variant & scenario & level & seeds & mrr & p\_holm & minutes \\"
    assert lines[4] == r"a\_b \& c &  & 0\% & 3 & 40.12 $\pm$ 0.46 & $<$0.001 & 1.3 \\"
    assert lines[-1] == r"\end{tabular}"


def test_files_hold_what_was_computed(tmp_path: Path) -> None:
    save_table(tmp_path / "t", TABLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "t.csv",
        "t.md",
        "t.parquet",
        "t.tex",
    ]
    assert pl.read_parquet(tmp_path / "t.parquet").equals(TABLE)
    back = pl.read_csv(io.BytesIO((tmp_path / "t.csv").read_bytes()))
    back = back.with_columns(pl.col("scenario").fill_null(""))
    assert back.equals(TABLE)
