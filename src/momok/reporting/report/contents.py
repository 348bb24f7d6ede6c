"""What a run folder has for a report: every file read once; what is missing is noted, not fatal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from momok.errors import RunError
from momok.evaluation import ANSWER, Evaluation, QueryRanks
from momok.graph.triples import mark_unseen
from momok.reporting.plots import choose_epoch
from momok.reporting.report.formatting import Value, shorten
from momok.reporting.style import fit_text
from momok.training import RunFolder

LONGEST_NAME = 60  # of a run, in letters


class RunContents:
    """One run, as read from its folder. A ``Value`` knows the place of all its parts.

    Args:
        name: what the report calls it, unique among its runs; by default the folder's name.
        prefix: stands before the files in the sources of numbers.

    Attributes:
        config: the settings; ``settings`` are the same as read from ``config.json``.
        data, environment: the files of these names.
        epochs: records of kind ``epoch`` of ``metrics.jsonl``.
        validations: records of the split that the checkpoint was chosen on.
        evaluation: the test result; None before there is one. ``result`` is the same as in its
            file, ``results/test.json``.
        ranks: of every test query; None where they are not stored.
        missing: what is not there, and what to do about it, in words.

    Raises:
        RunError: it is no run, or a file of it is damaged.
    """

    def __init__(self, path: Path, name: str = "", prefix: str = "") -> None:
        self.run = run = RunFolder(path)
        self.name = name or shorten(path.resolve().name, LONGEST_NAME)
        self.about = run.read_about()
        self.config = run.config
        self.settings = Value(run.config.model_dump(mode="json"), f"{prefix}config.json#")
        self.data = Value(run.data, f"{prefix}data.json#")
        self.environment = Value(run.environment, f"{prefix}environment.json#")
        self.graph = run.load_graph()
        self.missing: list[str] = []
        records = Value(list(run.records()), f"{prefix}metrics.jsonl#").items()
        by_kind: dict[str, list[Value]] = {}
        for _, record in records:
            by_kind.setdefault(record.value["kind"], []).append(record)
        self.epochs = by_kind.get("epoch", [])
        self.validations = by_kind.get("test" if self.published else "valid", [])
        self.evaluation = self._load_result()
        file = run.result_path("test", self.config.evaluation.protocol).relative_to(path)
        result = self.evaluation.to_json() if self.evaluation else {}
        self.result = Value(result, f"{prefix}{file.as_posix()}#")
        self.ranks = self._load_ranks(self.evaluation) if self.evaluation else None
        self.timings: list[dict[str, Any]] = []
        if (path / "timing.jsonl").is_file():
            self.timings = list(run.records(file="timing.jsonl"))
        else:
            self.missing.append("nothing is said about time: timing.jsonl is not there")
        if self.state == "finished" and not run.best_checkpoint.is_file():
            file = run.best_checkpoint.relative_to(path)
            self.missing.append(f"nothing is said about what was learned: {file} is not there")

    def _load_result(self) -> Evaluation | None:
        run, protocol = self.run, self.config.evaluation.protocol
        if run.result_path("test", protocol).is_file():
            return run.load_evaluation("test", protocol)
        if run.state == "finished":
            file = run.result_path("test", protocol).relative_to(run.path)
            what = f"{file} is not there, and momok evaluate {run.path} makes it"
        else:
            what = f"momok resume {run.path} finishes the run"
        self.missing.append(f"there is no test result: {what}")
        return None

    def _load_ranks(self, evaluation: Evaluation) -> QueryRanks | None:
        """The rank of every test query; under the published protocol, those of one checkpoint."""
        result = self.run.result_path("test", evaluation.protocol)
        remedy = f"momok evaluate {self.run.path} writes them again"
        found = self.run.load_ranks("test", evaluation.protocol)
        path = result.with_name(f"{result.stem}-ranks.safetensors")
        if found is None:
            file = path.relative_to(self.run.path)
            self.missing.append(f"nothing is said of single queries: {file} is not there; {remedy}")
            return None
        if (
            not np.array_equal(found.facts, self.graph.test)
            or set(found.ranks) != set(evaluation.heads)
            or any(len(r.optimistic) != 2 * len(found.facts) for r in found.ranks.values())
        ):
            raise RunError(f"{path}: its queries are not the test facts of the run: {remedy}")
        mrr = evaluation.overall[ANSWER].mrr or 0.0
        if not self.published and abs(float(found.reciprocal().mean()) - mrr) > 1e-9:
            raise RunError(f"{path}: these ranks are not those of {result.name}: {remedy}")
        return found

    @property
    def published(self) -> bool:
        """Whether numbers are of the published protocol: selected on test."""
        return self.config.evaluation.protocol == "published"

    @property
    def state(self) -> str:
        """``training``, ``interrupted``, ``trained`` or ``finished``."""
        return str(self.about.get("state", "training"))

    @property
    def created(self) -> str:
        """When the run was made: day and minute."""
        return str(self.about.get("created", "?"))[:16].replace("T", " ")

    @property
    def graph_name(self) -> str:
        """The name of the graph, fit to be shown."""
        return shorten(self.data["name"].value, 80)

    @cached_property
    def chosen(self) -> Value | None:
        """The validation of the epoch whose checkpoint was kept."""
        if not self.validations:
            return None
        epoch = choose_epoch([record.value for record in self.validations])
        return next(r for r in self.validations if r.value["epoch"] == epoch)

    @property
    def chosen_epoch(self) -> int | None:
        return None if self.chosen is None else int(self.chosen.value["epoch"])

    @property
    def epoch_seconds(self) -> list[float]:
        """How long every epoch took; of one that was done again after a kill, the last time."""
        last = {r["epoch"]: r["seconds"] for r in self.timings if r["kind"] == "epoch"}
        return list(last.values())

    def title_figure(self, name: str) -> str:
        """The title of a saved figure: what it shows, of which graph and split."""
        about = f"{fit_text(self.graph_name, 24)}, test, {2 * len(self.graph.test):,} queries"
        note = "\nPUBLISHED PROTOCOL: chosen on test, for comparison only" if self.published else ""
        return f"{name.capitalize().replace('-', ' ')}: {about}{note}"

    def list_settings(self) -> dict[str, Value]:
        """Every setting by its dotted name; those of single modalities last."""
        flat = flatten_settings(self.settings)
        return dict(sorted(flat.items(), key=lambda item: item[0].startswith("modality.")))

    @cached_property
    def facts_fingerprint(self) -> str:
        """The fingerprint of labels and facts alone: runs with the same one can be compared."""
        return self.graph.with_features({}).fingerprint()

    @cached_property
    def unseen_queries(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Per test query [2F], whether its fact has an entity that train never shows."""
        graph = self.graph
        return np.tile(mark_unseen(graph.train, graph.test, graph.num_entities), 2)


