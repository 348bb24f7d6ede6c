"""The training loop: epochs, validation, early stopping, checkpoints, exact resume.

On a GPU the host waits for validations and for a look at the losses every few steps: order and
batches come from the host, with a generator of its own (see ``training_step`` for exceptions).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from momok.errors import CheckpointError, TrainingError
from momok.evaluation import ANSWER, Evaluation, evaluate
from momok.graph import MultimodalGraph
from momok.model import MoMoK
from momok.progress import Reporter, TimeLeft
from momok.runtime import Runtime, give_memory_back
from momok.settings import RunConfig
from momok.training.checkpoint import model_tensors, read_checkpoint
from momok.training.interruption import Interruption, catch_interruption
from momok.training.kernels import choose_kernels, score_flops
from momok.training.part_trainer import PartTrainer
from momok.training.queries import TrainingQueries
from momok.training.run_folder import RunFolder
from momok.training.sharding.files import write_ranks_checkpoint
from momok.training.tracking import Tracking, flatten_metrics
from momok.training.training_state import Choice, build_learners

_PARTS = "parts/"  # of the names of tensors in a checkpoint
_TIMING = "timing.jsonl"
_FIRST_STEPS = 3  # of each part: slow, as code is compiled and memory is taken


@dataclass
class _Stretch:
    """What was done since an epoch was logged."""

    started: float = field(default_factory=time.perf_counter)
    steps: int = 0
    queries: int = 0


class Trainer:
    """Trains a model in a run folder, from the start or from its last checkpoint.

    What can be trained apart (``MoMoK.take_parts``) is: each part with an order, batches and
    samples of its own, on a CPU side by side on its cores. Each computes the same numbers wherever
    and beside whatever it is computed.
    """

    def __init__(
        self,
        run: RunFolder,
        graph: MultimodalGraph,
        model: MoMoK,
        runtime: Runtime,
        reporter: Reporter,
    ) -> None:
        self.run, self.graph, self.runtime, self.reporter = run, graph, runtime, reporter
        self.config: RunConfig = run.config
        settings = self.config.training
        self.model, self.shard = model.to(runtime.device).train(), model.shard
        queries = TrainingQueries(
            graph.train,
            graph.num_relations,
            rejected=graph.rejected,
            weights=graph.weights("train"),
        )
        self.parts = [
            PartTrainer(learner, queries, settings, runtime)
            for learner in build_learners(self.model, self.config)
        ]
        self.steps_of_part = queries.num_batches(settings.batch_size)  # in an epoch
        self.choice = Choice()
        self._lock = threading.Lock()  # of what the parts share: log, progress
        self._since = _Stretch()
        self._time_left = TimeLeft(_FIRST_STEPS * len(self.parts))

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1: that of the part that is furthest behind."""
        return min(part.learner.position.epoch for part in self.parts)

    # -- the loop --------------------------------------------------------------------------

    def fit(self, tracking: Tracking) -> None:
        """Train until done, stopped early, or interrupted (then: saved, and an exception).

        Raises:
            TrainingError: the loss is no longer finite; the last good checkpoint is kept.
            KeyboardInterrupt: the user asked to stop; everything is saved.
        """
        self.tracking = tracking
        self.run.set_state("training")
        self._choose_kernels()
        settings = self.config.training
        with catch_interruption() as interruption:
            while not self.choice.stopped and self.epoch <= settings.epochs:
                checks = -(-self.epoch // settings.validate_every)
                end = min(checks * settings.validate_every, settings.epochs)
                self._train_until(end, interruption)
                if self.epoch > end:  # all parts are through, asked to stop or not
                    self._validate(end)
                    self._save()
                if self.shard.any(interruption.requested):
                    self._save_interrupted()
        self.run.set_state("trained")

    def _train_until(self, last: int, interruption: Interruption) -> None:
        """Train all parts to the end of epoch ``last``, or until a stop is asked for.

        Parts take turns, an epoch at a time: whoever is free goes on with the one that waits
        longest, so that nobody is idle while there are parts enough.
        """
        waiting: SimpleQueue[PartTrainer] = SimpleQueue()
        for part in self.parts:
            if part.learner.position.epoch <= last:
                waiting.put(part)
        self._since, failed = _Stretch(), threading.Event()

        def goes_on() -> bool:
            return not (self.shard.any(interruption.requested) or failed.is_set())

        def each_step(queries: int) -> bool:
            self._report_step(queries)
            return goes_on()

        def work() -> None:
            try:
                while goes_on():
                    part = waiting.get_nowait()
                    part.train_epoch(each_step)
                    self._log_epochs()
                    if part.learner.position.epoch <= last:
                        waiting.put(part)
            except Empty:  # the others have what is left
                return
            except BaseException:
                failed.set()
                raise

        try:
            # several ranks exchange what they compute in one order
            with self.runtime.share_threads(len(self.parts) if self.shard.whole else 1) as workers:
                if workers == 1:
                    work()
                    return
                with ThreadPoolExecutor(workers) as pool:
                    for done in [pool.submit(work) for _ in range(workers)]:
                        done.result()
        except TrainingError as error:
            raise self._not_finite(str(error)) from None

    def release(self) -> None:
        """Give back the memory of training; there is nothing more to be done with the trainer.

        The chosen model is tested next, and need not fit beside the trained one and its moments.
        """
        del self.model, self.parts
        give_memory_back()

    def _choose_kernels(self) -> None:
        settings = self.config.training
        for part in self.parts:
            with self.runtime.autocast():
                part.kernels, remark = choose_kernels(
                    self.config.runtime.compile,
                    part.learner.model,
                    part.loss,
                    self.runtime.device,
                    penalised=part.regulariser is not None,
                    flops=score_flops(part.learner.model, len(part.queries), settings.epochs),
                    queries=min(settings.batch_size, len(part.queries)),
                    block=part.block,
                )
            self.run.log({"kind": "kernels", "compiled": part.kernels.compiled}, _TIMING)
            if remark is not None:
                self.reporter.say(remark)

    def _report_step(self, queries: int) -> None:
        with self._lock:
            self._since.steps += 1
            self._since.queries += queries
            speed = self._since.queries / (time.perf_counter() - self._since.started)
            loss = math.fsum(x for p in self.parts if not math.isnan(x := p.last_loss))
            epochs = self.config.training.epochs
            positions = [part.learner.position for part in self.parts]
            done = sum((at.epoch - 1) * self.steps_of_part + at.batch for at in positions)
            total = epochs * self.steps_of_part * len(self.parts)
            if time_left := self._time_left.estimate(total - done):
                self.reporter.say(f"about {time_left} of training to go, by the first steps")
            self.reporter.progress(
                f"training: epoch {self.epoch}/{epochs}, loss {loss:.4f}, {speed:,.0f} queries/s",
                done,
                total,
            )

    def _log_epochs(self) -> None:
        """Log the epochs that all parts have finished since the last time.

        The losses of a head are the mean of its members'.
        """
        with self._lock:
            positions = [part.learner.position for part in self.parts]
            while all(position.means for position in positions):
                epoch = positions[0].epoch - len(positions[0].means)
                means: dict[str, float] = {}
                for position in positions:
                    for name, value in position.means.pop(0).items():
                        means[name] = means.get(name, 0.0) + value / self.model.spec.members
                self._log_epoch(epoch, means)

    def _log_epoch(self, epoch: int, means: Mapping[str, float]) -> None:
        seconds = round(time.perf_counter() - self._since.started, 3)
        record = {"kind": "epoch", "epoch": epoch, "batches": self._since.steps}
        self.run.log(record | {"seconds": seconds}, _TIMING)
        self._since = _Stretch()
        task = sum(value for name, value in means.items() if name.startswith("loss/"))
        self.run.log({"kind": "epoch", "epoch": epoch, "loss": task, **means})
        settings = self.config.training
        values = {"train/loss": task, **{f"train/{name}": value for name, value in means.items()}}
        validated = epoch % settings.validate_every == 0 or epoch == settings.epochs
        self.tracking.log(values | {"seconds/epoch": seconds}, epoch, whole=not validated)

    # -- validation and choice ---------------------------------------------------------------

    def _validate(self, epoch: int) -> None:
        """Rank the validation facts (under ``published``, the test facts too) and keep the best."""
        self._check_weights(epoch)
        started = time.perf_counter()
        chosen = self._rank("valid", epoch)
        if self.config.evaluation.protocol == "published":
            chosen = self._rank("test", epoch)
        seconds = round(time.perf_counter() - started, 3)
        self.run.log({"kind": "validation", "epoch": epoch, "seconds": seconds}, _TIMING)
        self.tracking.log({"seconds/validation": seconds}, epoch, whole=True)
        choice, patience = self.choice, self.config.training.patience
        mrr = chosen.overall[ANSWER].mrr
        assert mrr is not None, "splits are not empty"
        if mrr > choice.best:
            choice.best, choice.best_epoch, choice.waited = mrr, epoch, 0
            tensors, description = model_tensors(self.model)
            description |= {"selected": {"epoch": epoch, "mrr": mrr, "split": chosen.split}}
            description |= {"run": self.run.identity}
            path = self.run.best_checkpoint
            write_ranks_checkpoint(path, tensors, description, self.shard)
        else:
            choice.waited += 1
            choice.stopped = 0 < patience <= choice.waited
        self.reporter.validated(
            epoch, chosen.split, mrr, best=choice.best, best_epoch=choice.best_epoch
        )

    def _rank(self, split: Any, epoch: int) -> Evaluation:
        evaluation = evaluate(
            self.model,
            self.graph,
            split,
            protocol=self.config.evaluation.protocol,
            memory_budget=self.config.evaluation.memory_mb << 20,
            progress=self.reporter.progress,
            shard=self.shard,
        )
        metrics = {head: m.to_json() for head, m in evaluation.overall.items()}
        self.run.log({"kind": split, "epoch": epoch, "metrics": metrics})
        self.tracking.log(flatten_metrics(split, evaluation.overall), epoch, whole=False)
        return evaluation

    # -- saving and going on -------------------------------------------------------------------

    def _check_weights(self, epoch: int) -> None:
        """A finite loss says nothing of the weights after its step: look before they are kept.

        Raises:
            TrainingError: one is not finite.
        """
        tensors = dict(self.model.state_dict())
        for part in self.parts:
            if part.learner.disentanglement is not None:
                tensors |= part.learner.disentanglement.clubs.state_dict(prefix="clubs.")
        bad = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
        if self.shard.any(bool(bad)):
            raise self._not_finite(f"epoch {epoch}: {bad[0] if bad else 'a table of another rank'}")

    def _not_finite(self, what: str) -> TrainingError:
        kept = "no checkpoint had been saved yet"
        if self.run.last_checkpoint.is_file():
            kept = "the last good checkpoint is kept"
        return TrainingError(
            f"{what} is not finite; {kept}. Lower training.learning_rate, set "
            "runtime.precision=float32, or look for extreme values in the features"
        )

    def _save_interrupted(self) -> None:
        self._check_weights(self.epoch)
        self._save()
        self.run.set_state("interrupted")
        raise KeyboardInterrupt

    def _save(self) -> None:
        self.choice.log_size = self.run.settle_log()
        tensors, description = model_tensors(self.model)
        description |= {"training": asdict(self.choice), "run": self.run.identity, "parts": {}}
        for part in self.parts:
            state = part.learner.state_tensors()
            tensors |= {f"{_PARTS}{name}": tensor for name, tensor in state.items()}
            description["parts"][part.learner.name] = asdict(part.learner.position)
        write_ranks_checkpoint(self.run.last_checkpoint, tensors, description, self.shard)

    def restore(self) -> None:
        """Take up the last checkpoint of the run; the model has been built from it already.

        Raises:
            CheckpointError: it cannot be read or does not fit, or the best one is gone.
            RunError: the log ends before the checkpoint does.
        """
        path = self.run.last_checkpoint
        tensors, description = read_checkpoint(path, _PARTS, shard=self.shard)
        try:
            self.choice = Choice(**description["training"])
            for part in self.parts:
                part.learner.restore(tensors, description["parts"][part.learner.name])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: no state of training on {self.model.device.type} is in it "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); a run goes on from the "
                "last.safetensors that it wrote, with the momok and on the kind of device that it "
                "began with"
            ) from error
        best = self.choice.best_epoch
        if best and not self.run.best_checkpoint.is_file():
            raise CheckpointError(
                f"{self.run.best_checkpoint}: missing, though epoch {best} was the best so far; "
                "restore it from a copy or train again"
            )
        self.run.rewind_log(self.choice.log_size)
