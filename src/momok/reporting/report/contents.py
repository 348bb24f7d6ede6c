"""What a run folder has for a report: every file read once; what is missing is noted, not fatal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from momok.config import RunConfig
from momok.errors import RunError
from momok.evaluation import ANSWER, Evaluation, QueryRanks, Ranks
from momok.graph import MultimodalGraph
from momok.reporting.curves import choose_epoch
from momok.reporting.report.numbers import shorten
from momok.training import RunFolder

__all__ = ["LONGEST_NAME", "RunContents", "load_contents"]

LONGEST_NAME = 60  # of a run, in letters

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class RunContents:
    """One run, as read from its folder.

    Attributes:
        run: the folder.
        name: what the report calls it, unique among the runs of a report.
        about: ``run.json``.
        config, data, environment: the files of these names.
        graph: labels, names and facts as used.
        epochs: records of kind ``epoch`` with their lines in ``metrics.jsonl``.
        validations: records of the split that the checkpoint was chosen on, with their lines.
        timings: records of ``timing.jsonl``.
        evaluation: the test result; None before there is one.
        result_file: where it was read, as ``results/test.json``.
        ranks: of every test query; None where they are not stored or do not belong to the result.
        missing: what is not there, and what to do about it, in words.
    """

    run: RunFolder
    name: str
    about: Mapping[str, Any]
    config: RunConfig
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    graph: MultimodalGraph
    epochs: Sequence[tuple[int, Record]]
    validations: Sequence[tuple[int, Record]]
    timings: Sequence[Record]
    evaluation: Evaluation | None
    result_file: str
    ranks: QueryRanks | None
    missing: Sequence[str]

    @property
    def published(self) -> bool:
        """Whether numbers are of the published protocol: selected on test."""
        return self.config.evaluation.protocol == "published"

    @property
    def selection_split(self) -> str:
        """The split that the checkpoint was chosen on."""
        return "test" if self.published else "valid"

    @property
    def state(self) -> str:
        """``training``, ``interrupted``, ``trained`` or ``finished``."""
        return str(self.about.get("state", "training"))

    @property
    def graph_name(self) -> str:
        """The name of the graph, fit to be shown."""
        return shorten(str(self.data["name"]), 80)

    @property
    def epoch_seconds(self) -> list[float]:
        """How long every epoch took; of one that was done again after a kill, the last time."""
        last = {r["epoch"]: r["seconds"] for r in self.timings if r["kind"] == "epoch"}
        return list(last.values())

    @cached_property
    def chosen_epoch(self) -> int | None:
        """The epoch whose checkpoint was kept."""
        return (
            choose_epoch([record for _, record in self.validations]) if self.validations else None
        )

    @cached_property
    def chosen_validation(self) -> tuple[int, Record] | None:
        """The validation of that epoch, with its line."""
        return next((v for v in self.validations if v[1]["epoch"] == self.chosen_epoch), None)

    @cached_property
    def facts_fingerprint(self) -> str:
        """The fingerprint of labels and facts alone: runs with the same one can be compared."""
        return self.graph.with_features({}).fingerprint()

    @cached_property
    def unseen_queries(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Per test query [2F], whether its fact has an entity that train never shows."""
        from momok.graph.triples import mark_unseen

        graph = self.graph
        unseen = mark_unseen(graph.train, graph.test, graph.num_entities)
        return np.tile(unseen, 2)


def load_contents(path: Path, name: str | None = None) -> RunContents:
    """Read a run folder.

    Raises:
        RunError: it is no run, or a file of it is damaged.
        DataError: its graph cannot be read.
    """
    run = RunFolder(path)
    config, data = run.config, run.data
    missing: list[str] = []
    evaluation, result_file = _load_result(run, config.evaluation.protocol, missing)
    graph = run.load_graph()
    records = list(_number(run, "metrics.jsonl"))
    split = "test" if config.evaluation.protocol == "published" else "valid"
    return RunContents(
        run=run,
        name=shorten(name or path.resolve().name, LONGEST_NAME),
        about=_read_about(path),
        config=config,
        data=data,
        environment=run.environment,
        graph=graph,
        epochs=[(line, r) for line, r in records if r["kind"] == "epoch"],
        validations=[(line, r) for line, r in records if r["kind"] == split],
        timings=[record for _, record in _number(run, "timing.jsonl", missing)],
        evaluation=evaluation,
        result_file=result_file,
        ranks=_load_ranks(run, graph, evaluation, missing),
        missing=missing,
    )


def _read_about(path: Path) -> dict[str, Any]:
    value = json.loads((path / "run.json").read_text(encoding="utf-8"))  # RunFolder has checked it
    assert isinstance(value, dict)
    return value


def _number(
    run: RunFolder, file: str, missing: list[str] | None = None
) -> list[tuple[int, Record]]:
    """The records of a log with their line numbers from 0; every line is a record."""
    if missing is not None and not (run.path / file).is_file():
        missing.append(f"{file} is not there, so nothing is said about time")
        return []
    return list(enumerate(run.records(file=file)))


def _load_result(
    run: RunFolder, protocol: str, missing: list[str]
) -> tuple[Evaluation | None, str]:
    file = f"results/test{'' if protocol == 'clean' else '-published'}.json"
    if (run.path / file).is_file():
        return run.load_evaluation("test", protocol), file
    missing.append(
        f"there is no test result: momok resume {run.path} finishes the run"
        if run.state != "finished"
        else f"there is no test result: momok evaluate {run.path} makes it"
    )
    return None, file


def _load_ranks(
    run: RunFolder, graph: MultimodalGraph, evaluation: Evaluation | None, missing: list[str]
) -> QueryRanks | None:
    """The rank of every test query; under the published protocol, those of one checkpoint."""
    if evaluation is None:
        return None
    suffix = "" if evaluation.protocol == "clean" else "-published"
    path = run.path / "results" / f"test{suffix}-ranks.safetensors"
    again = f"momok evaluate {run.path} writes them again"
    if not path.is_file():
        missing.append(f"the ranks of single queries are not there: {again}")
        return None
    try:
        arrays = load_file(path)
        facts = arrays["facts"]
        ranks = {
            head: Ranks(
                optimistic=arrays[f"optimistic/{head}"], pessimistic=arrays[f"pessimistic/{head}"]
            )
            for head in evaluation.heads
        }
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}): {again}") from error
    if not np.array_equal(facts, graph.test) or any(
        len(r.optimistic) != 2 * len(facts) for r in ranks.values()
    ):
        raise RunError(f"{path}: its queries are not the test facts of the run: {again}")
    mean = float((1.0 / ranks[ANSWER].realistic).mean())
    if evaluation.protocol == "clean" and abs(mean - (evaluation.overall[ANSWER].mrr or 0)) > 1e-9:
        raise RunError(
            f"{path}: these ranks are not those of {path.with_name('test.json').name}: {again}"
        )
    return QueryRanks(facts=facts, ranks=ranks)
