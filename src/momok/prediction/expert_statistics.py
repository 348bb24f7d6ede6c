"""What the experts of a model are like: their gates under a relation, and how far they differ.

A candidate's gate is ``softmax(l)`` of the entity's logits ``l``, a query's is ``softmax(l /
sigmoid(tau_r))`` (ReMoKE; Zhang et al. 2025, arXiv:2405.16869, section 3.1). A softmax keeps its
logits but for a constant that the next softmax does not see, so query gates follow from candidate
gates: ``softmax(log(gate) / sigmoid(tau_r))``. The averages of all relations cost a softmax over K
numbers per query instead of a pass through the model.

CKA (Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited",
arXiv:1905.00414, section 3, linear kernel) of centred outputs X, Y [N, d] is
``|X' Y|^2 / (|X' X| |Y' Y|)`` in Frobenius norms: 1 for a rotation and scaling, 0 where no column
of one goes with one of the other. Experts read the same vectors, so that it is far from 0 even for
maps drawn at random; ``compute_random_cka`` gives that number for comparison.

Shapes: N entities in blocks of n, Q queries, R relations (2R with reciprocals), K experts, d width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor

_BLOCK = 1 << 18  # queries at once: some megabytes


def average_query_gates(
    gates: Mapping[str, Tensor],
    temperature: Tensor | None,
    entities: Tensor,
    relations: Tensor,
    num_relations: int,
) -> dict[str, Tensor]:
    """The mean gate of the queries of every relation: per modality [2R, K] in float64.

    Rows sum to one, those of relations without a query are NaN. ``gates`` are the candidates', per
    modality [N, K]; a query's logits are divided by its relation's ``temperature`` [2R], if any.
    """
    counts = torch.bincount(relations, minlength=num_relations).unsqueeze(1)
    averages = {}
    for modality, gate in gates.items():
        logits = gate.double().log()  # [N, K]
        total = logits.new_zeros(num_relations, logits.shape[1])
        for start in range(0, len(entities), _BLOCK):
            chosen = relations[start : start + _BLOCK]
            block = logits[entities[start : start + _BLOCK]]
            if temperature is not None:
                block = block / temperature.double()[chosen].unsqueeze(1)
            total.index_add_(0, chosen, torch.softmax(block, dim=1))
        averages[modality] = total / counts
    return averages


def compute_cka(outputs: Iterable[Tensor]) -> Tensor:
    """Linear CKA [K, K] between experts, from blocks [n, K, d] of all entities: O(N K^2 d^2).

    It is 0 where an expert says the same of every entity.
    """
    covariance, experts = _accumulate(outputs)
    width = covariance.shape[0] // experts
    squares = covariance.square().view(experts, width, experts, width).sum(dim=(1, 3))  # |X' Y|^2
    norms = squares.diagonal().sqrt()
    products = torch.outer(norms, norms)
    cka = torch.where(products > 0, squares / products, 0.0)
    return cka.clamp(max=1.0).cpu()


def compute_random_cka(vectors: Iterable[Tensor], experts: int = 6, seed: int = 0) -> float:
    """The mean CKA of different experts whose maps of ``vectors`` [n, d] are drawn at random."""
    covariance, _ = _accumulate(block.unsqueeze(1) for block in vectors)
    width = len(covariance)
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(experts, width, width, generator=generator, dtype=torch.float64)
    spread = maps @ covariance.cpu()  # W_i C
    squares = torch.tensor(
        [[float((left @ right.T).square().sum()) for right in maps] for left in spread]
    ).double()  # |W_i C W_j'|^2
    norms = squares.diagonal().sqrt()
    cka = squares / torch.outer(norms, norms)
    return float((cka.sum() - experts) / (experts * (experts - 1)))


def _accumulate(blocks: Iterable[Tensor]) -> tuple[Tensor, int]:
    """The scatter [K d, K d] of all columns about their means, in float64, and K."""
    blocks = iter(blocks)
    first = next(blocks)
    # Near the mean, so that what is subtracted at the end is small.
    shift = first.double().flatten(1).mean(dim=0)
    total, scatter, count = torch.zeros_like(shift), torch.outer(shift, shift).zero_(), 0
    for block in chain([first], blocks):
        flat = block.double().flatten(1) - shift  # [n, K d]
        scatter.addmm_(flat.T, flat)
        total += flat.sum(dim=0)
        count += len(flat)
    return scatter - torch.outer(total, total) / count, first.shape[1]
