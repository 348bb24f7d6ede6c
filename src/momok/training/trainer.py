"""The training loop: epochs, validation, early stopping, checkpoints, exact resume.

What a checkpoint must hold for the resumed run to equal the uninterrupted one bit for bit: the
weights, both optimisers' moments, the generator's state now and at the start of the epoch (which
gives the epoch's order again), how many of its batches are done and their losses so far, and the
stopper's memory.

On a GPU the host waits for validations and for a look at the losses every few steps: order and
batches come from the host, with a generator of its own (see ``training_step`` for exceptions).
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from momok.config import RunConfig
from momok.errors import CheckpointError, TrainingError
from momok.evaluation import ANSWER, Evaluation, evaluate
from momok.graph import MultimodalGraph
from momok.model import ClubNetworks, MoMoK
from momok.progress import Reporter
from momok.runtime import Runtime, build_generator, give_memory_back
from momok.training.board import Board
from momok.training.candidates import choose_block
from momok.training.checkpoint import (
    load_optimizer,
    load_prefixed,
    model_tensors,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from momok.training.interruption import Interruption
from momok.training.kernels import Kernels, PlainKernels, choose_kernels, score_flops
from momok.training.metric_log import LossLedger
from momok.training.optimizers import build_optimizer
from momok.training.queries import TrainingQueries
from momok.training.run_folder import RunFolder
from momok.training.step import Disentanglement, training_step

__all__ = ["Trainer"]

_LOOK_EVERY = 16  # steps on a GPU between looks at their losses; each waits for the device

_CURE = (
    "Lower training.learning_rate, set runtime.precision=float32, or look for extreme values in "
    "the features"
)


@dataclass(kw_only=True)
class _State:
    """Where training stands; plain JSON."""

    epoch: int = 1  # the one under way, from 1
    batch: int = 0  # batches of it that are done
    sums: dict[str, float] = field(default_factory=dict)  # of their losses
    best: float = -1.0  # the best MRR so far
    best_epoch: int = 0
    waited: int = 0  # validations since
    stopped: bool = False
    log_size: int = 0


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
        self.model = model.to(device).train()
        self.generator = build_generator(self.config.seed, "training")
        self.noise_generator = self.generator
        if device.type != "cpu":  # noise is drawn where the model is
            self.noise_generator = build_generator(self.config.seed, "noise", device)
        self.model.noise_generator = self.noise_generator
        self.queries = TrainingQueries(graph.train, graph.num_relations)
        self.batches_per_epoch = self.queries.num_batches(settings.batch_size)
        self.block = settings.candidate_block or choose_block(
            self.model,
            min(settings.batch_size, len(self.queries)),
            settings.memory_mb << 20,
            runtime.precision.itemsize,
        )
        self.optimizer = build_optimizer(
            self.model,
            learning_rate=settings.learning_rate,
            beta2=settings.beta2,
            lazy=settings.candidates == "sampled",
        )
        self.disentanglement = self._build_disentanglement()
        self.epoch_start = self.generator.get_state()
        self.state = _State()
        self.ledger = LossLedger(look_every=1 if device.type == "cpu" else _LOOK_EVERY)
        self.kernels: Kernels = PlainKernels(self.model)
        self.board = Board(run.path / "tensorboard", wanted=settings.tensorboard)

    def _build_disentanglement(self) -> Disentanglement | None:
        settings = self.config.training
        if settings.disentanglement == 0.0 or self.model.spec.experts < 2:
            return None
        seed = int(build_generator(self.config.seed, "clubs").initial_seed())
        clubs = ClubNetworks([m.width for m in self.model.spec.modalities], seed=seed)
        clubs.to(self.runtime.device)
        optimizer = torch.optim.Adam(
            clubs.parameters(),
            lr=settings.learning_rate,
            betas=(0.9, settings.beta2),
            fused=True,
        )
        return Disentanglement(clubs=clubs, optimizer=optimizer, weight=settings.disentanglement)

    # -- the loop --------------------------------------------------------------------------

    def fit(self) -> None:
        """Train until done, stopped early, or interrupted (then: saved, and an exception).

        Raises:
            TrainingError: the loss is no longer finite; the last good checkpoint is kept.
            KeyboardInterrupt: the user asked to stop; everything is saved.
        """
        self.run.set_state("training")
        self._choose_kernels()
        try:
            with Interruption() as interruption:
                while not self.state.stopped and self.state.epoch <= self.config.training.epochs:
                    self._epoch(interruption)
                    if interruption.requested:  # during the validation
                        self._save_interrupted()
        finally:
            self.board.close()
        self.run.set_state("trained")

    def release(self) -> None:
        """Give back the memory of training; there is nothing more to be done with the trainer.

        The chosen model is tested next, and need not fit beside the trained one and its moments.
        """
        del self.model, self.optimizer, self.disentanglement, self.kernels, self.queries
        give_memory_back()

    def _choose_kernels(self) -> None:
        settings = self.config.training
        with self.runtime.autocast():
            self.kernels, remark = choose_kernels(
                self.config.runtime.compile,
                self.model,
                self.runtime.device,
                flops=score_flops(self.model, len(self.queries), settings.epochs),
                queries=min(settings.batch_size, len(self.queries)),
                block=self.block,
            )
        self.run.log_timing({"kind": "kernels", "compiled": self.kernels.compiled})
        if remark is not None:
            self.reporter.say(remark)

    def _epoch(self, interruption: Interruption) -> None:
        state, settings = self.state, self.config.training
        if state.batch == 0:
            self.epoch_start = self.generator.get_state()
        self._set_learning_rate()
        order = self._epoch_order()
        started, first = time.perf_counter(), state.batch
        looked, queries, speed = started, 0, 0.0
        for batch in self.queries.batches(order, settings.batch_size, start=state.batch):
            with self.runtime.autocast():
                losses = training_step(
                    self.model,
                    batch,
                    self.optimizer,
                    self.disentanglement,
                    generator=self.generator,
                    smoothing=settings.label_smoothing,
                    form=settings.loss,
                    block=self.block,
                    negatives=settings.negatives if settings.candidates == "sampled" else None,
                    kernels=self.kernels,
                )
            state.batch += 1
            self.ledger.add(losses)
            queries += len(batch)
            if self.ledger.full:  # then all steps so far are done, on a GPU too
                self._account()
                now = time.perf_counter()
                looked, queries, speed = now, 0, queries / (now - looked)
            self._report_step(speed)
            if interruption.requested:
                self._account()
                self._save_interrupted()
        self._account()
        self.run.log_timing(
            {
                "kind": "epoch",
                "epoch": state.epoch,
                "batches": state.batch - first,
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
        self._finish_epoch()

    def _set_learning_rate(self) -> None:
        settings = self.config.training
        rate = settings.learning_rate * settings.learning_rate_decay ** (self.state.epoch - 1)
        groups = [*self.optimizer.param_groups]
        if self.disentanglement is not None:
            groups += self.disentanglement.optimizer.param_groups
        for group in groups:
            group["lr"] = rate

    def _epoch_order(self) -> Tensor:
        """The order of this epoch's queries, drawn from the state at its start.

        The generator ends where it would be after the batches that are done.
        """
        now = self.generator.get_state()
        self.generator.set_state(self.epoch_start)
        order = self.queries.permutation(self.generator)
        if self.state.batch:
            self.generator.set_state(now)
        return order

    def _account(self) -> None:
        """Add the losses of the steps since the last look to the epoch's sums.

        Raises:
            TrainingError: one is not finite.
        """
        steps = self.ledger.read()
        for batch, values in enumerate(steps, start=self.state.batch - len(steps) + 1):
            for name, value in values.items():
                self.state.sums[name] = self.state.sums.get(name, 0.0) + value
            bad = [name for name, value in values.items() if not math.isfinite(value)]
            if bad:
                raise TrainingError(
                    f"epoch {self.state.epoch}, batch {batch}: {', '.join(bad)} is not finite; "
                    f"{self._what_is_kept()}. {_CURE}"
                )

    def _finish_epoch(self) -> None:
        state, settings = self.state, self.config.training
        means = {name: total / state.batch for name, total in state.sums.items()}
        task = sum(value for name, value in means.items() if name.startswith("loss/"))
        self.run.log({"kind": "epoch", "epoch": state.epoch, "loss": task, **means})
        self.board.add(
            {"train/loss": task, **{f"train/{k}": v for k, v in means.items()}}, state.epoch
        )
        finished = state.epoch
        state.epoch, state.batch, state.sums = finished + 1, 0, {}
        if finished % settings.validate_every == 0 or finished == settings.epochs:
            self._validate(finished)
            self.epoch_start = self.generator.get_state()
            self._save_last()

    def _report_step(self, speed: float) -> None:
        state, epochs = self.state, self.config.training.epochs
        self.reporter.progress(
            f"training: epoch {state.epoch}/{epochs}, loss {self.ledger.last_task_loss:.4f}, "
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
        self.run.log_timing({"kind": "validation", "epoch": epoch, "seconds": seconds})
        state, patience = self.state, self.config.training.patience
        mrr = chosen.overall[ANSWER].mrr
        assert mrr is not None, "splits are not empty"
        if mrr > state.best:
            state.best, state.best_epoch, state.waited = mrr, epoch, 0
            tensors, description = model_tensors(self.model)
            description |= {"selected": {"epoch": epoch, "mrr": mrr, "split": chosen.split}}
            write_checkpoint(self.run.best_checkpoint, tensors, description)
        else:
            state.waited += 1
            state.stopped = 0 < patience <= state.waited
        self.reporter.validated(
            epoch, chosen.split, mrr, best=state.best, best_epoch=state.best_epoch
        )

    def _rank(self, split: Any, epoch: int) -> Evaluation:
        evaluation = evaluate(
            self.model,
            self.graph,
            split,
            protocol=self.config.evaluation.protocol,
            memory_budget=self.config.evaluation.memory_mb << 20,
            progress=self.reporter.progress,
        )
        metrics = {head: m.to_json() for head, m in evaluation.overall.items()}
        record = {"kind": split, "epoch": epoch, "metrics": metrics}
        self.run.log(record)
        self.board.add({f"{split}/mrr/{h}": m.mrr for h, m in evaluation.overall.items()}, epoch)
        return evaluation

    # -- saving and going on -------------------------------------------------------------------

    def _check_weights(self, epoch: int) -> None:
        """A finite loss says nothing of the weights after its step: look before they are kept.

        Raises:
            TrainingError: one is not finite.
        """
        tensors = dict(self.model.state_dict())
        if self.disentanglement is not None:
            tensors |= self.disentanglement.clubs.state_dict(prefix="clubs.")
        for name, tensor in tensors.items():
            if not bool(tensor.isfinite().all()):
                raise TrainingError(
                    f"epoch {epoch}: {name} is not finite; {self._what_is_kept()}. {_CURE}"
                )

    def _what_is_kept(self) -> str:
        if self.run.last_checkpoint.is_file():
            return "the last good checkpoint is kept"
        return "no checkpoint had been saved yet"

    def _save_interrupted(self) -> None:
        self._check_weights(self.state.epoch)
        self._save_last()
        self.run.set_state("interrupted")
        raise KeyboardInterrupt

    def _save_last(self) -> None:
        """Write everything that going on needs."""
        self.state.log_size = self.run.settle_log()
        tensors, description = model_tensors(self.model)
        tensors |= optimizer_tensors(self.optimizer, self.model, "optimizer/")
        if self.disentanglement is not None:
            clubs = self.disentanglement.clubs
            tensors |= {f"clubs/{name}": tensor for name, tensor in clubs.state_dict().items()}
            tensors |= optimizer_tensors(self.disentanglement.optimizer, clubs, "clubs-optimizer/")
        tensors["generator/now"] = self.generator.get_state()
        tensors["generator/epoch_start"] = self.epoch_start
        if self.noise_generator is not self.generator:
            tensors["generator/noise"] = self.noise_generator.get_state()
        description |= {"training": asdict(self.state)}
        write_checkpoint(self.run.last_checkpoint, tensors, description)

    def restore(self) -> None:
        """Take up the last checkpoint of the run; the model has been built from it already.

        Raises:
            CheckpointError: it cannot be read or does not fit.
            RunError: the log ends before the checkpoint does.
        """
        path = self.run.last_checkpoint
        load_optimizer(self.optimizer, self.model, path, "optimizer/")
        if self.disentanglement is not None:
            load_prefixed(self.disentanglement.clubs, path, "clubs/")
            load_optimizer(
                self.disentanglement.optimizer,
                self.disentanglement.clubs,
                path,
                "clubs-optimizer/",
            )
        generators, description = read_checkpoint(path, "generator/")
        try:
            self.generator.set_state(generators["epoch_start"])  # tried now, needed later
            self.generator.set_state(generators["now"])
            noise = generators.get("noise")
            if (noise is None) != (self.noise_generator is self.generator):
                raise RuntimeError("it began on another kind of device")
            if noise is not None:
                self.noise_generator.set_state(noise)
            self.state = _State(**description["training"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: no state of training on {self.runtime.device.type} is in it "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); a run goes on from the "
                "last.safetensors that it wrote, on the kind of device that it began on"
            ) from error
        self.epoch_start = generators["epoch_start"]
        if self.state.best_epoch and not self.run.best_checkpoint.is_file():
            raise CheckpointError(
                f"{self.run.best_checkpoint}: missing, though epoch {self.state.best_epoch} was "
                "the best so far; restore it from a copy or train again"
            )
        self.run.rewind_log(self.state.log_size)
