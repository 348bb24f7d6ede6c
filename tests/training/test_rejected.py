"""Rejected facts as negatives: of their own queries alone, in value and in every gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn import functional as F

from momok.model import MoMoK
from momok.training.candidates import (
    CandidateBlock,
    all_candidates,
    rejected_candidates,
    sample_candidates,
)
from momok.training.losses import LOSSES, SampledSoftmax
from momok.training.objective import backward_candidates
from momok.training.pairs import REJECTED_GAIN
from momok.training.queries import QueryBatch, TrainingQueries
from tests.training.test_objective import SMOOTHING, B, N, build, build_batch
from tests.training.test_queries import RELATIONS, collect, facts_of


def build_rejected() -> tuple[QueryBatch, Tensor, Tensor]:
    """A batch, its answers and its rejected answers as matrices [B, N]."""
    batch, labels = build_batch()
    wrong = (torch.rand(B, N, generator=torch.Generator().manual_seed(2)) < 0.1) & (labels == 0)
    answers, rows = torch.nonzero(wrong.T, as_tuple=True)
    return replace(batch, rejected_rows=rows, rejected=answers), labels, wrong.double()


def find_expected(scores: Tensor, labels: Tensor, wrong: Tensor, form: str) -> Tensor:
    if form == "logits":
        cost = F.binary_cross_entropy_with_logits(scores, (1 - SMOOTHING) * labels + 1 / N)
        return cost + REJECTED_GAIN * (wrong * F.softplus(scores)).sum() / (B * N)
    sums = (scores.exp() * (1 + REJECTED_GAIN * wrong)).sum(dim=1).log().unsqueeze(1)
    if form == "sampled":
        sums = torch.logaddexp(sums.expand_as(scores), scores)
    return (labels * (sums - scores)).sum() / labels.sum()


def choose_blocks(batch: QueryBatch, form: str, size: int) -> list[CandidateBlock]:
    if form != "sampled":
        return [*all_candidates(batch, N, size), *rejected_candidates(batch, size)]
    generator = torch.Generator().manual_seed(0)
    beside = sample_candidates(batch, N, size, 1, generator, beside=True)
    answers = [block for block in beside if not block.summed]
    nothing = batch.rows[:0]
    every = CandidateBlock(ids=slice(0, N), size=N, rows=nothing, columns=nothing)
    return [*answers, every, *rejected_candidates(batch, size)]


def find_gradients(model: MoMoK) -> dict[str, Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize("size", [7, 1000])
@pytest.mark.parametrize("form", ["logits", "softmax", "sampled"])
def test_loss_and_gradients_equal_autograd(form: str, size: int) -> None:
    batch, labels, wrong = build_rejected()
    expected_model, model = build(), build()
    expected = {
        head: find_expected(scores, labels, wrong, form)
        for head, scores in expected_model.score(batch.heads, batch.relations).items()
    }
    torch.stack(list(expected.values())).sum().backward()

    rows = {
        name: table.detach().requires_grad_(table.requires_grad)
        for name, table in model.entity_rows(batch.heads).items()
    }
    queries = model.encode_queries(rows, batch.heads, batch.relations).vectors
    found = backward_candidates(
        model,
        queries,
        choose_blocks(batch, form, size),
        smoothing=SMOOTHING,
        loss=SampledSoftmax if form == "sampled" else LOSSES[form],
    )
    torch.autograd.backward(
        list(queries.values()), [found.query_gradients[head] for head in queries]
    )
    model.add_row_gradients(rows, batch.heads)

    for head, value in expected.items():
        torch.testing.assert_close(found.per_head[head], value, rtol=1e-9, atol=1e-12)
    gradients = find_gradients(expected_model)
    assert find_gradients(model).keys() == gradients.keys()
    for name, gradient in find_gradients(model).items():
        torch.testing.assert_close(gradient, gradients[name], rtol=1e-8, atol=1e-13, msg=name)


@given(facts=facts_of, rejected=facts_of)
@settings(deadline=None)
def test_batches_have_the_rejected_answers_of_their_queries(facts, rejected) -> None:
    def sort(some):
        return np.array(sorted(some), dtype=np.int64)

    queries = TrainingQueries(sort(facts), RELATIONS, sort(rejected))
    plain = TrainingQueries(sort(facts), RELATIONS)
    asked, wrong = collect(facts), collect(rejected)
    for chosen in torch.arange(len(queries)).split(4):
        batch, same = queries.batch(chosen), plain.batch(chosen)
        assert torch.equal(batch.answers, same.answers)
        assert torch.equal(batch.rows, same.rows)
        assert same.rejected is None
        assert batch.rejected is not None
        assert batch.rejected_rows is not None
        assert batch.rejected.tolist() == sorted(batch.rejected.tolist())
        keys = list(zip(batch.heads.tolist(), batch.relations.tolist(), strict=True))
        found: dict[tuple[int, int], set[int]] = {key: set() for key in keys}
        for row, answer in zip(batch.rejected_rows.tolist(), batch.rejected.tolist(), strict=True):
            found[keys[row]].add(answer)
        assert found == {key: wrong.get(key, set()) for key in keys}
        assert set(keys) <= asked.keys()
