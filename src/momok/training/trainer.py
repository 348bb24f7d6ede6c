"""The training loop: epochs, validation, early stopping, checkpoints, exact resume.

On a GPU the host waits for validations and for a look at the losses every few steps: order and
batches come from the host, with a generator of its own (see ``training_step`` for exceptions).
"""

from __future__ import annotations

import math
import time
from typing import Any

from torch import Tensor

from momok.errors import CheckpointError, ConfigError, TrainingError
from momok.evaluation import ANSWER, Evaluation, evaluate
from momok.graph import MultimodalGraph
from momok.model import DECODERS, MoMoK
from momok.progress import Reporter
from momok.runtime import Runtime, give_memory_back
from momok.settings import RunConfig, TrainingSettings
from momok.training.candidates import choose_block
from momok.training.checkpoint import model_tensors, write_checkpoint
from momok.training.interruption import Interruption, catch_interruption
from momok.training.kernels import PlainKernels, choose_kernels, score_flops
from momok.training.losses import REGULARISERS, Regulariser, choose_loss
from momok.training.metric_log import EventFiles, PendingLosses
from momok.training.queries import TrainingQueries
from momok.training.run_folder import RunFolder
from momok.training.step import training_step
from momok.training.training_state import build_learner

_TIMING = "timing.jsonl"
_READ_EVERY = 16  # steps on a GPU between looks at their losses; each waits for the device


def _choose_regulariser(
    model: MoMoK, settings: TrainingSettings
) -> tuple[Regulariser, float] | None:
    if settings.regulariser == "none" or settings.regularisation == 0.0:
        return None
    if settings.regulariser in ("dura", "n3") and not DECODERS[model.spec.decoder].multiplies:
        raise ConfigError(
            f"training.regulariser = {settings.regulariser}: the decoder {model.spec.decoder} does "
            "not multiply entity and relation number by number; choose l2, or another model.decoder"
        )
    return REGULARISERS[settings.regulariser], settings.regularisation