def flatten_settings(settings: Value, prefix: str = "") -> dict[str, Value]:
    """Every setting by its dotted name."""
    flat: dict[str, Value] = {}
    for key, value in settings.items():
        if isinstance(value.value, dict):
            flat |= flatten_settings(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def load_runs(paths: Sequence[Path]) -> Iterator[RunContents]:
    """Read the run folders of a report, one after the other.

    Raises:
        RunError: a folder is given twice or is no run, or a file of it is damaged.
    """
    names = name_runs(paths)
    for path, name in zip(paths, names, strict=True):
        yield RunContents(path, name, prefix=f"{name}:" if len(paths) > 1 else "")


def name_runs(paths: Sequence[Path]) -> list[str]:
    """The names of the folders, with as many of their parents' as tell them apart."""
    resolved = [path.resolve() for path in paths]
    [(most, times)] = Counter(resolved).most_common(1)
    if times > 1:
        raise RunError(f"{most}: given twice; a run can be compared with others only")
    names = []
    for path in resolved:
        for depth in range(1, len(path.parts) + 1):
            ending = path.parts[-depth:]
            if sum(other.parts[-depth:] == ending for other in resolved) == 1:
                break
        names.append(shorten("/".join(ending), LONGEST_NAME))
    return [
        name if names.count(name) == 1 else f"{shorten(name, LONGEST_NAME - 6)} ({place})"
        for place, name in enumerate(names, 1)
    ]
