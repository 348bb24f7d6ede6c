"""The blocked loss equals the plain form, in value and in every gradient, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from momok.model import ModalitySpec, MoMoK, MoMoKSpec
from momok.training.candidates import all_candidates
from momok.training.losses import LOSSES
from momok.training.objective import backward_candidates
from momok.training.queries import QueryBatch

N, R, B, SMOOTHING = 23, 3, 11, 0.1


def build(projected: bool = False, joint: bool = True, offset: float = 0.0) -> MoMoK:
    generator = torch.Generator().manual_seed(0)
    spec = MoMoKSpec(
        num_entities=N,
        num_relations=R,
        modalities=(
            ModalitySpec(name="structure", width=6, table_width=6),
            ModalitySpec(
                name="text",
                width=5,
                table_width=9 if projected else 5,
                trainable=not projected,
            ),
        ),
        relation_width=4,
        joint_width=7 if joint else None,
        experts=2,
        score_offset=offset,
    )
    features = torch.randn(N, spec.modalities[1].table_width, generator=generator)
    present = torch.rand(N, generator=generator) < 0.7
    model = MoMoK(
        spec, features={"text": features}, present={"text": present}, generator=generator
    ).double()
    with torch.no_grad():  # zeros and tiny numbers hide mistakes
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.3)
    return model.train()


def build_batch() -> tuple[QueryBatch, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.rand(B, N, generator=generator) < 0.15
    heads = torch.randint(N, (B,), generator=generator)
    relations = torch.sort(torch.randint(2 * R, (B,), generator=generator)).values
    answers, rows = torch.nonzero(labels.T, as_tuple=True)
    return QueryBatch(heads=heads, relations=relations, rows=rows, answers=answers), labels.double()


def plain_losses(model: MoMoK, batch: QueryBatch, labels: Tensor) -> dict[str, Tensor]:
    targets = (1 - SMOOTHING) * labels + 1 / N
    return {
        head: F.binary_cross_entropy_with_logits(scores, targets)
        for head, scores in model.score(batch.heads, batch.relations).items()
    }


@pytest.mark.parametrize("block", [16, 5, 1000])
@pytest.mark.parametrize("form", ["logits", "probabilities"])
@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"projected": True},
        {"joint": False},
        {"offset": -3.0},
        {"offset": -3.0, "projected": True},
    ],
    ids=str,
)
def test_loss_and_gradients_equal_autograd(block, form, parts) -> None:
    batch, labels = build_batch()
    expected_model, model = build(**parts), build(**parts)
    expected = plain_losses(expected_model, batch, labels)
    torch.stack(list(expected.values())).sum().backward()

    rows = {
        name: table.detach().requires_grad_(table.requires_grad)
        for name, table in model.entity_rows(batch.heads).items()
    }
    encoded = model.encode_queries(rows, batch.heads, batch.relations)
    queries, blocks = encoded.vectors, all_candidates(batch, N, block)
    loss = backward_candidates(model, queries, blocks, smoothing=SMOOTHING, loss=LOSSES[form])
    torch.autograd.backward(
        list(queries.values()), [loss.query_gradients[head] for head in queries]
    )
    model.add_row_gradients(rows, batch.heads)

    for head, value in expected.items():
        torch.testing.assert_close(loss.per_head[head], value, rtol=1e-10, atol=1e-12)
    gradients = dict(expected_model.named_parameters())
    for name, parameter in model.named_parameters():
        if gradients[name].grad is None:
            assert parameter.grad is None or not parameter.grad.any(), name
        else:
            assert parameter.grad is not None, name
            torch.testing.assert_close(
                parameter.grad, gradients[name].grad, rtol=1e-9, atol=1e-14, msg=name
            )


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 0.1])
def test_targets_above_one(smoothing) -> None:
    """Where 1/N is more than the smoothing, as in small graphs; PyTorch refuses such targets."""
    model, (batch, labels) = build().float(), build_batch()
    queries = model.queries(batch.heads, batch.relations).vectors
    candidates = model.candidates().vectors
    target = ((1 - smoothing) * labels + 1 / N).float()
    assert bool((target > 1).any()) == (smoothing < 1 / N)
    blocks = all_candidates(batch, N, 16)
    loss = backward_candidates(
        model, queries, blocks, smoothing=smoothing, loss=LOSSES["probabilities"]
    )
    for head, vectors in queries.items():
        q = vectors.detach().requires_grad_()
        p = torch.sigmoid(q @ candidates[head].detach().T)
        yes, no = (x.log().clamp_min(-100.0) for x in (p, 1.0 - p))
        expected = -(target * yes + (1 - target) * no).mean()
        expected.backward()
        torch.testing.assert_close(loss.per_head[head].float(), expected.detach())
        torch.testing.assert_close(loss.query_gradients[head], q.grad, rtol=1e-4, atol=1e-8)


def test_a_saturated_score_costs_a_hundred_and_teaches_nothing() -> None:
    """What float32 probabilities do beyond a score of 16.6, reproduced on request."""
    model = build().float()
    batch, labels = build_batch()
    queries = {
        head: vectors.detach() * 1e4
        for head, vectors in model.encode_queries(
            model.entity_rows(batch.heads), batch.heads, batch.relations
        ).vectors.items()
    }
    candidates = model.candidates().vectors
    targets = ((1 - SMOOTHING) * labels + 1 / N).float()
    loss = backward_candidates(
        model, queries, all_candidates(batch, N, 16), loss=LOSSES["probabilities"]
    )
    for head, q in queries.items():
        p = torch.sigmoid(q @ candidates[head].T).detach()
        assert (p == 1.0).any()
        expected = F.binary_cross_entropy(p, targets)
        torch.testing.assert_close(loss.per_head[head].float(), expected, rtol=1e-5, atol=1e-6)
        assert loss.query_gradients[head].isfinite().all()
