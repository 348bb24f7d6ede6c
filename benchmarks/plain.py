"""MoMoK the plain way: training and ranking, written straight from the equations.

It is the oracle of the tests (in float64) and the baseline of the benchmarks (in float32), so it
spends what the published implementation spends: dense 0/1 labels ``[B, N]`` filled row by row,
binary cross-entropy on probabilities, autograd through everything, every candidate encoded again
for every batch of an evaluation. It shares no code with momok; ``plain_model.py`` has the model.

Cross-entropy on float32 probabilities saturates: beyond a logit of ln 2^24 = 16.6 a probability is
1, a wrong candidate costs 100 whatever its logit and gives no gradient. The published numbers
contain that effect; in float64 it sets in at 36.7 only.

Shapes: B queries in a batch, Q queries in all, N entities, R relations (2R with reciprocals),
K experts, d a width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain_model import (
    DropoutRates,
    PlainClub,
    PlainMoMoK,
    PlainOutput,
    PlainSizes,
    build_clubs,
    get_authors_name,
    load_authors_checkpoint,
)

__all__ = [
    "Chance",
    "DropoutRates",
    "PlainClub",
    "PlainMoMoK",
    "PlainOutput",
    "PlainSizes",
    "StepLosses",
    "build_clubs",
    "build_labels",
    "build_optimizers",
    "collect_answers",
    "compute_estimator_loss",
    "compute_mutual_information",
    "compute_task_loss",
    "get_authors_name",
    "load_authors_checkpoint",
    "plain_rank",
    "plain_train_step",
    "rank_as_published",
]

Answers = Mapping[tuple[int, int], Sequence[int]]  # (head, relation below 2R) -> answers


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What a step draws at random; None: draw it."""

    expert_pair: tuple[int, int] | None = None
    estimator_pair: tuple[int, int] | None = None
    permutation: Tensor | None = None  # [B]


@dataclass(frozen=True)
class StepLosses:
    """The losses of one step, in Python floats."""

    task: float  # sum over heads
    mutual_information: float  # before its weight
    estimator: float


def collect_answers(triples: Iterable[Sequence[int]], num_relations: int) -> Answers:
    """The known answers of every query, reciprocals (relation + R) included."""
    answers: dict[tuple[int, int], list[int]] = defaultdict(list)
    for head, relation, tail in triples:
        answers[int(head), int(relation)].append(int(tail))
        answers[int(tail), int(relation) + num_relations].append(int(head))
    return dict(answers)


def build_labels(
    answers: Answers,
    heads: Tensor,
    relations: Tensor,
    num_entities: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Dense 0/1 labels [B, N] of the queries, filled row by row on the host."""
    labels = torch.zeros(len(heads), num_entities, dtype=dtype)
    for row, query in enumerate(zip(heads.tolist(), relations.tolist(), strict=True)):
        labels[row, list(answers.get(query, ()))] = 1.0
    return labels


def build_optimizers(
    model: PlainMoMoK, clubs: nn.ModuleDict, learning_rate: float
) -> tuple[torch.optim.Adam, torch.optim.Adam]:
    """Adam for the model and Adam for the CLUB networks, as published."""
    return (
        torch.optim.Adam(model.parameters(), lr=learning_rate),
        torch.optim.Adam(clubs.parameters(), lr=learning_rate),
    )


def compute_task_loss(probabilities: Mapping[str, Tensor], labels: Tensor) -> Tensor:
    """Sum over heads of the mean cross-entropy against ``0.9 y + 1/N``; labels are 0/1, [B, N].

    Needs N >= 10: below that the target of an answer exceeds 1, which PyTorch refuses.
    """
    targets = 0.9 * labels + 1.0 / labels.shape[1]
    losses = [functional.binary_cross_entropy(p, targets) for p in probabilities.values()]
    return torch.stack(losses).sum()


def compute_mutual_information(
    clubs: nn.ModuleDict, outputs: Mapping[str, Tensor], chance: Chance
) -> Tensor:
    """CLUB's estimate for one pair of experts, averaged over the modalities; a scalar."""
    i, j = chance.expert_pair or _draw_pair(outputs)
    estimates = []
    for name, values in outputs.items():
        permutation = chance.permutation
        if permutation is None:
            permutation = torch.randperm(values.shape[0], device=values.device)
        estimates.append(clubs[name](values[:, i], values[:, j], permutation))
    return torch.stack(estimates).mean()


def compute_estimator_loss(
    clubs: nn.ModuleDict, outputs: Mapping[str, Tensor], chance: Chance
) -> Tensor:
    """The CLUB networks' own loss on detached expert outputs, averaged over the modalities."""
    i, j = chance.estimator_pair or _draw_pair(outputs)
    losses = []
    for name, values in outputs.items():
        detached = values.detach()
        losses.append(cast(PlainClub, clubs[name]).compute_own_loss(detached[:, i], detached[:, j]))
    return torch.stack(losses).mean()


def _draw_pair(outputs: Mapping[str, Tensor]) -> tuple[int, int]:
    """Two different experts, at random."""
    num_experts = next(iter(outputs.values())).shape[1]
    i, j = torch.randperm(num_experts)[:2].tolist()
    return i, j


def plain_train_step(
    model: PlainMoMoK,
    clubs: nn.ModuleDict | None,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer | None],
    batch: tuple[Tensor, Tensor, Tensor],
    *,
    mi_weight: float = 1e-4,
    chance: Chance | None = None,
) -> StepLosses:
    """One step of the model, then one of the CLUB networks (none where ``clubs`` is None).

    ``batch``: head ids [B], relation ids [B], labels 0/1 [B, N].
    """
    chance = chance or Chance()
    heads, relations, labels = batch
    optimizer, club_optimizer = optimizers
    optimizer.zero_grad()
    output = model(heads, relations)
    task = compute_task_loss(output.probabilities, labels)
    if clubs is None or club_optimizer is None:
        task.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return StepLosses(task.item(), 0.0, 0.0)
    information = compute_mutual_information(clubs, output.expert_outputs, chance)
    total = task + mi_weight * information
    total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    club_optimizer.zero_grad()
    with torch.no_grad():
        outputs = model.run_query_experts(heads)
    estimator = compute_estimator_loss(clubs, outputs, chance)
    estimator.backward()  # type: ignore[no-untyped-call]
    club_optimizer.step()
    return StepLosses(task.item(), information.item(), estimator.item())


