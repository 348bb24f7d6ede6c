"""Where training stands, saved and taken up again.

What a checkpoint must hold for the resumed run to equal the uninterrupted one bit for bit: the
weights, both optimisers' moments, the generator's state now and at the start of the epoch (which
gives the epoch's order again), how many of its batches are done and their losses so far, and the
memory of early stopping.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from momok.errors import CheckpointError
from momok.model import ClubNetworks, MoMoK
from momok.runtime import build_generator
from momok.settings import RunConfig
from momok.training.checkpoint import model_tensors, read_checkpoint, write_checkpoint
from momok.training.optimizers import Optimizers, build_optimizer
from momok.training.step import Disentanglement


@dataclass(kw_only=True)
class Position:
    """Where training stands; plain JSON."""

    epoch: int = 1  # the one under way, from 1
    batch: int = 0  # batches of it that are done
    sums: dict[str, float] = field(default_factory=dict)  # of their losses
    best: float = -1.0  # the best MRR so far
    best_epoch: int = 0
    waited: int = 0  # validations since
    stopped: bool = False
    log_size: int = 0


@dataclass(kw_only=True)
class Learner:
    """Everything that training changes.

    Args:
        generator: of the host: order, samples, and on a CPU the noise.
        noise_generator: where the model is; the same one on a CPU.
        position: where training stands.
        epoch_start: the generator's state at the start of the epoch.
    """

    model: MoMoK
    optimizer: Optimizers
    disentanglement: Disentanglement | None
    generator: torch.Generator
    noise_generator: torch.Generator
    position: Position
    epoch_start: Tensor

    def save(self, path: Path, run: str | None = None) -> None:
        """Write everything that going on needs, and the identity of the run."""
        tensors, description = model_tensors(self.model)
        tensors |= self.optimizer.state_tensors(self.model, "optimizer/")
        if self.disentanglement is not None:
            clubs = self.disentanglement.clubs
            tensors |= {f"clubs/{name}": tensor for name, tensor in clubs.state_dict().items()}
            tensors |= self.disentanglement.optimizer.state_tensors(clubs, "clubs-optimizer/")
        tensors["generator/now"] = self.generator.get_state()
        tensors["generator/epoch_start"] = self.epoch_start
        if self.noise_generator is not self.generator:
            tensors["generator/noise"] = self.noise_generator.get_state()
        description |= {"training": asdict(self.position)}
        write_checkpoint(path, tensors, description | {"run": run})

    def restore(self, path: Path) -> None:
        """Take up a checkpoint; the model has been built from it already.

        Raises:
            CheckpointError: it cannot be read or does not fit.
        """
        generators, description = read_checkpoint(path, "generator/")
        exid = self.disentanglement
        try:
            self.optimizer.load_state_tensors(self.model, read_checkpoint(path, "optimizer/")[0])
            if exid is not None:
                exid.clubs.load_state_dict(read_checkpoint(path, "clubs/")[0])
                moments, _ = read_checkpoint(path, "clubs-optimizer/")
                exid.optimizer.load_state_tensors(exid.clubs, moments)
            self.generator.set_state(generators["epoch_start"])  # tried now, needed later
            self.generator.set_state(generators["now"])
            noise = generators.get("noise")
            if (noise is None) != (self.noise_generator is self.generator):
                raise RuntimeError("it began on another kind of device")
            if noise is not None:
                self.noise_generator.set_state(noise)
            self.position = Position(**description["training"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: no state of training on {self.model.device.type} is in it "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); a run goes on from the "
                "last.safetensors that it wrote, on the kind of device that it began on"
            ) from error
        self.epoch_start = generators["epoch_start"]


def build_learner(model: MoMoK, config: RunConfig) -> Learner:
    """What training begins with; the model is where it is to be trained."""
    generator = build_generator(config.seed, "training")
    noise = generator
    if model.device.type != "cpu":  # noise is drawn where the model is
        noise = build_generator(config.seed, "noise", model.device)
    model.noise_generator = noise
    return Learner(
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
