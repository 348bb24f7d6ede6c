"""``momok export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from click.testing import Result

Invoke = Callable[..., Result]


def test_vectors_are_written(invoke: Invoke, run: Path, tmp_path: Path) -> None:
    result = invoke("export", run, tmp_path / "v.parquet", "--head", "text")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"2,172 vectors of 16 numbers written to {tmp_path / 'v.parquet'}\n"
    frame = pl.read_parquet(tmp_path / "v.parquet")
    assert frame.shape == (2172, 3)
    relations = invoke("export", run, tmp_path / "r.npz", "--relations")
    assert relations.stdout.startswith("42 vectors of 40 numbers")


def test_an_unknown_head(fail: Callable[..., str], run: Path, tmp_path: Path) -> None:
    assert "no head 'sound'" in fail("export", run, tmp_path / "v.npz", "--head", "sound")


def test_answers_that_are_no_products(fail: Callable[..., str], run: Path, tmp_path: Path) -> None:
    line = fail("export", run, tmp_path / "v.npz", "--head", "answer")
    assert "which no product of two vectors ranks like" in line
    line = fail("export", run, tmp_path / "v.npz", "--head", "answer", "--relations")
    assert "has vectors of entities alone" in line
    assert not (tmp_path / "v.npz").exists()