class Trainer:
    """Trains a model in a run folder, from the start or from its last checkpoint."""

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
        device = runtime.device
        self.learner = build_learner(model.to(device).train(), self.config)
        self.queries = TrainingQueries(graph.train, graph.num_relations)
        self.batches_per_epoch = self.queries.num_batches(settings.batch_size)
        self.block = settings.candidate_block or choose_block(
            self.learner.model,
            min(settings.batch_size, len(self.queries)),
            settings.memory_mb << 20,
            runtime.precision.itemsize,
        )
        self.losses = PendingLosses(read_every=1 if device.type == "cpu" else _READ_EVERY)
        self.loss = choose_loss(settings.loss, sampled=settings.candidates == "sampled")
        self.regulariser = _choose_regulariser(model, settings)
        self.kernels: PlainKernels = PlainKernels(model, self.loss)
        self.event_files = EventFiles(run.path / "tensorboard", wanted=settings.tensorboard)

    # -- the loop --------------------------------------------------------------------------

    def fit(self) -> None:
        """Train until done, stopped early, or interrupted (then: saved, and an exception).

        Raises:
            TrainingError: the loss is no longer finite; the last good checkpoint is kept.
            KeyboardInterrupt: the user asked to stop; everything is saved.
        """
        self.run.set_state("training")
        self._choose_kernels()
        epochs = self.config.training.epochs
        position = self.learner.position
        try:
            with catch_interruption() as interruption:
                while not position.stopped and position.epoch <= epochs:
                    self._epoch(interruption)
                    if interruption.requested:  # during the validation
                        self._save_interrupted()
        finally:
            self.event_files.close()
        self.run.set_state("trained")

    def release(self) -> None:
        """Give back the memory of training; there is nothing more to be done with the trainer.

        The chosen model is tested next, and need not fit beside the trained one and its moments.
        """
        del self.learner, self.kernels, self.queries
        give_memory_back()

    def _choose_kernels(self) -> None:
        settings = self.config.training
        with self.runtime.autocast():
            self.kernels, remark = choose_kernels(
                self.config.runtime.compile,
                self.learner.model,
                self.loss,
                self.runtime.device,
                penalised=self.regulariser is not None,
                flops=score_flops(self.learner.model, len(self.queries), settings.epochs),
                queries=min(settings.batch_size, len(self.queries)),
                block=self.block,
            )
        self.run.log({"kind": "kernels", "compiled": self.kernels.compiled}, _TIMING)
        if remark is not None:
            self.reporter.say(remark)

    def _epoch(self, interruption: Interruption) -> None:
        state, settings = self.learner.position, self.config.training
        if state.batch == 0:
            self.learner.epoch_start = self.learner.generator.get_state()
        self._set_learning_rate()
        order = self._epoch_order()
        started, first = time.perf_counter(), state.batch
        since, queries, speed = started, 0, 0.0
        for batch in self.queries.batches(order, settings.batch_size, start=state.batch):
            with self.runtime.autocast():
                losses = training_step(
                    self.learner.model,
                    batch,
                    self.learner.optimizer,
                    self.learner.disentanglement,
                    generator=self.learner.generator,
                    smoothing=settings.label_smoothing,
                    loss=self.loss,
                    regulariser=self.regulariser,
                    block=self.block,
                    negatives=settings.negatives if settings.candidates == "sampled" else None,
                    kernels=self.kernels,
                )
            state.batch += 1
            self.losses.add(losses)
            queries += len(batch)
            if self.losses.full:  # then all steps so far are done, on a GPU too
                self._account()
                now = time.perf_counter()
                since, queries, speed = now, 0, queries / (now - since)
            self._report_step(speed)
            if interruption.requested:
                self._account()
                self._save_interrupted()
        self._account()
        seconds = round(time.perf_counter() - started, 3)
        record = {"kind": "epoch", "epoch": state.epoch, "batches": state.batch - first}
        self.run.log(record | {"seconds": seconds}, _TIMING)
        self._finish_epoch()

    def _set_learning_rate(self) -> None:
        settings = self.config.training
        factor = settings.learning_rate_decay ** (self.learner.position.epoch - 1)
        self.learner.optimizer.scale_rates(factor)
        if self.learner.disentanglement is not None:
            self.learner.disentanglement.optimizer.scale_rates(factor)

    def _epoch_order(self) -> Tensor:
        """The order of this epoch's queries, drawn from the state at its start.

        The generator ends where it would be after the batches that are done.
        """
        now = self.learner.generator.get_state()
        self.learner.generator.set_state(self.learner.epoch_start)
        order = self.queries.permutation(self.learner.generator)
        if self.learner.position.batch:
            self.learner.generator.set_state(now)
        return order

    def _account(self) -> None:
        """Add the losses of the steps since the last time to the epoch's sums.

        Raises:
            TrainingError: one is not finite.
        """
        steps = self.losses.read()
        for batch, values in enumerate(steps, start=self.learner.position.batch - len(steps) + 1):
            for name, value in values.items():
                self.learner.position.sums[name] = self.learner.position.sums.get(name, 0.0) + value
            bad = [name for name, value in values.items() if not math.isfinite(value)]
            if bad:
                place = f"epoch {self.learner.position.epoch}, batch {batch}"
                raise self._not_finite(f"{place}: {', '.join(bad)}")

    def _finish_epoch(self) -> None:
        state, settings = self.learner.position, self.config.training
        means = {name: total / state.batch for name, total in state.sums.items()}
        task = sum(value for name, value in means.items() if name.startswith("loss/"))
        self.run.log({"kind": "epoch", "epoch": state.epoch, "loss": task, **means})
        self.event_files.add(
            {"train/loss": task, **{f"train/{k}": v for k, v in means.items()}}, state.epoch
        )
        finished = state.epoch
        state.epoch, state.batch, state.sums = finished + 1, 0, {}
        if finished % settings.validate_every == 0 or finished == settings.epochs:
            self._validate(finished)
            self.learner.epoch_start = self.learner.generator.get_state()
            self._save()

    def _report_step(self, speed: float) -> None:
        state, epochs = self.learner.position, self.config.training.epochs
        self.reporter.progress(
            f"training: epoch {state.epoch}/{epochs}, loss {self.losses.last_task_loss:.4f}, "
            f"{speed:,.0f} queries/s",
            (state.epoch - 1) * self.batches_per_epoch + state.batch,
            epochs * self.batches_per_epoch,
        )

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
        state, patience = self.learner.position, self.config.training.patience
        mrr = chosen.overall[ANSWER].mrr
        assert mrr is not None, "splits are not empty"
        if mrr > state.best:
            state.best, state.best_epoch, state.waited = mrr, epoch, 0
            tensors, description = model_tensors(self.learner.model)
            description |= {"selected": {"epoch": epoch, "mrr": mrr, "split": chosen.split}}
            description |= {"run": self.run.identity}
            write_checkpoint(self.run.best_checkpoint, tensors, description)
        else:
            state.waited += 1
            state.stopped = 0 < patience <= state.waited
        self.reporter.validated(
            epoch, chosen.split, mrr, best=state.best, best_epoch=state.best_epoch
        )

    def _rank(self, split: Any, epoch: int) -> Evaluation:
        evaluation = evaluate(
            self.learner.model,
            self.graph,
            split,
            protocol=self.config.evaluation.protocol,
            memory_budget=self.config.evaluation.memory_mb << 20,
            progress=self.reporter.progress,
        )
        metrics = {head: m.to_json() for head, m in evaluation.overall.items()}
        self.run.log({"kind": split, "epoch": epoch, "metrics": metrics})
        self.event_files.add(
            {f"{split}/mrr/{h}": m.mrr for h, m in evaluation.overall.items()}, epoch
        )
        return evaluation

    # -- saving and going on -------------------------------------------------------------------

    def _check_weights(self, epoch: int) -> None:
        """A finite loss says nothing of the weights after its step: look before they are kept.

        Raises:
            TrainingError: one is not finite.
        """
        tensors = dict(self.learner.model.state_dict())
        if self.learner.disentanglement is not None:
            tensors |= self.learner.disentanglement.clubs.state_dict(prefix="clubs.")
        for name, tensor in tensors.items():
            if not bool(tensor.isfinite().all()):
                raise self._not_finite(f"epoch {epoch}: {name}")

    def _not_finite(self, what: str) -> TrainingError:
        kept = "no checkpoint had been saved yet"
        if self.run.last_checkpoint.is_file():
            kept = "the last good checkpoint is kept"
        return TrainingError(
            f"{what} is not finite; {kept}. Lower training.learning_rate, set "
            "runtime.precision=float32, or look for extreme values in the features"
        )

    def _save_interrupted(self) -> None:
        self._check_weights(self.learner.position.epoch)
        self._save()
        self.run.set_state("interrupted")
        raise KeyboardInterrupt

    def _save(self) -> None:
        self.learner.position.log_size = self.run.settle_log()
        self.learner.save(self.run.last_checkpoint, self.run.identity)

    def restore(self) -> None:
        """Take up the last checkpoint of the run; the model has been built from it already.

        Raises:
            CheckpointError: it cannot be read or does not fit, or the best one is gone.
            RunError: the log ends before the checkpoint does.
        """
        self.learner.restore(self.run.last_checkpoint)
        position = self.learner.position
        if position.best_epoch and not self.run.best_checkpoint.is_file():
            raise CheckpointError(
                f"{self.run.best_checkpoint}: missing, though epoch {position.best_epoch} was "
                "the best so far; restore it from a copy or train again"
            )
        self.run.rewind_log(position.log_size)
