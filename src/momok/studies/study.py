"""Run a plan into a folder: what is there already is not done again, and test comes last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from momok.errors import RunError
from momok.graph import MultimodalGraph, load_graph, write_momok_folder
from momok.progress import Reporter, open_reporter
from momok.runtime import asked_threads, usable_cores
from momok.storage import lock_file
from momok.studies.folder import Study, read_about, write_about
from momok.studies.plan import Cell, Plan, flatten, list_cells, load_plan
from momok.studies.worker import Task
from momok.studies.workers import run_tasks
from momok.training import RunFolder
from momok.training.interruption import interrupt_on_sigterm


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
        write_about(folder, adapted, loaded)
        del loaded
        try:
            with interrupt_on_sigterm():
                return _run(
                    folder=folder, plan=adapted, cells=cells, source=source, jobs=jobs,
                    test=test, reporter=reporter,
                )  # fmt: skip
        except KeyboardInterrupt:
            reporter.say("interrupted: what is trained so far is saved; the same call goes on")
            raise


def _run(
    *,
    folder: Path,
    plan: Plan,
    cells: Sequence[Cell],
    source: str,
    jobs: int,
    test: bool,
    reporter: Reporter,
) -> Study:
    side_by_side = min(jobs or usable_cores(), len(cells))
    threads = asked_threads() or max(usable_cores() // side_by_side, 1)

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
    in_order = {c.name: failures[c.name] for c in cells if c.name in failures}
    return Study(path=folder, plan=plan, failures=in_order)


def _is_finished(run: Path) -> bool:
    return (run / "run.json").is_file() and RunFolder(run).state == "finished"


def _check_folder(folder: Path, graph: MultimodalGraph, cells: Sequence[Cell]) -> None:
    """RunError unless a study of this graph with these settings can go on here."""
    if not folder.exists() or not any(p.name != ".lock" for p in folder.iterdir()):
        return
    about = read_about(folder)
    if about["graph"]["fingerprint"] != graph.fingerprint():
        raise RunError(
            f"{folder}: is a study of graph {about['graph']['name']!r}, or of other facts or "
            f"features of it than {graph.name!r} has now; choose another folder with --out"
        )
    for cell in cells:
        run = folder / "runs" / cell.name
        if not (run / "run.json").is_file():
            continue
        before, now = (
            flatten(config.model_dump(exclude={"seed", "runtime"}))
            for config in (RunFolder(run).config, cell.config)
        )
        other = [name for name in now if before[name] != now[name]]
        if other:
            raise RunError(
                f"{run}: was trained with other settings ({', '.join(other)}) than variant "
                f"{cell.variant!r} has now; rename the variant or choose another folder with --out"
            )


def _keep(graph: MultimodalGraph, path: Path) -> str:
    """Write a graph that was made in memory, for the processes that train."""
    if not path.exists():
        write_momok_folder(graph, path)
    return str(path)
