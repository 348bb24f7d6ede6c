"""The trackers by name, and how a run tells them its numbers without depending on them"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from momok.errors import ConfigError, MissingExtraError, MomokError, first_line
from momok.evaluation import Evaluation, Metrics
from momok.progress import Reporter
from momok.storage import parse_json, write_file
from momok.training.run_folder import RunFolder
from momok.training.tracking.tensorboard import TensorBoard
from momok.training.tracking.tracker import TrackedRun, Tracker
from momok.training.tracking.wandb import WeightsAndBiases

TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}

_FILE = "tracking.json"  # in the run folder: the run's id, and what was sent of it


def require_trackers(names: Iterable[str]) -> None:
    """Check that there are trackers of these names, and that their libraries are installed.

    Raises:
        ConfigError: there is none of a name.
        MissingExtraError: one is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(
                f"training.track = {name!r}: there is none of this name; there are "
                f"{', '.join(TRACKERS)}"
            )
        TRACKERS[name].require()


class Tracking:
    """The trackers of a run while it trains.

    They get the numbers of ``metrics.jsonl`` and ``results/``, once these are written there, and
    the seconds of ``timing.jsonl``. An epoch is sent whole, with its validation if it has one, and
    once: a run that was killed goes on from its last checkpoint, and the epochs after that which
    had been sent are not sent again. On a CPU they would be the same numbers; on a GPU the log may
    differ from them in the last digits.

    A tracker that fails is left alone from there on, and one line says so.
    """

    def __init__(self, run: RunFolder, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter
        self._trackers: dict[str, Tracker] = {}
        self._epoch: dict[str, float] = {}  # what is known of the epoch under way
        self._sent = _read_sent(run)
        self._lost_mark = False  # it could not be written down what was sent
        config = run.config
        if not config.training.track:
            return
        self._keep()
        tracked = TrackedRun(
            path=run.path,
            id=self._sent["id"],
            group=_find_group(run),
            settings=config.model_dump(mode="json"),
        )
        for name in config.training.track:
            self._try(name, self._begin, name, tracked)

    def log(self, metrics: Mapping[str, float | None], epoch: int, *, whole: bool) -> None:
        """Take numbers of an epoch; the last of it make it ``whole``, and it is sent."""
        self._epoch |= {name: value for name, value in metrics.items() if value is not None}
        if whole:
            if epoch > self._sent["step"]:
                self._send(lambda tracker: tracker.log(self._epoch, epoch), step=epoch)
            self._epoch = {}

    def log_result(self, evaluation: Evaluation) -> None:
        """Take what the chosen model is worth on a split."""
        split, step = evaluation.split, self._sent["step"]
        if split in self._sent["results"]:
            return
        metrics = flatten_metrics(f"result/{split}", evaluation.overall)
        values = {name: value for name, value in metrics.items() if value is not None}
        self._send(
            lambda tracker: tracker.log_results(values, step),
            results=[*self._sent["results"], split],
        )

    def finish(self, state: str) -> None:
        """Let go of the trackers."""
        for name in list(self._trackers):
            self._try(name, self._trackers[name].finish, state)

    def _begin(self, name: str, run: TrackedRun) -> None:
        TRACKERS[name].require()
        self._trackers[name] = TRACKERS[name](run)
        self._reporter.say(f"{name}: {self._trackers[name].where}")

    def _send(self, give: Callable[[Tracker], None], **sent: Any) -> None:
        for name in list(self._trackers):
            self._try(name, give, self._trackers[name])
        if self._trackers:
            self._sent |= sent
            self._keep()

    def _try(self, name: str, act: Callable[..., None], *arguments: Any) -> None:
        """Whatever a tracker does, training goes on."""
        try:
            act(*arguments)
        except Exception as error:
            self._trackers.pop(name, None)
            said = str(error) if isinstance(error, MissingExtraError) else first_line(error)
            self._reporter.say(
                f"warning: {name} does not track {self._run.path} any more ({said}); "
                "metrics.jsonl has all numbers"
            )

    def _keep(self) -> None:
        try:
            write_file(self._run.path / _FILE, json.dumps(self._sent).encode() + b"\n")
        except MomokError as error:
            if not self._lost_mark:
                self._reporter.say(f"warning: {error}; after a kill, epochs may be tracked twice")
            self._lost_mark = True


@contextmanager
def open_tracking(run: RunFolder, reporter: Reporter) -> Iterator[Tracking]:
    """Give the trackers that the run's settings name; in the end they learn how it ended."""
    tracking = Tracking(run, reporter)
    state = "failed"
    try:
        yield tracking
        state = "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        tracking.finish(state)


def needs_result(run: RunFolder, evaluation: Evaluation) -> bool:
    """Whether the trackers of a run have not been told of this split, under the run's protocol;
    what was ranked among some entities alone they are not told."""
    config = run.config
    return (
        bool(config.training.track)
        and not evaluation.candidates
        and evaluation.protocol == config.evaluation.protocol
        and evaluation.split not in _read_sent(run)["results"]
    )


def flatten_metrics(prefix: str, by_head: Mapping[str, Metrics]) -> dict[str, float | None]:
    """Metrics by names such as ``valid/hits@10/answer``."""
    flat: dict[str, float | None] = {}
    for head, metrics in by_head.items():
        flat[f"{prefix}/mrr/{head}"] = metrics.mrr
        flat[f"{prefix}/mean_rank/{head}"] = metrics.mean_rank
        for k, share in metrics.hits.items():
            flat[f"{prefix}/hits@{k}/{head}"] = share
    return flat


def _read_sent(run: RunFolder) -> dict[str, Any]:
    """The id of a run for trackers, the last epoch and the splits that they were told of."""
    sent: dict[str, Any] = {"id": secrets.token_hex(8), "step": 0, "results": []}
    with suppress(OSError, ValueError, TypeError):  # none yet, or damaged
        sent |= parse_json((run.path / _FILE).read_bytes())
    return sent


def _find_group(run: RunFolder) -> str:
    """The study that a run belongs to: it lies at STUDY/runs/NAME beside STUDY/study.json."""
    runs = run.path.absolute().parent
    is_of_study = runs.name == "runs" and (runs.parent / "study.json").is_file()
    return runs.parent.name if is_of_study else ""
