"""A study's folder and what its runs found.

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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from momok.errors import RunError
from momok.evaluation import ANSWER
from momok.graph import MultimodalGraph, write_momok_folder
from momok.html import render_table
from momok.storage import check_path, parse_json, write_file
from momok.studies.cells import is_damaged, list_cells, list_points, name_cell, resolve_variant
from momok.studies.plan import Plan, build_plan
from momok.studies.summary import METRICS, render_summary
from momok.training import RunFolder

FORMAT, VERSION = "momok-study", 1
_SCHEMA = {
    **{"variant": pl.String, "scenario": pl.String, "level": pl.Float64, "seed": pl.Int64},
    **{"run": pl.String, "epochs": pl.Int64, "minutes": pl.Float64},
    **dict.fromkeys(METRICS, pl.Float64),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Study:
    """A study's folder, its plan, and which of its runs failed."""

    path: Path
    plan: Plan
    failures: Mapping[str, str] = field(default_factory=dict)  # by cell: why

    def __repr__(self) -> str:
        return f"<Study {str(self.path)!r}: {self._describe()}>"

    def _repr_html_(self) -> str:
        try:
            frame = self.to_frame()
        except RunError as error:  # damaged or removed since
            return render_table(f"Study {self.path}", (), warnings=[str(error)])
        return render_summary(f"Study {self.path}: {self._describe()}", frame, self.failures)

    def _describe(self) -> str:
        try:
            cells = list_cells(self.plan)
            done = sum(bool(_read_run(self.runs / cell.name)) for cell in cells)
            tested = "tested" if self.is_tested else "not tested yet"
            return f"{self.graph}, {done} of {len(cells)} runs finished, {tested}"
        except RunError as error:
            return f"unreadable, {error}"

    @property
    def runs(self) -> Path:
        """The folder of the run folders."""
        return self.path / "runs"

    @property
    def graph(self) -> str:
        """The name of the graph."""
        return str(read_about(self.path)["graph"]["name"])

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
        about: dict[str, dict[str, Any]] = {}
        rows = []
        for variant, scenario, level, seed, name in self.list_places():
            if name not in about:
                about[name] = _read_run(self.runs / name)
            if about[name]:
                place = {"variant": variant, "scenario": scenario, "level": level, "seed": seed}
                rows.append({**place, "run": name, **about[name]})
        return pl.DataFrame(rows, schema=_SCHEMA)

    def list_places(self) -> list[tuple[str, str, float, int, str]]:
        """Variant, scenario, level, seed and run of every place in the tables."""
        places = []
        for variant in self.plan.variants:
            for seed in self.plan.seeds:
                config = resolve_variant(self.plan, variant, seed)
                for scenario, level in list_points(self.plan):
                    damage = scenario if is_damaged(config, scenario) else None
                    name = name_cell(variant, damage, level, seed)
                    places.append((variant, scenario.name if scenario else "", level, seed, name))
        return places


def load_study(path: str | Path) -> Study:
    """Load a study from its folder.

    Raises:
        RunError: it is no folder of a study.
    """
    folder = check_path(path, "study")
    about = read_about(folder)
    return Study(path=folder, plan=build_plan(about["plan"]))


def check_graph(folder: Path, graph: MultimodalGraph) -> None:
    """RunError unless the folder is free, or of a study of this graph."""
    if not folder.exists() or not any(p.name != ".lock" for p in folder.iterdir()):
        return
    about = read_about(folder)
    if about["graph"]["fingerprint"] != graph.fingerprint():
        raise RunError(
            f"{folder}: is a study of graph {about['graph']['name']!r}, or of other facts or "
            f"features of it than {graph.name!r} has now; choose another folder with --out"
        )


def keep_graph(loaded: MultimodalGraph, graph: object, folder: Path) -> str:
    """What the processes that train load; a graph in memory is written first.

    Where it was read from is no substitute: it may have been changed since.
    """
    if not isinstance(graph, MultimodalGraph):
        return str(graph)
    if not (folder / "graph").exists():
        write_momok_folder(loaded, folder / "graph")
    return str(folder / "graph")


def read_about(folder: Path) -> dict[str, Any]:
    """Read ``study.json``; RunError if it is none."""
    path = folder / "study.json"
    try:
        about = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{folder}: is no folder of a study (study.json: {error})") from error
    if not isinstance(about, dict) or (about.get("format"), about.get("version")) != (
        FORMAT,
        VERSION,
    ):
        raise RunError(f"{path}: not a study of this version of momok")
    return about


def write_about(folder: Path, plan: Plan, graph: MultimodalGraph) -> None:
    """Write ``study.json``."""
    about = {
        "format": FORMAT,
        "version": VERSION,
        "graph": {"name": graph.name, "source": graph.source, "fingerprint": graph.fingerprint()},
        "plan": plan.model_dump(mode="json"),
    }
    write_file(folder / "study.json", json.dumps(about, indent=2, ensure_ascii=False).encode())


def _read_run(path: Path) -> dict[str, Any]:
    """Metrics and times of a run; nothing where it is not finished."""
    if not (path / "run.json").is_file():
        return {}
    run = RunFolder(path)
    if run.state != "finished":
        return {}
    spent = sum(r.get("seconds", 0.0) for r in run.records(file="timing.jsonl"))
    found = {
        "epochs": sum(1 for _ in run.records("epoch")),
        "minutes": spent / 60,
        "valid_mrr": run.load_evaluation("valid").overall[ANSWER].mrr,
    }
    if run.result_path("test").is_file():
        answer = run.load_evaluation("test").overall[ANSWER]
        found |= {"mrr": answer.mrr, "mean_rank": answer.mean_rank}
        found |= {f"hits@{k}": answer.hits[k] for k in (1, 3, 10)}
    return found
