"""Train, resume, evaluate: the verbs of the package, each on a run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from momok.config import resolve_config
from momok.errors import ConfigError, DataError, RunError
from momok.graph import SPLIT_NAMES, MultimodalGraph, graph_from_frames, load_graph
from momok.model import MoMoK
from momok.progress import Reporter
from momok.runtime import (
    Runtime,
    build_generator,
    compare_environments,
    describe_environment,
    start_runtime,
)
from momok.settings import RunConfig
from momok.storage import remove_drafts
from momok.training.build import build_model, check_parts, find_reduced
from momok.training.checkpoint import load_model
from momok.training.interruption import interrupt_on_sigterm
from momok.training.new_run import check_free, choose_path
from momok.training.pooling import fit_run
from momok.training.run_evaluation import evaluate_checkpoint, open_leader
from momok.training.run_folder import RunFolder
from momok.training.sharding import FollowedRun, Group, join_group
from momok.training.tracking import open_tracking, require_trackers
from momok.training.trainer import Trainer
from momok.training.warm_start import describe_start, find_start, settings_from, take_over

Finish = Callable[[RunFolder, Reporter], None]


def _nothing(_run: RunFolder, _reporter: Reporter) -> None:
    """Nothing is left to do."""


def train(
    graph: MultimodalGraph | str | Path | Any,
    config: RunConfig | None = None,
    *,
    run: str | Path | None = None,
    start: str | Path | RunFolder | None = None,
    progress: bool | Reporter = True,
    finish: Finish = _nothing,
    test: bool = True,
    **settings: Any,
) -> RunFolder:
    """Train MoMoK on a graph, choose a checkpoint on validation and test it once.

    Args:
        graph: a graph, what ``load_graph`` takes, or facts as ``graph_from_frames`` takes them.
        config: all settings; by default the preset ``default``, or ``settings_from(start)``.
        run: the run folder to make; by default ``runs/<graph>-<time>``.
        start: a run whose model training starts from, where the graph has grown or changed since:
            entities and relations are matched by label.
        progress: a progress bar, nothing, or a reporter of your own.
        finish: what is still to be done before the run is called finished, as calibrating it.
        test: rank the test facts in the end; ``evaluate_run`` does it later.
        settings: training settings by name, as ``epochs=20``; with ``config`` they may not be
            given.

    Raises:
        MomokError: anything that keeps it from starting or going on, in one line.
    """
    if config is not None and settings:
        raise RunError("train: give either a config or single settings, not both")
    if config is not None and not isinstance(config, RunConfig):
        raise ConfigError(
            f"train: config: {config!r:.80}: expected a RunConfig, as momok.resolve_config makes it"
        )
    if run is not None:
        check_free(run)
    before = start if start is None or isinstance(start, RunFolder) else RunFolder(start)
    if config is None:
        overrides = {f"training.{k}": v for k, v in settings.items()}
        base = None if before is None else settings_from(before)
        config = resolve_config(overrides=overrides, base=base)
    check_parts(config)
    if isinstance(graph, str | Path):
        graph = load_graph(graph, split=config.data.split)
    elif not isinstance(graph, MultimodalGraph):
        graph = graph_from_frames(graph)
    for split in SPLIT_NAMES:
        if not len(graph.facts(split)):
            raise DataError(
                f"graph {graph.name!r}: the {split} split has no facts; training needs facts to "
                "learn from (train), to choose a checkpoint by (valid) and to judge it by (test)"
            )
    require_trackers(config.training.track)  # before anything is written
    runtime = start_runtime(config.runtime)
    with join_group(runtime) as group, open_leader(progress, group) as reporter:
        group.check_alike(f"{config.model_dump_json()} {graph.fingerprint()}", "settings and graph")
        model, started = _build(graph, config, before, group)
        folder = _create_run(group, run, graph=graph, config=config, runtime=runtime, start=before)
        _introduce(reporter, folder, graph, runtime, model)
        if started:
            reporter.say(started)
        trainer = Trainer(folder, replace(graph, features={}), model, runtime, reporter)
        del model, graph  # the tables hold the features, and the trainer lets go of the tables
        with folder.lock():
            return _fit(trainer, finish, test)


def _create_run(
    group: Group,
    run: str | Path | None,
    *,
    graph: MultimodalGraph,
    config: RunConfig,
    runtime: Runtime,
    start: RunFolder | None,
) -> RunFolder:
    """Make the run folder, or wait until the first rank has made it."""
    if not group.leads:
        return FollowedRun(group.share(None))
    path = Path(run) if run is not None else choose_path(graph.name)
    environment = describe_environment(runtime)
    if group.count > 1:
        environment["ranks"] = group.count
    record = None if start is None else describe_start(start)
    folder = RunFolder.create(path, graph, config, environment, start=record)
    group.share(str(path))
    return folder


def _build(
    graph: MultimodalGraph, config: RunConfig, start: RunFolder | None, group: Group
) -> tuple[MoMoK, str]:
    """The model to be trained, and what is to be said of where it starts from."""
    shard = group.shard(graph.num_entities)
    model = build_model(graph, config, build_generator(config.seed, "weights"), shard)
    if start is None:
        return model, ""
    if not shard.whole:
        raise RunError("training that starts from another run (--from) takes one process")
    new = take_over(model, graph, start, find_reduced(graph, config))
    return model, f"starting from the model of {start.path}: {new}"


def resume(
    run: str | Path,
    *,
    progress: bool | Reporter = True,
    finish: Finish = _nothing,
    test: bool = True,
) -> RunFolder:
    """Go on with an interrupted or killed run from its last checkpoint, bit for bit on CPU.

    ``progress``, ``finish`` and ``test`` are as for ``train``.

    Raises:
        RunError: the run is finished or under way, or its graph has changed.
        CheckpointError: the last checkpoint cannot be read.
    """
    folder = RunFolder(run)
    if folder.state == "finished":
        raise RunError(f"{folder.path}: this run is finished; there is nothing to resume")
    check_parts(folder.config)
    runtime = start_runtime(folder.config.runtime)
    with join_group(runtime) as group, open_leader(progress, group) as reporter:
        folder = folder if group.leads else FollowedRun(run)
        with folder.lock():
            if group.leads:
                for part in (folder.path, *folder.path.iterdir()):
                    remove_drafts(part)
            group.share(None)  # nobody reads what the first one still puts in order
            return _fit(_restore(folder, reporter, runtime, group), finish, test)


def _restore(folder: RunFolder, reporter: Reporter, runtime: Runtime, group: Group) -> Trainer:
    """The trainer of a run as it was at its last checkpoint, or at the start."""
    config, graph = folder.config, folder.load_graph()
    if folder.last_checkpoint.exists():
        shard = group.shard(graph.num_entities)
        model, _ = load_model(folder.last_checkpoint, run=folder.identity, shard=shard)
        trainer = Trainer(folder, graph, model, runtime, reporter)
        trainer.restore()
        reporter.say(f"resuming {folder.path} in epoch {trainer.epoch}")
        changed = compare_environments(folder.environment, describe_environment(runtime))
        if changed:
            reporter.say(f"  it began with {changed}: the numbers will differ in their last digits")
    else:  # killed before the first checkpoint: the features are needed again
        graph = _reload_source(folder)
        model, _ = _build(graph, config, find_start(folder.read_about()), group)
        folder.rewind_log(0)
        trainer = Trainer(folder, graph, model, runtime, reporter)
        reporter.say(f"resuming {folder.path} from the start: it had saved no checkpoint")
    return trainer


def _fit(trainer: Trainer, finish: Finish, test: bool) -> RunFolder:
    folder, reporter = trainer.run, trainer.reporter
    try:
        with interrupt_on_sigterm(), open_tracking(folder, reporter) as tracking:
            trainer.fit(tracking)
            leads = trainer.shard.rank == 0
            trainer.release()
            if not leads:  # the model itself fits one process: what is left is done by the first
                return folder
            fit_run(folder, trainer.runtime.device, reporter)
            tracking.log_result(evaluate_checkpoint(folder, "valid", None, reporter, Group()))
            if test:
                tracking.log_result(evaluate_checkpoint(folder, "test", None, reporter, Group()))
            finish(folder, reporter)
            folder.set_state("finished")
    except KeyboardInterrupt:
        what = "interrupted and saved" if folder.state == "interrupted" else "interrupted"
        reporter.say(f"{what}; go on with: momok resume {folder.path}")
        raise
    return folder


def _introduce(
    reporter: Reporter, folder: RunFolder, graph: MultimodalGraph, runtime: Runtime, model: Any
) -> None:
    parameters = sum(p.numel() for p in model.parameters())
    reporter.say(
        f"{graph.name}: {graph.num_entities:,} entities, {graph.num_relations} relations, "
        f"{len(graph.train):,} train / {len(graph.valid):,} valid / {len(graph.test):,} test facts "
        f"({graph.split} split)"
    )
    for note in graph.split_notes:
        reporter.say(f"  {note}")
    if (weights := graph.weights("train")) is not None:
        reporter.say(f"  train facts count by weight, {weights.min():g} to {weights.max():g}")
    for finding in graph.findings:
        reporter.say(f"  {finding.message}")
    experts = f"{model.spec.experts} experts each; " if model.spec.experts else ""
    reporter.say(
        f"MoMoK: heads {', '.join(model.heads)}; {experts}"
        f"{parameters / 1e6:.1f} million parameters; {runtime.describe()}"
    )
    if not graph.features and not folder.config.model.modalities:
        where = graph.source or "GRAPH"
        reporter.say(
            "STRUCTURE ALONE: the graph has no features of texts, pictures or numbers; "
            f"momok encode {where} text --out FOLDER makes some of its names, and FOLDER is "
            "trained on instead"
        )
    reporter.say(f"run folder: {folder.path}")


def _reload_source(folder: RunFolder) -> MultimodalGraph:
    data = folder.data
    if not data["source"]:
        raise RunError(
            f"{folder.path}: stopped before its first checkpoint, and its graph was made in "
            "memory, so its features are gone; start a new run"
        )
    source, graph = load_graph(data["source"], split=data["split"]), folder.load_graph()
    same = source.entities.labels == graph.entities.labels
    if same:  # the run's own facts: reviewed ones may be among them
        graph = replace(graph, features=source.features)
    if not same or graph.fingerprint() != data["fingerprint"]:
        raise RunError(
            f"{folder.path}: graph {data['source']} is not the one the run began with "
            "(its fingerprint differs); start a new run"
        )
    return graph
