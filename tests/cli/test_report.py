"""momok report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from tests.reporting.report.pages import check_page

Invoke = Callable[..., Result]


def test_a_run(invoke: Invoke, run: Path) -> None:
    result = invoke("report", run)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{run / 'report.html'}\n"
    root = check_page(run / "report.html")
    assert list(root.iter("img"))  # flags
    shutil.rmtree(run / "plots")
    assert invoke("report", run).exit_code == 0
    assert not (run / "plots").exists()
    assert invoke("report", run, "--plots").exit_code == 0
    assert (run / "plots" / "ranks.png").is_file()


def test_several_runs(
    invoke: Invoke, trained: tuple[Path, Result], run: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    out = tmp_path / "deep" / "page.html"
    result = invoke("report", run, other, "--out", out, "--plots")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    text = "".join(check_page(out).itertext())
    assert "2 runs on world" in text
    assert "Seed 5 is there more than once" in text
    assert (tmp_path / "deep" / "page-plots" / "differences.svg").is_file()
    assert trained[0].is_dir()


def test_what_is_no_run_is_one_line(fail: Callable[..., str], run: Path, tmp_path: Path) -> None:
    assert "no such run folder" in fail("report", tmp_path / "nothing")
    assert "given twice" in fail("report", run, run)
    assert "is a folder" in fail("report", run, "--out", tmp_path)
    assert "report --help" in fail("report")
