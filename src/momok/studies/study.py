"""Run a plan into a folder: what is there already is not done again, and test comes last.

::

    STUDY/
      study.json      the plan as resolved, and the fingerprint of the graph
      runs/           an ordinary run folder for every cell
      errors/         tracebacks of runs that failed for no reason that momok knows
      graph/          the graph, where it was made in memory
      results/        what ``momok study`` writes about it
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from momok.errors import RunError
from momok.graph import MultimodalGraph, load_graph, write_momok_folder
from momok.progress import Reporter, open_reporter
from momok.storage import lock_file, write_file
from momok.studies.plan import (
    Cell,
    Plan,
    build_plan,
    is_damaged,
    list_cells,
    list_points,
    load_plan,
    name_cell,
    resolve_variant,
)
from momok.studies.worker import Task
from momok.studies.workers import count_cores, run_tasks
from momok.training import RunFolder

FORMAT, VERSION = "momok-study", 1
_FREE = ("seed", "runtime")  # settings that cells of one variant need not share


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study's folder, its plan, and which of its runs failed."""

    path: Path
    plan: Plan
    failures: Mapping[str, str] = field(default_factory=dict)  # by cell: why

    @property
    def runs(self) -> Path:
        """The folder of the run folders."""
        return self.path / "runs"

    @property
    def is_tested(self) -> bool:
        """Whether every run that did not fail has a test result."""
        return any(self.runs.glob("*/results/test.json")) and all(
            (self.runs / cell.name / "results" / "test.json").is_file()
            for cell in list_cells(self.plan)
            if cell.name not in self.failures
        )

    def to_frame(self) -> pl.DataFrame:
        """A row for every variant, scenario, level and seed whose run is finished.

        Columns: variant, scenario ("" is the graph as it is), level, seed, run, epochs, minutes,
        valid_mrr, and of test, null before it is looked at: mrr, hits@1, hits@3, hits@10,
        mean_rank; metrics are shares from 0 to 1.
        """
        from momok.studies.results import list_rows

        return list_rows(self)

    def list_places(self) -> list[tuple[str, str, float, int, str]]:
        """Variant, scenario, level, seed and run of every place in the tables."""
        places = []
        for variant in self.plan.variants:
            for seed in self.plan.seeds:
                config = resolve_variant(self.plan, variant, seed)
                for scenario, level in list_points(self.plan):
                    shown = (scenario, level) if is_damaged(config, scenario, level) else (None, 0)
                    name = name_cell(variant, *shown, seed)
                    places.append((variant, scenario.name if scenario else "", level, seed, name))
        return places


def study(
    graph: MultimodalGraph | str | Path,
    plan: Plan | str | Path,
    *,
    out: str | Path,
    jobs: int = 0,
    test: bool = True,
    progress: bool | Reporter = True,
) -> Study:
    """Train what a plan lists and is not there yet; when all is trained, test it.

    Args:
        graph: a graph, or what ``load_graph`` takes.
        plan: the name of a built-in plan, a TOML file, or a ``Plan``.
        out: the folder of the study; an earlier study of the same graph is gone on with.
        jobs: runs side by side, sharing the cores; 0 is one a core.
        test: rank the test facts when every run is trained; else only validation is known.

    Raises:
        ConfigError: the plan, or settings in it, do not fit.
        RunError: the folder is of another graph, has other settings for a variant, or another
            process works in it.
    """
    folder = Path(out)
    if not isinstance(plan, Plan):
        plan = load_plan(plan)
    loaded = graph if isinstance(graph, MultimodalGraph) else load_graph(graph)
    adapted = plan.adapt(loaded)
    cells = list_cells(adapted)
    _check_folder(folder, loaded, cells)
    with lock_file(folder / ".lock") as held, open_reporter(progress) as reporter:
        if not held:
            raise RunError(f"{folder}: another process is working on this study")
        source = str(graph)
        if isinstance(graph, MultimodalGraph):
            source = graph.source or _keep(graph, folder / "graph")
        _write_about(folder, adapted, loaded)
        del loaded
        return _run(folder, adapted, cells, source, jobs, test, reporter)


