"""The epochs of one part of a model: order, batches, steps and losses."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from momok.errors import ConfigError, TrainingError
from momok.model import DECODERS, MoMoK
from momok.runtime import Runtime
from momok.settings import TrainingSettings
from momok.training.candidates import choose_block
from momok.training.kernels import PlainKernels
from momok.training.losses import REGULARISERS, Regulariser, choose_loss
from momok.training.metric_log import PendingLosses
from momok.training.queries import TrainingQueries
from momok.training.step import training_step
from momok.training.training_state import Learner

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


class PartTrainer:
    """Trains one part of a model, from where its learner stands.

    Args:
        learner: what is trained, and where it stands.
        queries: of the train facts.
        settings: of training.
        runtime: on what it computes.
    """

    def __init__(
        self,
        learner: Learner,
        queries: TrainingQueries,
        settings: TrainingSettings,
        runtime: Runtime,
    ) -> None:
        self.learner, self.queries = learner, queries
        self.settings, self.runtime = settings, runtime
        self.block = settings.candidate_block or choose_block(
            learner.model,
            min(settings.batch_size, len(queries)),
            settings.memory_mb << 20,
            runtime.precision.itemsize,
        )
        self.loss = choose_loss(settings.loss, sampled=settings.candidates == "sampled")
        self.regulariser = _choose_regulariser(learner.model, settings)
        self.kernels = PlainKernels(learner.model, self.loss)
        self.losses = PendingLosses(read_every=1 if runtime.device.type == "cpu" else _READ_EVERY)

    @property
    def last_loss(self) -> float:
        """The task loss of the last step that was read; NaN before."""
        return self.losses.last_task_loss

    def train_epoch(self, each_step: Callable[[int], bool]) -> None:
        """Go on with the epoch under way, to its end or until told to stop.

        Args:
            each_step: is told the number of queries of every step, and says whether to go on.

        Raises:
            TrainingError: a loss is no longer finite.
        """
        learner, settings = self.learner, self.settings
        position = learner.position
        if position.batch == 0:
            learner.epoch_start = learner.generator.get_state()
        self._set_learning_rate()
        order = self._draw_order()
        for batch in self.queries.batches(order, settings.batch_size, start=position.batch):
            with self.runtime.autocast():
                losses = training_step(
                    learner.model,
                    batch,
                    learner.optimizer,
                    learner.disentanglement,
                    generator=learner.generator,
                    smoothing=settings.label_smoothing,
                    loss=self.loss,
                    regulariser=self.regulariser,
                    block=self.block,
                    negatives=settings.negatives if settings.candidates == "sampled" else None,
                    kernels=self.kernels,
                )
            position.batch += 1
            self.losses.add(losses)
            if self.losses.full:
                self._account()
            if not each_step(len(batch)):
                self._account()
                return
        self._account()
        means = {name: total / position.batch for name, total in position.sums.items()}
        position.means.append(means)
        position.epoch, position.batch, position.sums = position.epoch + 1, 0, {}

    def _set_learning_rate(self) -> None:
        factor = self.settings.learning_rate_decay ** (self.learner.position.epoch - 1)
        self.learner.optimizer.scale_rates(factor)
        if self.learner.disentanglement is not None:
            self.learner.disentanglement.optimizer.scale_rates(factor)

    def _draw_order(self) -> Tensor:
        """The order of this epoch's queries, drawn from the state at its start.

        The generator ends where it would be after the batches that are done.
        """
        generator = self.learner.generator
        now = generator.get_state()
        generator.set_state(self.learner.epoch_start)
        order = self.queries.permutation(generator)
        if self.learner.position.batch:
            generator.set_state(now)
        return order

    def _account(self) -> None:
        """Add the losses of the steps since the last time to the epoch's sums.

        Raises:
            TrainingError: one is not finite.
        """
        steps, position = self.losses.read(), self.learner.position
        for batch, values in enumerate(steps, start=position.batch - len(steps) + 1):
            for name, value in values.items():
                position.sums[name] = position.sums.get(name, 0.0) + value
            bad = [name for name, x in values.items() if not math.isfinite(x)]
            if bad:
                raise TrainingError(f"epoch {position.epoch}, batch {batch}: {', '.join(bad)}")
