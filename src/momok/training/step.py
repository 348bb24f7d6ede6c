"""One step of training: the model's update, then that of the CLUB networks.

Shapes: B queries, K experts, d width of a modality.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from momok.model import ClubNetworks, MoMoK, group_by_relation
from momok.runtime import upload
from momok.training.ballots import Ballot
from momok.training.candidates import all_candidates, sample_candidates
from momok.training.kernels import Kernels
from momok.training.objective import LossForm, backward_candidates
from momok.training.optimizers import StepOptimizer
from momok.training.queries import QueryBatch

__all__ = ["Disentanglement", "ExpertDraw", "StepLosses", "training_step"]


@dataclass(frozen=True, kw_only=True)
class Disentanglement:
    """ExID: the CLUB networks, their optimiser and the weight of their estimate."""

    clubs: ClubNetworks
    optimizer: torch.optim.Optimizer
    weight: float  # mu


@dataclass(frozen=True, kw_only=True)
class StepLosses:
    """Scalar tensors, left on the device so that nobody waits for them.

    Args:
        per_head: the task loss of each head.
        mutual_information: the CLUB estimate, before its weight; None without disentanglement.
        estimator: the CLUB networks' own loss.
    """

    per_head: dict[str, Tensor]
    mutual_information: Tensor | None = None
    estimator: Tensor | None = None

    @property
    def task(self) -> Tensor:
        """The sum over heads."""
        return torch.stack(list(self.per_head.values())).sum()


@dataclass(frozen=True, kw_only=True)
class ExpertDraw:
    """What a step draws for disentanglement: expert pairs and the negatives' permutation."""

    pair: tuple[int, int]
    estimator_pair: tuple[int, int]
    permutation: Tensor

    @staticmethod
    def draw(experts: int, queries: int, generator: torch.Generator) -> ExpertDraw:
        """Draw two random pairs of distinct experts and a permutation of the batch."""
        return ExpertDraw(
            pair=_draw_pair(experts, generator),
            estimator_pair=_draw_pair(experts, generator),
            permutation=torch.randperm(queries, generator=generator),
        )


def _draw_pair(experts: int, generator: torch.Generator) -> tuple[int, int]:
    first, second = torch.randperm(experts, generator=generator)[:2].tolist()
    return first, second


def training_step(
    model: MoMoK,
    batch: QueryBatch,
    optimizer: StepOptimizer,
    disentanglement: Disentanglement | None,
    *,
    generator: torch.Generator,
    smoothing: float = 0.1,
    form: LossForm = "logits",
    block: int = 2048,
    negatives: int | None = None,
    kernels: Kernels | None = None,
    draw: ExpertDraw | None = None,
) -> StepLosses:
    """Update the model on one batch, then the CLUB networks.

    Sizes are known on the host from the start and nothing is read back, so that a GPU is given its
    work without a wait. Heads that abstain (missing features ``masked``) and the rows of lazy
    updates are the exceptions: how many there are is found out on the device.

    Args:
        batch: on the host, wherever the model is.
        disentanglement: None switches ExID off.
        generator: of the host; draws the sampled candidates, and the expert pairs and permutation
            when ``draw`` is None.
        block: candidates at a time.
        negatives: how many candidates are drawn besides the answers; None takes all entities.
        smoothing, form, kernels: see ``backward_candidates``.
    """
    device = model.device
    placed, groups = batch.to(device), group_by_relation(batch.relations).to(device)
    model.release_core_gradients()
    optimizer.zero_grad(set_to_none=False)  # fresh memory costs more than zeros
    rows = {
        name: table.detach().requires_grad_(table.requires_grad)
        for name, table in model.entity_rows(placed.heads).items()
    }
    queries = model.encode_queries(rows, placed.heads, placed.relations, groups)
    candidates = (
        all_candidates(batch, model.num_entities, block)
        if negatives is None
        else sample_candidates(batch, model.num_entities, block, negatives, generator)
    )
    task = backward_candidates(
        model,
        queries.vectors,
        [candidate.to(device) for candidate in candidates],
        smoothing=smoothing,
        form=form,
        kernels=kernels,
        ballots={
            head: Ballot.of(model, head, voters, len(batch))
            for head, voters in queries.voters.items()
        },
    )
    outputs: list[Tensor] = list(queries.vectors.values())
    gradients: list[Tensor] = [
        task.query_gradients[head].to(q.dtype) for head, q in queries.vectors.items()
    ]
    information = None
    if disentanglement is not None:
        if draw is None:
            draw = ExpertDraw.draw(model.spec.experts, len(batch), generator)
        information = disentanglement.clubs.estimate(
            list(queries.expert_outputs.values()),
            draw.pair,
            upload(draw.permutation, device),
            [queries.voters.get(name) for name in queries.expert_outputs],
        )
        if information.requires_grad:  # else no modality has two entities in the batch
            outputs.append(information)
            gradients.append(torch.full_like(information, disentanglement.weight))
    torch.autograd.backward(outputs, gradients)
    model.add_row_gradients(rows, placed.heads)
    optimizer.step()
    if disentanglement is None or information is None or draw is None:
        return StepLosses(per_head=task.per_head)
    return StepLosses(
        per_head=task.per_head,
        mutual_information=information.detach(),
        estimator=_update_clubs(model, placed.heads, disentanglement, draw.estimator_pair),
    )


def _update_clubs(
    model: MoMoK, heads: Tensor, disentanglement: Disentanglement, pair: tuple[int, int]
) -> Tensor:
    """The CLUB networks' own step, on what the experts say after the model's step."""
    with torch.no_grad():
        experts = model.expert_outputs(model.entity_rows(heads), heads)
        votes = model.votes(heads)
    outputs = [x[votes[name]] if name in votes else x for name, x in experts.items()]
    disentanglement.optimizer.zero_grad(set_to_none=True)  # the model's pass left gradients here
    loss = disentanglement.clubs.loss(outputs, pair)
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
        disentanglement.optimizer.step()
    return loss.detach()