@torch.no_grad()
def plain_rank(
    model: PlainMoMoK,
    queries: Tensor,
    answers: Tensor,
    known: Answers,
    *,
    batch_size: int = 1024,
    heads: Sequence[str] = ("answer",),
) -> dict[str, Tensor]:
    """Filtered ranks [Q], from 1, of ``answers`` [Q] to ``queries`` [Q, 2] (head, relation).

    ``heads`` names what is ranked: decision heads, or "answer", the mean of them all. Known
    answers other than the one asked for are masked out; ties fall as the sort leaves them.
    """
    model.eval()
    ranks: dict[str, list[Tensor]] = {head: [] for head in heads}
    for start in range(0, len(queries), batch_size):
        batch, targets = queries[start : start + batch_size], answers[start : start + batch_size]
        output = model(batch[:, 0], batch[:, 1])
        labels = build_labels(known, batch[:, 0], batch[:, 1], model.sizes.num_entities)
        masked = labels.to(targets.device).bool()
        masked[torch.arange(len(targets)), targets] = False
        for head in heads:
            scores = output.answer if head == "answer" else output.probabilities[head]
            order = scores.masked_fill(masked, -1.0).argsort(dim=1, descending=True)
            place = (order == targets.unsqueeze(1)).nonzero()[:, 1]
            ranks[head].append(place + 1)
    return {head: torch.cat(parts) for head, parts in ranks.items()}


@torch.no_grad()
def rank_as_published(
    model: PlainMoMoK,
    queries: Tensor,
    answers: Tensor,
    known: Answers,
    *,
    head: str,
    batch_size: int = 1024,
    seed: int = 0,
) -> Tensor:
    """The ranks of ``plain_rank`` for one head [Q], at the cost of the published evaluation.

    That one runs the whole model again for every head that it reports, and sorts one query after
    the other: the answer is put at a random place among the others, which settles ties, and a
    stable sort of the row finds it.
    """
    model.eval()
    places = np.random.default_rng(seed)
    ranks = []
    for start in range(0, len(queries), batch_size):
        batch, targets = queries[start : start + batch_size], answers[start : start + batch_size]
        output = model(batch[:, 0], batch[:, 1])
        scores = output.answer if head == "answer" else output.probabilities[head]
        labels = build_labels(known, batch[:, 0], batch[:, 1], model.sizes.num_entities)
        rows = torch.arange(len(targets))
        own = scores[rows, targets]
        scores = torch.where(labels.bool(), torch.zeros_like(scores), scores)
        scores[rows, targets] = own
        for row, target in zip(scores.numpy(), targets.tolist(), strict=True):
            place = int(places.integers(len(row) - 1))
            moved = np.insert(np.delete(row, target), place, row[target])
            order = np.argsort(-moved, kind="stable")
            ranks.append(int(np.flatnonzero(order == place)[0]) + 1)
    return torch.tensor(ranks)