def load_study(path: str | Path) -> Study:
    """Load a study from its folder.

    Raises:
        RunError: it is no folder of a study.
    """
    about = _read_about(Path(path))
    return Study(path=Path(path), plan=build_plan(about["plan"]))


def _run(
    folder: Path,
    plan: Plan,
    cells: Sequence[Cell],
    source: str,
    jobs: int,
    test: bool,
    reporter: Reporter,
) -> Study:
    cores = count_cores()
    side_by_side = min(jobs or cores, len(cells))
    threads = max(cores // side_by_side, 1)

    def list_tasks(kind: Any, wanted: Sequence[Cell]) -> list[Task]:
        return [
            Task(kind=kind, cell=cell, graph=source, folder=folder / "runs" / cell.name,
                 threads=cell.config.runtime.threads or threads)
            for cell in wanted
        ]  # fmt: skip

    left = [cell for cell in cells if not _is_finished(folder / "runs" / cell.name)]
    if left:
        reporter.say(
            f"{len(left)} of {len(cells)} runs to train, {side_by_side} at a time, "
            f"{threads} thread{'' if threads == 1 else 's'} each"
        )
    errors = folder / "errors"
    failures = run_tasks(list_tasks("train", left), side_by_side, reporter, "training", errors)
    trained = [cell for cell in cells if cell.name not in failures]
    if test:
        untested = [
            cell
            for cell in trained
            if not (folder / "runs" / cell.name / "results" / "test.json").is_file()
        ]
        failures |= run_tasks(
            list_tasks("test", untested), side_by_side, reporter, "testing", errors
        )
    return Study(path=folder, plan=plan, failures=failures)


def _is_finished(run: Path) -> bool:
    return (run / "run.json").is_file() and RunFolder(run).state == "finished"


def _check_folder(folder: Path, graph: MultimodalGraph, cells: Sequence[Cell]) -> None:
    """RunError unless a study of this graph with these settings can go on here."""
    if not folder.exists() or not any(p.name != ".lock" for p in folder.iterdir()):
        return
    about = _read_about(folder)
    if about["graph"]["fingerprint"] != graph.fingerprint():
        raise RunError(
            f"{folder}: is a study of graph {about['graph']['name']!r}, or of other facts or "
            f"features of it than {graph.name!r} has now; choose another folder with --out"
        )
    for cell in cells:
        run = folder / "runs" / cell.name
        if not (run / "run.json").is_file():
            continue
        before, now = RunFolder(run).config.model_dump(), cell.config.model_dump()
        other = sorted(k for k in now if k not in _FREE and before[k] != now[k])
        if other:
            raise RunError(
                f"{run}: was trained with other settings ({', '.join(other)}) than variant "
                f"{cell.variant!r} has now; rename the variant or choose another folder with --out"
            )


def _read_about(folder: Path) -> dict[str, Any]:
    path = folder / "study.json"
    try:
        about = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{folder}: is no folder of a study (study.json: {error})") from error
    if not isinstance(about, dict) or (about.get("format"), about.get("version")) != (
        FORMAT,
        VERSION,
    ):
        raise RunError(f"{path}: not a study of this version of momok")
    return about


def _write_about(folder: Path, plan: Plan, graph: MultimodalGraph) -> None:
    about = {
        "format": FORMAT,
        "version": VERSION,
        "graph": {"name": graph.name, "source": graph.source, "fingerprint": graph.fingerprint()},
        "plan": plan.model_dump(mode="json"),
    }
    write_file(folder / "study.json", json.dumps(about, indent=2, ensure_ascii=False).encode())


def _keep(graph: MultimodalGraph, path: Path) -> str:
    """Write a graph that was made in memory, for the processes that train."""
    if not path.exists():
        write_momok_folder(graph, path)
    return str(path)
