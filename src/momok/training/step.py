"""One step of training: the model's update, then that of the CLUB networks.

Shapes: B queries, K experts, d width of a modality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from momok.model import ClubNetworks, MoMoK, Queries, group_by_relation
from momok.model.grouped_product import RelationGroups
from momok.model.precision import at_least_float32
from momok.runtime import upload
from momok.shard import Shard
from momok.training.candidates import (
    all_candidates,
    choose_own,
    rejected_candidates,
    sample_candidates,
)
from momok.training.kernels import PlainKernels
from momok.training.losses import CellLoss, Logits, Regulariser, RowLoss
from momok.training.objective import backward_candidates
from momok.training.optimizers import Optimizers
from momok.training.queries import QueryBatch


@dataclass(frozen=True, kw_only=True)
class Disentanglement:
    """ExID: the CLUB networks, their optimiser and the weight of their estimate."""

    clubs: ClubNetworks
    optimizer: Optimizers
    weight: float  # mu


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


class _Penalties:
    """A regulariser over the facts of a batch: mean over facts by weight, summed over heads.

    The side of the queries is differentiated with the query tower, that of the answers with the
    candidate tower (``objective.Penalty``); what both owe to the relations is collected here.
    """

    def __init__(
        self,
        model: MoMoK,
        queries: Queries,
        batch: QueryBatch,
        groups: RelationGroups,
        *,
        regulariser: tuple[Regulariser, float],
        total: float,
    ) -> None:
        self._regulariser, self._decoders = regulariser[0], model.decoders_by_name
        self._scale = regulariser[1] / (total or 1.0)
        self._weights = batch.weights
        self._relation_of = groups.place[batch.rows]  # [P]
        self.relations = {
            head: vectors.detach().requires_grad_() for head, vectors in queries.relations.items()
        }
        once = batch.weights
        if once is None:
            once = torch.ones_like(batch.rows, dtype=torch.get_default_dtype())
        counts = once.new_zeros(len(batch)).index_add_(0, batch.rows, once)  # [B]
        of_queries = [
            _weigh(counts, self._penalise(head, x, queries.relations[head], groups.place)).sum()
            for head, x in queries.entities.items()
        ]
        self.of_queries = torch.stack(of_queries).sum() * self._scale
        self.of_candidates = torch.zeros_like(self.of_queries)

    def _penalise(self, head: str, entities: Tensor, relations: Tensor, place: Tensor) -> Tensor:
        # not by indexing, whose gradient adds in any order on several threads
        return self._regulariser(self._decoders[head], entities, relations.index_select(0, place))

    def of_answers(self, head: str, vectors: Tensor, answers: slice) -> Tensor:
        """The penalty of answers, as ``objective.Penalty`` describes it."""
        place = self._relation_of[answers]
        penalties = self._penalise(head, vectors, self.relations[head], place)
        if self._weights is not None:
            penalties = _weigh(self._weights[answers], penalties)
        penalty = penalties.sum() * self._scale
        self.of_candidates += penalty.detach()
        return penalty

    def sum_over_ranks(self, shard: Shard) -> None:
        """Add what the answers of other ranks cost."""
        shard.sum_(self.of_candidates, *map(_find_gradient, self.relations.values()))

    @property
    def total(self) -> Tensor:
        """Of queries and answers."""
        return self.of_queries.detach() + self.of_candidates

    def upstream(self, queries: Queries) -> Iterator[tuple[Tensor, Tensor]]:
        """What to differentiate after the candidates, each with its gradient."""
        yield self.of_queries, torch.ones_like(self.of_queries)
        for head, relations in queries.relations.items():
            gradient = self.relations[head].grad
            if gradient is not None:
                yield relations, gradient


def _weigh(weights: Tensor, values: Tensor) -> Tensor:
    return weights.to(at_least_float32(values).dtype) * values


def training_step(
    model: MoMoK,
    batch: QueryBatch,
    optimizer: Optimizers | torch.optim.Optimizer,
    disentanglement: Disentanglement | None,
    *,
    generator: torch.Generator,
    smoothing: float = 0.1,
    loss: type[CellLoss] | type[RowLoss] = Logits,
    regulariser: tuple[Regulariser, float] | None = None,
    block: int = 2048,
    negatives: int | None = None,
    kernels: PlainKernels | None = None,
    draw: ExpertDraw | None = None,
) -> dict[str, Tensor]:
    """Update the model on one batch, then the CLUB networks.

    Sizes are known on the host from the start and nothing is read back, so that a GPU is given its
    work without a wait; the rows of lazy updates are the exception.

    Args:
        batch: on the host, wherever the model is.
        disentanglement: None switches ExID off.
        generator: of the host; draws the sampled candidates, and the expert pairs and permutation
            when ``draw`` is None.
        regulariser: and its weight.
        block: candidates at a time.
        negatives: how many candidates are drawn besides the answers; None takes all entities.
        smoothing, loss, kernels: see ``backward_candidates``.

    Returns:
        scalars, left on the device so that nobody waits for them: ``loss/HEAD`` of every head; the
        ``penalty`` of a regulariser, weighted, over all heads; with disentanglement the CLUB
        estimate ``mutual_information``, before its weight, and ``estimator``, the networks' loss.
    """
    device = model.device
    placed, groups = batch.to(device), group_by_relation(batch.relations).to(device)
    model.before_step()
    optimizer.zero_grad(set_to_none=False)  # fresh memory costs more than zeros
    rows = {
        name: found.detach().requires_grad_(model.tables_by_name[name].weight.requires_grad)
        for name, found in model.look_up(placed.heads).items()
    }
    queries = model.encode_queries(rows, placed.heads, placed.relations, groups)
    penalties = None
    if regulariser is not None:
        penalties = _Penalties(
            model, queries, placed, groups, regulariser=regulariser, total=batch.total
        )
    candidates = (
        all_candidates(batch, model.num_entities, block)
        if negatives is None
        else sample_candidates(
            batch, model.num_entities, block, negatives, generator, beside=_stands_beside(loss)
        )
    )
    if model.candidate_generator is not None:
        # from where the generator stands, which stays there, as one process alone would leave it
        now = generator.clone_state()
        seed = int(torch.randint(2**62, (), generator=now))
        model.candidate_generator.manual_seed(seed + model.shard.rank)
    task = backward_candidates(
        model,
        queries.vectors,
        [
            candidate.to(device)
            for blocks in (candidates, rejected_candidates(batch, block))
            for candidate in choose_own(blocks, model.shard)
        ],
        smoothing=smoothing,
        loss=loss,
        kernels=kernels,
        penalty=None if penalties is None else penalties.of_answers,
        answers=batch.total,
    )
    if not model.shard.whole:
        _sum_candidate_gradients(model)
        if penalties is not None:
            penalties.sum_over_ranks(model.shard)
    upstream = [(q, task.query_gradients[head].to(q.dtype)) for head, q in queries.vectors.items()]
    if penalties is not None:
        upstream += penalties.upstream(queries)
    information = None
    if disentanglement is not None:
        if draw is None:
            draw = ExpertDraw.draw(model.spec.experts, len(batch), generator)
        information = disentanglement.clubs.estimate(
            list(queries.expert_outputs.values()), draw.pair, upload(draw.permutation, device)
        )
        upstream.append((information, torch.full_like(information, disentanglement.weight)))
    torch.autograd.backward([x for x, _ in upstream], [gradient for _, gradient in upstream])
    model.add_row_gradients(rows, placed.heads)
    optimizer.step()
    losses = {f"loss/{head}": loss for head, loss in task.per_head.items()}
    if penalties is not None:
        losses["penalty"] = penalties.total
    if disentanglement is not None and information is not None and draw is not None:
        losses["mutual_information"] = information.detach()
        losses["estimator"] = _update_clubs(
            model, placed.heads, disentanglement, draw.estimator_pair
        )
    return losses


def _sum_candidate_gradients(model: MoMoK) -> None:
    """Sum over the ranks what their candidates asked of what all have a copy of."""
    shared = [p for p in model.candidate_parameters() if p.requires_grad]
    model.shard.sum_(*map(_find_gradient, shared))


def _find_gradient(tensor: Tensor) -> Tensor:
    """The gradient of a tensor; zeros where nothing of this rank asked for it."""
    if tensor.grad is None:
        tensor.grad = torch.zeros_like(tensor)
    return tensor.grad


def _stands_beside(loss: type[CellLoss] | type[RowLoss]) -> bool:
    """Whether a loss takes the answers beside the sample, not as a part of it."""
    return issubclass(loss, RowLoss) and not loss.sees_answers


def _update_clubs(
    model: MoMoK, heads: Tensor, disentanglement: Disentanglement, pair: tuple[int, int]
) -> Tensor:
    """The CLUB networks' own step, on what the experts say after the model's step."""
    with torch.no_grad():
        outputs = model.expert_outputs(model.look_up(heads), heads)
    disentanglement.optimizer.zero_grad(set_to_none=True)  # the model's pass left gradients here
    loss = disentanglement.clubs.loss(list(outputs.values()), pair)
    loss.backward()  # type: ignore[no-untyped-call]
    disentanglement.optimizer.step()
    return loss.detach()
