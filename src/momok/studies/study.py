"""Run a plan into a folder: what is there already is not done again, and test comes last."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from momok.errors import ConfigError, RunError
from momok.graph import MultimodalGraph, load_graph
from momok.progress import Reporter, open_reporter
from momok.storage import check_path, lock_file
from momok.studies.cells import Cell, list_cells
from momok.studies.folder import Study, check_graph, keep_graph, write_about
from momok.studies.plan import Plan, flatten, load_plan
from momok.studies.ray_workers import RayPool
from momok.studies.worker import Task
from momok.studies.workers import LocalPool, Pool, run_tasks
from momok.training import RunFolder
from momok.training.interruption import interrupt_on_sigterm


def study(
    graph: MultimodalGraph | str | Path,
    plan: Plan | str | Path,
    *,
    out: str | Path,
    jobs: int = 0,
    ray: str = "",
    test: bool = True,
    progress: bool | Reporter = True,
) -> Study:
    """Train what a plan lists and is not there yet; when all is trained, test it.

    Args:
        graph: a graph, or what ``load_graph`` takes.
        plan: the name of a built-in plan, a TOML file, or a ``Plan``.
        out: the folder of the study; an earlier study of the same graph is gone on with.
        jobs: runs side by side, sharing the cores; 0 is one a core.
        ray: the address of a Ray cluster to train on, whose machines have this package and share
            ``out`` and the graph's folder; ``local`` starts one here.
        test: rank the test facts when every run is trained; else only validation is known.

    Raises:
        ConfigError: the plan, or settings in it, do not fit.
        RunError: the folder is of another graph, has other settings for a variant, or another
            process works in it.
    """
    folder = check_path(out, "out")
    if not isinstance(plan, Plan):
        plan = load_plan(plan)
    if plan.search:
        raise ConfigError(f"plan {plan.name}: is a search; momok.studies.search runs it")
    loaded = graph if isinstance(graph, MultimodalGraph) else load_graph(graph)
    adapted = plan.adapt(loaded)
    cells = list_cells(adapted)
    check_graph(folder, loaded)
    _check_settings(folder, cells)
    pool: Pool = RayPool(ray, jobs) if ray else LocalPool(jobs, len(cells))
    with lock_file(folder / ".lock") as held, open_reporter(progress) as reporter:
        if not held:
            raise RunError(f"{folder}: another process is working on this study")
        source = keep_graph(loaded, graph, folder)
        write_about(folder, adapted, loaded)
        del loaded
        try:
            with interrupt_on_sigterm(), closing(pool):
                return _run(
                    folder=folder, plan=adapted, cells=cells, source=source, pool=pool,
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
    pool: Pool,
    test: bool,
    reporter: Reporter,
) -> Study:
    def run_all(kind: Any, wanted: Sequence[Cell]) -> dict[str, str]:
        tasks = [
            Task(kind=kind, cell=cell, graph=source, folder=folder / "runs" / cell.name,
                 threads=cell.config.runtime.threads or pool.threads)
            for cell in wanted
        ]  # fmt: skip
        return run_tasks(
            tasks, len(tasks), pool, reporter=reporter, what=f"{kind}ing",
            errors=folder / "errors",
        )  # fmt: skip

    left = [cell for cell in cells if not _is_finished(folder / "runs" / cell.name)]
    if left:
        reporter.say(f"{len(left)} of {len(cells)} runs to train")
    failures = run_all("train", left)
    trained = [cell for cell in cells if cell.name not in failures]
    if test:
        untested = [
            cell
            for cell in trained
            if not (folder / "runs" / cell.name / "results" / "test.json").is_file()
        ]
        failures |= run_all("test", untested)
    in_order = {c.name: failures[c.name] for c in cells if c.name in failures}
    return Study(path=folder, plan=plan, failures=in_order)


def _is_finished(run: Path) -> bool:
    return (run / "run.json").is_file() and RunFolder(run).state == "finished"


def _check_settings(folder: Path, cells: Sequence[Cell]) -> None:
    """RunError where a run of another plan has the place of one of this."""
    for cell in cells:
        run = folder / "runs" / cell.name
        if not (run / "run.json").is_file():
            continue
        before, now = (
            flatten(
                config.model_dump(exclude={"seed": True, "runtime": True, "training": {"track"}})
            )
            for config in (RunFolder(run).config, cell.config)
        )
        other = [name for name in now if before[name] != now[name]]
        if other:
            raise RunError(
                f"{run}: was trained with other settings ({', '.join(other)}) than variant "
                f"{cell.variant!r} has now; rename the variant or choose another folder with --out"
            )
