"""Where training stands, saved and taken up again.

What a checkpoint must hold for the resumed run to equal the uninterrupted one bit for bit: the
weights, and of every part that is trained apart the optimisers' moments, the generator's state now
and at the start of the epoch (which gives the epoch's order again), how many of its batches are
done and their losses so far; and the memory of early stopping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from momok.model import ClubNetworks, MoMoK
from momok.runtime import build_generator
from momok.settings import RunConfig
from momok.training.optimizers import Optimizers, build_optimizer
from momok.training.step import Disentanglement


@dataclass(kw_only=True)
class Choice:
    """The memory of early stopping; plain JSON."""

    best: float = -1.0  # the best MRR so far
    best_epoch: int = 0
    waited: int = 0  # validations since
    stopped: bool = False
    log_size: int = 0


@dataclass(kw_only=True)
class Position:
    """Where a learner stands; plain JSON."""

    epoch: int = 1  # the one under way, from 1
    batch: int = 0  # batches of it that are done
    sums: dict[str, float] = field(default_factory=dict)  # of their losses
    means: list[dict[str, float]] = field(default_factory=list)  # of epochs not yet in the log


@dataclass(kw_only=True)
class Learner:
    """Everything that training changes of a model, or of a part that is trained apart.

    Args:
        name: of the part; empty for the whole model.
        generator: of the host: order, samples, and on a CPU the noise.
        noise_generator: where the model is; the same one on a CPU.
        position: where training stands.
        epoch_start: the generator's state at the start of the epoch.
    """

    name: str
    model: MoMoK
    optimizer: Optimizers
    disentanglement: Disentanglement | None
    generator: torch.Generator
    noise_generator: torch.Generator
    position: Position
    epoch_start: Tensor

    @property
    def prefix(self) -> str:
        """Of the names of its tensors in a checkpoint."""
        return f"{self.name}/" if self.name else ""

    def state_tensors(self) -> dict[str, Tensor]:
        """What going on needs beside the weights and ``position``."""
        tensors = self.optimizer.state_tensors(self.model, "optimizer/")
        if self.disentanglement is not None:
            clubs = self.disentanglement.clubs
            tensors |= {f"clubs/{name}": tensor for name, tensor in clubs.state_dict().items()}
            tensors |= self.disentanglement.optimizer.state_tensors(clubs, "clubs-optimizer/")
        tensors["generator/now"] = self.generator.get_state()
        tensors["generator/epoch_start"] = self.epoch_start
        if self.noise_generator is not self.generator:
            tensors["generator/noise"] = self.noise_generator.get_state()
        return {self.prefix + name: tensor for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor], position: Mapping[str, Any]) -> None:
        """Take up what ``state_tensors`` gave and a position; the weights are there already.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it does not fit.
        """
        own = {
            name.removeprefix(self.prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(self.prefix)
        }
        self.optimizer.load_state_tensors(self.model, _cut(own, "optimizer/"))
        if self.disentanglement is not None:
            clubs = self.disentanglement.clubs
            clubs.load_state_dict(_cut(own, "clubs/"))
            moments = _cut(own, "clubs-optimizer/")
            self.disentanglement.optimizer.load_state_tensors(clubs, moments)
        self.epoch_start = own["generator/epoch_start"]
        self.generator.set_state(self.epoch_start)  # tried now, needed later
        self.generator.set_state(own["generator/now"])
        noise = own.get("generator/noise")
        if (noise is None) != (self.noise_generator is self.generator):
            raise RuntimeError("it began on another kind of device")
        if noise is not None:
            self.noise_generator.set_state(noise)
        self.position = Position(**position)


def _cut(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}


def build_learners(model: MoMoK, config: RunConfig) -> list[Learner]:
    """What training begins with, a learner for every part; the model is where it is trained."""
    return [_build_learner(name, part, config) for name, part in model.take_parts().items()]


def _build_learner(name: str, model: MoMoK, config: RunConfig) -> Learner:
    generator = build_generator(config.seed, f"training {name}" if name else "training")
    noise = generator
    if model.device.type != "cpu":  # noise is drawn where the model is
        noise = build_generator(config.seed, f"noise {name}" if name else "noise", model.device)
    model.noise_generator = noise
    if not model.shard.whole:  # seeded anew by every step
        model.candidate_generator = torch.Generator(model.device)
    return Learner(
        name=name,
        model=model,
        optimizer=build_optimizer(model, config.training),
        disentanglement=_build_disentanglement(model, config),
        generator=generator,
        noise_generator=noise,
        position=Position(),
        epoch_start=generator.get_state(),
    )


def _build_disentanglement(model: MoMoK, config: RunConfig) -> Disentanglement | None:
    settings = config.training
    if settings.disentanglement == 0.0 or model.spec.experts < 2:
        return None
    seed = int(build_generator(config.seed, "clubs").initial_seed())
    clubs = ClubNetworks([m.width for m in model.spec.modalities], seed=seed)
    clubs.to(model.device)
    return Disentanglement(
        clubs=clubs,
        optimizer=build_optimizer(clubs, settings),
        weight=settings.disentanglement,
    )
