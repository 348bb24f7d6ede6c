"""Training on what was decided: one job at a time, in a process of its own.

A job is ``momok train`` on the graph of the run that is served, from its model, with the decisions
as they were when it began. It goes on while the server is stopped or started again; all that is
known of it is in files::

    RUN/retrained/
      job.json              the job: its state, process and numbers
      served                the number of the run that is served instead of RUN; not there: RUN
      1/ 2/ ...             the run folders
      1.jsonl 1.log ...     the decisions, and what training said
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from momok.errors import ConfigError, MomokError
from momok.serving.judgement import Judgement, judge
from momok.serving.reviews.files import encode_reviews, read_reviews
from momok.serving.reviews.records import Review
from momok.storage import is_running, lock_file, write_file, write_json
from momok.training import RunFolder

JobState = Literal["none", "training", "comparing", "ready", "failed", "cancelled", "served"]
"""``ready`` waits for a person to take the model over; ``served`` is taken over."""

_log = logging.getLogger("momok.serving")
_FOLDER, _JOB, _SERVED = "retrained", "job.json", "served"
_LOOK_SECONDS = 2.0
_LOG_LINES = 20
_SECRETS = ("MOMOK_TOKEN", "MOMOK_REVIEWS")


@dataclass(frozen=True, kw_only=True)
class Job:
    """The latest job.

    Attributes:
        number: of its run folder.
        state: how far it is.
        process: of training.
        started: when, in ISO 8601, UTC.
        by: who started it.
        accepted, rejected: the decisions that it learns from.
        epoch, epochs: how far training is.
        validations: MRR on the validation facts so far.
        before, after: the model that was served, and the new one.
        message: why it failed.
    """

    number: int = 0
    state: JobState = "none"
    process: int = 0
    started: str = ""
    by: str = ""
    accepted: int = 0
    rejected: int = 0
    epoch: int = 0
    epochs: int = 0
    validations: list[float] = field(default_factory=list)
    before: Judgement = field(default_factory=Judgement)
    after: Judgement = field(default_factory=Judgement)
    message: str = ""


_JOBS = TypeAdapter(Job)


def find_served(run: Path) -> Path:
    """The run folder that is served: the one that was named, or what was made of it since."""
    with suppress(OSError, ValueError):
        number = int((run / _FOLDER / _SERVED).read_text())
        path = run / _FOLDER / str(number)
        if (path / "run.json").is_file():
            return path
    return run


class Retraining:
    """The job of one run folder.

    Args:
        run: the folder that the server was given.
        threads: of training.
    """

    def __init__(self, run: Path, threads: int) -> None:
        self._run, self._threads = run, threads
        self._folder = run / _FOLDER
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Let go of the process of training, which goes on."""
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0  # else Python warns that nobody waited for it

    # -- what is known -----------------------------------------------------------------------

    def look(self) -> Job:
        """The job as it is now."""
        try:
            job = _JOBS.validate_json((self._folder / _JOB).read_bytes())
        except (OSError, ValueError):
            return Job()
        return self._follow(job) if job.state == "training" else job

    def read_log(self) -> list[str]:
        """The last lines that training said."""
        path = self._folder / f"{self.look().number}.log"
        try:
            text = path.read_bytes()[-16_384:].decode("utf-8", "replace")
        except OSError:
            return []
        return [line.rpartition("\r")[2] for line in text.splitlines()][-_LOG_LINES:]

    def _follow(self, job: Job) -> Job:
        """A job under way, with how far training is."""
        alive = self._is_alive(job)
        try:
            run = RunFolder(self._folder / str(job.number))
            validations = [r["metrics"]["answer"]["mrr"] or 0.0 for r in run.records("valid")]
            job = replace(
                job,
                epoch=sum(1 for _ in run.records("epoch")),
                epochs=run.config.training.epochs,
                validations=validations,
            )
            if not alive and run.state == "finished":
                return replace(job, state="comparing")
        except (MomokError, KeyError, TypeError):
            pass  # it is being made
        return job if alive else replace(job, state="failed", message=self._find_reason(job))

    def _is_alive(self, job: Job) -> bool:
        if self._process is not None and self._process.pid == job.process:
            return self._process.poll() is None
        if not is_running(job.process):
            return False
        try:  # another process may have the number by now
            words = Path(f"/proc/{job.process}/cmdline").read_bytes()
        except OSError:
            return True
        return str(self._folder).encode() in words

    def _find_reason(self, job: Job) -> str:
        try:
            lines = (self._folder / f"{job.number}.log").read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:500] if said else "training ended without a word"

    # -- what is done ------------------------------------------------------------------------

    def start(self, reviews: list[Review], by: str) -> Job:
        """Begin to train on decisions.

        Raises:
            ConfigError: a job is under way or waits, nothing is decided, or the graph is gone.
        """
        base = RunFolder(find_served(self._run))
        source = base.data["source"]
        if not source:
            raise ConfigError("the graph of this run was made in memory: there is none to train on")
        counts = {s: sum(r.state == s for r in reviews) for s in ("accepted", "rejected")}
        if not sum(counts.values()):
            raise ConfigError("no fact is accepted or rejected yet: there is nothing new to learn")
        self._folder.mkdir(exist_ok=True)
        with lock_file(self._folder / ".lock") as held:
            before = self.look()
            if not held or before.state in ("training", "comparing", "ready"):
                raise ConfigError(
                    "a model is being trained, or waits to be taken over or discarded"
                )
            number = max([int(p.name) for p in self._folder.iterdir() if p.name.isdigit()] + [0])
            number = max(number, before.number) + 1
            decisions = self._folder / f"{number}.jsonl"
            write_file(decisions, "".join(encode_reviews(reviews, "jsonl")).encode())
            command = [sys.executable, "-m", "momok", "train", source]
            command += ["--from", str(base.path.absolute()), "--with-reviews", str(decisions)]
            command += ["--run", str(self._folder / str(number))]
            command += ["--set", f"runtime.threads={self._threads}"]
            environment = {k: v for k, v in os.environ.items() if k not in _SECRETS}
            with (self._folder / f"{number}.log").open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,  # signals to the server are not for it
                )
            started = datetime.now(UTC).isoformat(timespec="seconds")
            job = Job(
                number=number,
                state="training",
                process=self._process.pid,
                started=started,
                by=by,
                accepted=counts["accepted"],
                rejected=counts["rejected"],
            )
            self._save(job)
        return job

    def cancel(self) -> Job:
        """Stop training.

        Raises:
            ConfigError: nothing is being trained.
        """
        job = self.look()
        if job.state != "training":
            raise ConfigError("nothing is being trained")
        with suppress(OSError):
            os.killpg(job.process, signal.SIGTERM)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        return self._save(replace(job, state="cancelled"))

    def take_over(self) -> Job:
        """Serve the new model from now on.

        Raises:
            ConfigError: there is none.
        """
        job = self.look()
        if job.state != "ready":
            raise ConfigError("there is no new model that could be taken over")
        write_file(self._folder / _SERVED, f"{job.number}\n".encode())
        return self._save(replace(job, state="served"))

    def discard(self) -> Job:
        """Forget the new model, which is removed, or what is left of a job.

        Raises:
            ConfigError: there is nothing to be discarded.
        """
        job = self.look()
        if job.state not in ("ready", "failed", "cancelled"):
            raise ConfigError("there is nothing that could be discarded")
        shutil.rmtree(self._folder / str(job.number), ignore_errors=True)
        return self._save(Job(number=job.number))

    async def watch(self) -> None:
        """Compare a new model with the served one as soon as it is trained, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if (self._folder / _JOB).is_file():
                    await asyncio.to_thread(self.compare)
            except Exception:
                _log.exception("the new model could not be compared")

    def compare(self) -> None:
        """Judge both models where the job waits for it; write a failed job down."""
        job = self.look()
        if job.state == "failed":
            self._save(job)
        if job.state != "comparing":
            return
        try:
            reviews = read_reviews(self._folder / f"{job.number}.jsonl")
            judged = [
                judge(RunFolder(path), reviews)
                for path in (find_served(self._run), self._folder / str(job.number))
            ]
            job = replace(job, state="ready", before=judged[0], after=judged[1])
        except MomokError as error:
            job = replace(job, state="failed", message=str(error))
        self._save(job)

    def _save(self, job: Job) -> Job:
        write_json(self._folder / _JOB, asdict(job))
        return job
