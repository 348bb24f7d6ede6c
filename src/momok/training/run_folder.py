"""The run folder: everything about one training run, readable by every command.

::

    RUN/
      run.json            what this is, its state (training, interrupted, trained, finished), and
                          checksums of what was decided at the start: settings, data, graph; and of
                          the logs of a finished run
      config.json         every setting, as resolved
      environment.json    machine, versions, precision, threads
      data.json           which graph, its fingerprint, which split, what was found in it
      graph/              labels, names and facts as used (no features, no pictures)
      metrics.jsonl       losses per epoch, validations: the same bytes for the same seed
      timing.jsonl        seconds per epoch
      checkpoints/        last.safetensors (resume), best.safetensors (predict, evaluate)
      results/            test.json, valid.json, test-among.json, ranks as safetensors
      plots/, .lock       curves and bars; held by the process that trains
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from momok.config import validate_config
from momok.errors import ConfigError, RunError
from momok.evaluation import ANSWER, Evaluation, QueryRanks
from momok.graph import MultimodalGraph, load_graph
from momok.graph.momok_format import FURTHER
from momok.html import render_table
from momok.settings import RunConfig
from momok.storage import (
    append_line,
    check_path,
    lock_file,
    parse_json,
    seal,
    settle_file,
    unseal,
    write_file,
    write_json,
)
from momok.training.metric_log import parse_records, rewind_log
from momok.training.new_run import FORMAT, VERSION, check_sums, digest, write_new_run
from momok.training.old_runs import translate_old

_LOGS = ("metrics.jsonl", "timing.jsonl")  # which end when the run is finished


class RunFolder:
    """Reads and writes the files of one run.

    Args:
        path: an existing run folder.

    Raises:
        RunError: there is no run in this folder, or one of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_path(path, "run")
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such run folder; momok train makes one")
        self._sums: dict[str, str] = {}  # older runs have none
        about = self.read_about()
        self._sums = check_sums(self.path, about.get("files", {}))
        if about.get("format") != FORMAT:
            raise RunError(f"{self.path}: not a run folder of momok (run.json says otherwise)")
        self._identity: str | None = about.get("identity")
        if about.get("version") != VERSION:
            raise RunError(
                f"{self.path}: run folder version {about.get('version')}, this momok reads "
                f"{VERSION}"
            )

    @staticmethod
    def create(
        path: str | Path,
        graph: MultimodalGraph,
        config: RunConfig,
        environment: Mapping[str, Any],
        start: Mapping[str, str] | None = None,
    ) -> RunFolder:
        """Make a run folder and write down what is known before training.

        What a killed process had begun to make is taken over. ``start`` says of the run that it
        starts from, if any.

        Raises:
            RunError: as ``check_free``; or another process is making this run.
            StorageError: the disk refused; nothing is left behind.
        """
        write_new_run(Path(path), graph, config, environment, start)
        return RunFolder(path)

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {value}" for name, value in self._summarise().items())
        return f"<RunFolder {str(self.path)!r}: {said}>"

    def _repr_html_(self) -> str:
        about = self._summarise()
        left = about.get("state", "finished") != "finished"
        remark = f"not finished: momok.resume({str(self.path)!r}) goes on with it"
        return render_table(f"Run {self.path}", about.items(), warnings=[remark] * left)

    def _summarise(self) -> dict[str, str]:
        try:
            protocol = self.config.evaluation.protocol
            about = {"state": self.state, "graph": self.data["name"], "preset": self.config.preset}
            if self.result_path("test", protocol).is_file():
                mrr = self.load_evaluation("test", protocol).overall[ANSWER].mrr
                about["test MRR"] = "–" if mrr is None else f"{mrr:.4f}"
        except RunError as error:  # damaged or removed since
            return {"unreadable": str(error)}
        return about

    # -- what was decided at the start -----------------------------------------------------

    @property
    def config(self) -> RunConfig:
        """The settings of the run."""
        try:
            return validate_config(translate_old(self._read_json("config.json")))
        except ConfigError as error:
            raise RunError(f"{self.path / 'config.json'}: {error}") from error

    @property
    def data(self) -> dict[str, Any]:
        """Which graph and split, with counts and findings."""
        data = self._read_json("data.json", "name", "source", "fingerprint", "split", "facts")
        if not isinstance(data["source"], str):
            raise RunError(f"{self.path / 'data.json'}: expected the source as text")
        return data

    @property
    def environment(self) -> dict[str, Any]:
        """Machine and versions."""
        return self._read_json("environment.json")

    @property
    def identity(self) -> str | None:
        """What settings and graph the run is of: its checkpoints say the same. None in older runs.

        Runs that share it give the same answers, up to the rounding of machines.
        """
        return self._identity

    def load_graph(self) -> MultimodalGraph:
        """The graph as used: labels, names and facts; features and pictures stay at the source.

        Raises:
            RunError: a file of it, or another that the run began with, was changed since.
            DataError: it cannot be read.
        """
        for name in self._sums:
            if name not in (*_LOGS, "environment.json"):  # of which no answer is made
                path = self.path / name
                self._check(name, path.read_bytes() if path.is_file() else None)
        for name in FURTHER:
            path = self.path / "graph" / name
            if self._sums and f"graph/{name}" not in self._sums and path.exists():
                raise RunError(f"{path}: was not there when the run began; take it away")
        return load_graph(self.path / "graph")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder while the block runs.

        Raises:
            RunError: another one does already.
        """
        with lock_file(self.path / ".lock") as held:
            if not held:
                raise RunError(
                    f"{self.path}: another process is training in this run folder; wait for it, "
                    "or stop it and resume"
                )
            yield

    # -- progress --------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``training`` (running, or killed), ``interrupted``, ``trained`` (being tested, or killed
        meanwhile) or ``finished``."""
        return str(self.read_about()["state"])

    def read_about(self) -> dict[str, Any]:
        """What ``run.json`` says."""
        return self._read_json("run.json", "state")

    def set_state(self, state: str) -> None:
        """Write down how far the run is."""
        about = self._read_json("run.json") | {"state": state}
        if "files" in about:
            sums = {name: sum for name, sum in about["files"].items() if name not in _LOGS}
            if state == "finished":
                sums |= {name: digest((self.path / name).read_bytes()) for name in _LOGS}
            self._sums = about["files"] = sums
        write_json(self.path / "run.json", seal(about))

    def log(self, record: Mapping[str, Any], file: str = "metrics.jsonl") -> None:
        """Append a record to ``metrics.jsonl``, or to ``timing.jsonl``."""
        append_line(self.path / file, json.dumps(record, allow_nan=False))

    def settle_log(self) -> int:
        """Bytes of ``metrics.jsonl``, on the disk for sure: a checkpoint remembers them."""
        return settle_file(self.path / "metrics.jsonl")

    def rewind_log(self, size: int) -> None:
        """Forget what was logged after a checkpoint; raises as ``metric_log.rewind_log``."""
        rewind_log(self.path / "metrics.jsonl", size)

    def records(
        self, kind: str | None = None, file: str = "metrics.jsonl"
    ) -> Iterator[dict[str, Any]]:
        """The logged records, of one kind or all.

        Raises:
            RunError: the log is missing or malformed.
        """
        path = self.path / file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._check(file, content)
        return parse_records(content, path, kind)

    # -- results ---------------------------------------------------------------------------

    @property
    def last_checkpoint(self) -> Path:
        """What ``momok resume`` continues from."""
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def best_checkpoint(self) -> Path:
        """The model chosen on validation."""
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def pool_file(self) -> Path:
        """Weights of heads and rules, fitted on validation."""
        return self.path / "checkpoints" / "pool.safetensors"

    @property
    def rules_file(self) -> Path:
        """The rules that the pool knows."""
        return self.path / "checkpoints" / "rules.safetensors"

    def result_path(self, split: str, protocol: str = "clean") -> Path:
        """The file of an evaluation, whether there is one or not."""
        return self.path / "results" / f"{split}{'' if protocol == 'clean' else '-published'}.json"

    def save_evaluation(self, evaluation: Evaluation) -> None:
        """Write an evaluation and the rank of every query."""
        whole = self.result_path(evaluation.split, evaluation.protocol)
        path = whole.with_stem(f"{whole.stem}-among") if evaluation.candidates else whole
        value = evaluation.to_json() | {"run": self.identity}
        if evaluation.query_ranks is not None:
            ranks = save_arrays(evaluation.query_ranks.to_arrays())
            write_file(path.with_name(f"{path.stem}-ranks.safetensors"), ranks)
            value["ranks"] = digest(ranks)
        write_json(path, seal(value))

    def load_evaluation(self, split: str, protocol: str = "clean") -> Evaluation:
        """An evaluation written before.

        Raises:
            RunError: there is none, or it is damaged.
        """
        path = self.result_path(split, protocol)
        if not path.is_file():
            raise RunError(
                f"{self.path}: {split} has not been evaluated under the {protocol} protocol; "
                f"momok evaluate {self.path} --split {split} --protocol {protocol} does it"
            )
        value = self.read_result(path.name)
        try:
            return Evaluation.from_json(value)
        except RunError as error:
            raise RunError(f"{path}: {error}") from error

    def read_result(self, name: str) -> dict[str, Any]:
        """What a JSON file in ``results/`` says.

        Raises:
            RunError: it is missing, damaged or of another run.
        """
        value = self._read_json(f"results/{name}")
        if value.get("run", self.identity) != self.identity:
            raise RunError(
                f"{self.path / 'results' / name}: it belongs to another run; momok evaluate and "
                "momok calibrate write the run's own"
            )
        return value

    def load_ranks(self, split: str, protocol: str = "clean") -> QueryRanks | None:
        """The rank of every query, written beside an evaluation; None where there are none.

        Raises:
            RunError: they are damaged.
        """
        result = self.result_path(split, protocol)
        path = result.with_name(f"{result.stem}-ranks.safetensors")
        if not path.is_file():
            return None
        try:
            content = path.read_bytes()
            written = self.read_result(result.name)
            if digest(content) != written.get("ranks", digest(content)):  # older ones have none
                raise ValueError(f"it is not what was written beside {result.name}")
            arrays = dict(sorted(load_arrays(content).items()))  # else in a random order
            return QueryRanks.from_arrays(arrays)
        except (SafetensorError, KeyError, OSError, ValueError) as error:
            raise RunError(
                f"{path}: cannot be read ({error}): momok evaluate {self.path} writes it again"
            ) from error

    def _read_json(self, name: str, *required: str) -> dict[str, Any]:
        path = self.path / name
        try:
            content = path.read_bytes()
            self._check(name, content)
            value = unseal(parse_json(content))
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path}: no {name} here, so this is not a complete run folder; if a killed "
                "momok train left it, the same command begins again in it"
            ) from error
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read as JSON: {error}") from error
        if not isinstance(value, dict):
            raise RunError(f"{path}: expected a JSON object, found {type(value).__name__}")
        for key in required:
            if key not in value:
                raise RunError(f"{path}: no {key!r} in it; it was changed after the run began")
        return value

    def _check(self, name: str, content: bytes | None) -> None:
        """RunError where a file that has a checksum is another one, or gone (None)."""
        if name in self._sums and (content is None or digest(content) != self._sums[name]):
            what = "missing" if content is None else "changed (its checksum differs)"
            raise RunError(
                f"{self.path / name}: {what} since the run began; restore it from a copy or train "
                "again"
            )
