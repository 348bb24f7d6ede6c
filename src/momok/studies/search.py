"""A search for settings with Optuna: trials are run folders, their history a journal file.

Several processes, on machines that share the folder, may work on one search: each asks the journal
for its next trial. ::

    SEARCH/
      study.json       the plan, and the fingerprint of the graph
      journal.log      every trial, its settings and validations
      runs/trial-0007  the run of a trial; those that were given up early are removed
      results/         what ``momok study`` writes about it
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from momok.errors import ConfigError, RunError
from momok.evaluation import ANSWER
from momok.extras import require_extra
from momok.graph import MultimodalGraph, load_graph
from momok.html import render_table
from momok.progress import Reporter, open_reporter
from momok.studies.cells import Cell, resolve_variant
from momok.studies.folder import check_graph, keep_graph, read_about, write_about
from momok.studies.plan import Choice, Plan, Space, build_plan, load_plan
from momok.studies.ray_workers import RayPool
from momok.studies.worker import Task
from momok.studies.workers import LocalPool, Pool, Watch, run_tasks
from momok.training import RunFolder
from momok.training.interruption import interrupt_on_sigterm

if TYPE_CHECKING:
    from optuna import Study as Journal
    from optuna import Trial

_OWNER = "owner"  # of a trial: host and process
_STARTUP = 5  # trials without which none is given up


@dataclass(frozen=True, kw_only=True, repr=False)
class Search:
    """A search's folder and what its trials found."""

    path: Path
    plan: Plan

    def __repr__(self) -> str:
        return f"<Search {str(self.path)!r}: {self._describe(self.to_frame())}>"

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        best = self.best_trial if (frame["state"] == "complete").any() else {}
        return render_table(
            f"Search {self.path}: {self._describe(frame)}",
            [(name, str(best[name])) for name in self.space if name in best],
            header=("setting", "best trial"),
            notes=["by MRR on validation; test is not looked at"],
        )

    def _describe(self, frame: pl.DataFrame) -> str:
        wanted, ended = _get_space(self.plan).trials, (frame["state"] != "running").sum()
        mrr = frame.filter(pl.col("state") == "complete")["valid_mrr"].max()
        said = f", best MRR on validation {mrr:.4f}" if isinstance(mrr, float) else ""
        return f"{self.graph}, {ended} of {wanted} trials{said}"

    @property
    def graph(self) -> str:
        """The name of the graph."""
        return str(read_about(self.path)["graph"]["name"])

    @property
    def space(self) -> Mapping[str, Choice]:
        """The values that each setting may have."""
        return _get_space(self.plan).space

    @property
    def variant(self) -> str:
        """The variant that is searched."""
        return next(iter(self.plan.variants))

    def to_frame(self) -> pl.DataFrame:
        """A row for every trial: trial, state (complete, pruned, fail, running), epoch (of the last
        validation), valid_mrr (of the last validation where it was given up), and its settings."""
        rows = []
        for trial in self._open().trials:
            seen = trial.intermediate_values
            value = trial.value if trial.value is not None else seen[max(seen)] if seen else None
            rows.append(
                {"trial": trial.number, "state": trial.state.name.lower(),
                 "epoch": max(seen, default=0), "valid_mrr": value, **trial.params}
            )  # fmt: skip
        schema = {"trial": pl.Int64, "state": pl.String, "epoch": pl.Int64, "valid_mrr": pl.Float64}
        return pl.DataFrame(rows, schema=None if rows else schema, infer_schema_length=None)

    @property
    def best_trial(self) -> dict[str, Any]:
        """The row of ``to_frame`` with the highest validation MRR of those that are complete.

        Raises:
            RunError: no trial is complete.
        """
        found = self.to_frame().filter(pl.col("state") == "complete").sort("valid_mrr")
        if not len(found):
            raise RunError(f"{self.path}: no trial of this search is complete")
        return found.row(-1, named=True)

    @property
    def best(self) -> dict[str, Any]:
        """The settings of the best trial: the plan's and those that were searched."""
        own = self.plan.settings | self.plan.variants[self.variant].settings
        row = self.best_trial
        return own | {name: row[name] for name in self.space}

    def importances(self) -> dict[str, float]:
        """How much each setting mattered among the trials, as shares (PED-ANOVA, Watanabe 2023)."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        journal = self._open()
        varied = {n for n in self.space if len({t.params.get(n) for t in journal.trials}) > 1}
        complete = [trial for trial in journal.trials if trial.state.name == "COMPLETE"]
        if len(complete) < _STARTUP or not varied:
            return {}
        return get_param_importances(journal, evaluator=PedAnovaImportanceEvaluator())

    def _open(self) -> Journal:
        return _open_journal(self.path, self.plan)


def search(
    graph: MultimodalGraph | str | Path,
    plan: Plan | str | Path = "search",
    *,
    out: str | Path,
    jobs: int = 0,
    ray: str = "",
    progress: bool | Reporter = True,
) -> Search:
    """Search the space of a plan for the settings with the best validation MRR.

    Trials that fall behind the median of the earlier ones are given up. Nothing is looked at on
    test. A search that is there goes on until it has as many trials as the plan says.

    Args:
        graph: a graph, or what ``load_graph`` takes.
        plan: a plan with a space, or the name of its TOML file.
        jobs: trials side by side, sharing the cores; 0 is one a core.
        ray: as for ``study``.

    Raises:
        ConfigError: the plan has no space, or a value of it does not fit.
        RunError: the folder is of another graph.
    """
    require_extra({"optuna": "optuna"}, "search", "a search")
    folder = Path(out)
    plan = plan if isinstance(plan, Plan) else load_plan(plan)
    _check(plan)
    loaded = graph if isinstance(graph, MultimodalGraph) else load_graph(graph)
    plan = plan.adapt(loaded)
    check_graph(folder, loaded)
    _check_same(folder, plan)
    pool: Pool = RayPool(ray, jobs) if ray else LocalPool(jobs, _get_space(plan).trials)
    source = keep_graph(loaded, graph, folder)
    write_about(folder, plan, loaded)
    del loaded
    found = Search(path=folder, plan=plan)
    with open_reporter(progress) as reporter, interrupt_on_sigterm(), closing(pool):
        trials = _Trials(found, source, pool.threads, reporter)
        try:
            run_tasks(
                trials, len(trials), pool, reporter=reporter, what="searching",
                errors=folder / "errors", watch=trials, done=trials.count_done(),
            )  # fmt: skip
        except KeyboardInterrupt:
            reporter.say("interrupted: the trials under way are saved; the same call goes on")
            raise
    return found


class _Trials(Watch):
    """Asks for trials, hears of their validations and tells how they ended."""

    def __init__(self, found: Search, graph: str, threads: int, reporter: Reporter) -> None:
        self._search, self._graph, self._reporter = found, graph, reporter
        self._threads = threads
        self._journal = _open_journal(found.path, found.plan)
        self._under_way: dict[str, Trial] = {}

    def __len__(self) -> int:
        return _get_space(self._search.plan).trials

    def __iter__(self) -> Iterator[Task]:
        from optuna.trial import Trial, TrialState

        for frozen in self._journal.get_trials(states=[TrialState.RUNNING]):
            if _is_dead(frozen.user_attrs.get(_OWNER)):
                yield self._make_task(Trial(self._journal, frozen._trial_id))
        while True:
            trials = self._journal.get_trials()
            if len(trials) >= len(self):
                return
            self._journal.sampler = _make_sampler(self._search.plan, len(trials))
            yield self._make_task(self._journal.ask())

    def count_done(self) -> int:
        return sum(trial.state.is_finished() for trial in self._journal.trials)

    def validated(self, task: Task, epoch: int, mrr: float) -> bool:
        trial = self._under_way[task.cell.name]
        if epoch not in self._journal.trials[trial.number].intermediate_values:
            trial.report(mrr, epoch)
        return not trial.should_prune()

    def ended(self, task: Task, outcome: str) -> None:
        from optuna.trial import TrialState

        trial = self._under_way.pop(task.cell.name)
        if outcome == "done":
            mrr = RunFolder(task.folder).load_evaluation("valid").overall[ANSWER].mrr
            best = max((t.value or 0.0 for t in self._journal.trials), default=0.0)
            self._journal.tell(trial, mrr)
            if mrr is not None and mrr > best:
                self._reporter.say(f"{task.cell.name}: valid MRR {100 * mrr:.2f}, the best so far")
        elif outcome == "stopped":
            self._journal.tell(trial, state=TrialState.PRUNED)
            shutil.rmtree(task.folder)
        else:
            self._journal.tell(trial, state=TrialState.FAIL)

    def _make_task(self, trial: Trial) -> Task:
        plan, variant = self._search.plan, self._search.variant
        trial.set_user_attr(_OWNER, [socket.gethostname(), os.getpid()])
        values = {
            name: _suggest(trial, name, choice) for name, choice in self._search.space.items()
        }
        name = f"trial-{trial.number:04}"
        self._under_way[name] = trial
        config = resolve_variant(plan, variant, plan.seeds[0], values)
        cell = Cell(name=name, variant=variant, scenario=None, level=0.0, seed=config.seed,
                    config=config)  # fmt: skip
        return Task(kind="train", cell=cell, graph=self._graph, threads=self._threads,
                    folder=self._search.path / "runs" / name)  # fmt: skip


def _get_space(plan: Plan) -> Space:
    if plan.search is None:
        raise ConfigError(f"plan {plan.name}: has no [search.space]; momok.study runs it")
    return plan.search


def _check(plan: Plan) -> None:
    """ConfigError where there is no space, or a value of it does not fit."""
    variant = next(iter(plan.variants))
    for name, choice in _get_space(plan).space.items():
        for value in choice.values or (choice.low, choice.high):
            resolve_variant(plan, variant, plan.seeds[0], {name: value})


def _check_same(folder: Path, plan: Plan) -> None:
    """RunError where the folder has trials of other settings, or of another space."""
    if not (folder / "study.json").is_file():
        return
    before, now = (
        each.model_dump(exclude={"name": True, "about": True, "search": {"trials", "sampler"}})
        for each in (build_plan(read_about(folder)["plan"]), plan)
    )
    other = [name for name in now if before[name] != now[name]]
    if other:
        raise RunError(
            f"{folder}: its trials are of a plan with other {', '.join(other)}; choose another "
            "folder with --out"
        )


def _open_journal(folder: Path, plan: Plan) -> Journal:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    epochs = resolve_variant(plan, next(iter(plan.variants)), plan.seeds[0]).training.epochs
    return optuna.create_study(
        study_name=plan.name,
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        pruner=optuna.pruners.MedianPruner(_STARTUP, n_warmup_steps=epochs // 4),
        direction="maximize",
        load_if_exists=True,
    )


def _make_sampler(plan: Plan, number: int) -> Any:
    """A sampler for one trial: gone on with, a search draws what it would have drawn."""
    from optuna.samplers import RandomSampler, TPESampler

    seed = 1_000_003 * plan.seeds[0] + number
    if _get_space(plan).sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, multivariate=True)


def _suggest(trial: Trial, name: str, choice: Choice) -> Any:
    if choice.values:
        return trial.suggest_categorical(name, cast("Sequence[Any]", choice.values))
    low, high = choice.low, choice.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, step=int(choice.step or 1), log=choice.log)
    return trial.suggest_float(name, low, high, step=choice.step, log=choice.log)


def _is_dead(owner: Any) -> bool:
    """Whether the process of a trial is gone, as far as this machine can tell."""
    if not isinstance(owner, list) or owner[0] != socket.gethostname():
        return False
    try:
        os.kill(owner[1], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(owner[1] == os.getpid())
