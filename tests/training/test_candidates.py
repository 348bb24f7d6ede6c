"""Candidates in blocks, all or a sample; the sample's loss is that of all on average."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from momok.model import MoMoK
from momok.training.candidates import (
    CandidateBlock,
    all_candidates,
    choose_block,
    sample_candidates,
)
from momok.training.objective import backward_candidates
from momok.training.queries import QueryBatch, TrainingQueries

from .test_objective import SMOOTHING, N, build, build_batch


def draw_batch(entities: int, facts: int, seed: int) -> QueryBatch:
    generator = np.random.default_rng(seed)
    triples = generator.integers([entities, 3, entities], size=(facts, 3))
    queries = TrainingQueries(np.unique(triples, axis=0), 3)
    return queries.batch(torch.arange(0, len(queries), 2))


def ids_of(block: CandidateBlock) -> Tensor:
    ids = block.ids
    return torch.arange(ids.start, ids.stop) if isinstance(ids, slice) else ids


def positives(batch: QueryBatch, blocks: list[CandidateBlock]) -> list[tuple[int, int]]:
    found = []
    for block in blocks:
        ids = ids_of(block)
        assert len(ids) == block.size > 0
        assert (block.columns.diff() >= 0).all()
        found += list(zip(block.rows.tolist(), ids[block.columns].tolist(), strict=True))
    assert len(found) == len(set(found)) == len(batch.rows)
    return sorted(found)


@given(
    entities=st.integers(1, 60),
    facts=st.integers(1, 80),
    block=st.integers(1, 70),
    negatives=st.integers(1, 200),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_every_positive_is_in_one_block(entities, facts, block, negatives, seed) -> None:
    batch = draw_batch(entities, facts, seed)
    wanted = sorted(zip(batch.rows.tolist(), batch.answers.tolist(), strict=True))
    blocks = all_candidates(batch, entities, block)
    assert positives(batch, blocks) == wanted
    assert torch.cat([ids_of(b) for b in blocks]).tolist() == list(range(entities))
    assert {b.weight for b in blocks} == {1.0}

    generator = torch.Generator().manual_seed(seed)
    sample = sample_candidates(batch, entities, block, negatives, generator)
    assert positives(batch, sample) == wanted
    answers = set(batch.answers.tolist())
    drawn = [i for b in sample if not len(b.rows) for i in ids_of(b).tolist()]
    assert answers.isdisjoint(drawn)
    assert len(drawn) <= negatives
    if drawn:  # together they stand for every entity that is no answer
        total = sum(b.weight * b.size for b in sample if not len(b.rows))
        assert total == pytest.approx(entities - len(answers))


def run(model: MoMoK, batch: QueryBatch, blocks: list[CandidateBlock]) -> tuple[Tensor, Tensor]:
    """The joint head's loss, and all gradients in one row."""
    model.zero_grad()
    queries = model.queries(batch.heads, batch.relations).vectors
    loss = backward_candidates(model, queries, blocks, smoothing=SMOOTHING)
    torch.autograd.backward(
        list(queries.values()), [loss.query_gradients[head] for head in queries]
    )
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.per_head["joint"], torch.cat(gradients)


def test_a_sample_is_a_weighted_loss() -> None:
    """In float64, against autograd of the weighted sum over exactly the drawn candidates."""
    batch, labels = build_batch()
    model = build()
    blocks = sample_candidates(batch, N, 4, 30, torch.Generator().manual_seed(5))
    loss, found = run(model, batch, blocks)
    model.zero_grad()
    queries = model.queries(batch.heads, batch.relations).vectors
    ids = torch.cat([ids_of(b) for b in blocks])
    weights = torch.cat([torch.full((b.size,), b.weight, dtype=torch.float64) for b in blocks])
    candidates = model.candidates(ids).vectors
    targets = (1 - SMOOTHING) * labels[:, ids] + 1 / N
    cells = {
        head: F.binary_cross_entropy_with_logits(q @ candidates[head].T, targets, reduction="none")
        for head, q in queries.items()
    }
    losses = {head: (cell * weights).sum() / (len(batch) * N) for head, cell in cells.items()}
    torch.stack(list(losses.values())).sum().backward()
    torch.testing.assert_close(loss, losses["joint"].detach())
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


def test_samples_are_right_on_average() -> None:
    batch, _ = build_batch()
    model = build()
    exact_loss, exact = run(model, batch, all_candidates(batch, N, N))
    generator = torch.Generator().manual_seed(0)
    draws = [run(model, batch, sample_candidates(batch, N, 64, 12, generator)) for _ in range(300)]
    losses = torch.stack([loss for loss, _ in draws])
    gradients = torch.stack([gradient for _, gradient in draws])
    for mean, spread, wanted in (
        (losses.mean(), losses.std(), exact_loss),
        (gradients.mean(0), gradients.std(0), exact),
    ):
        error = (mean - wanted).abs() / (spread / len(draws) ** 0.5 + 1e-12)
        assert float(error.max()) < 5.5  # standard errors, over some thousand numbers
    assert float(losses.std()) > 0


def test_a_block_is_what_memory_holds_on_a_cpu_what_its_cache_does() -> None:
    on_cpu, elsewhere = build(), build().to("meta")
    # two modalities of widths 6 and 5, two experts, two branches: 16 numbers a column
    per_candidate = 4 * (2 * 100 + 16 * 11)
    for fits in (20, 21):
        assert choose_block(on_cpu, 100, per_candidate * fits, 4) == fits
        assert choose_block(elsewhere, 100, per_candidate * fits, 4) == fits
    assert choose_block(on_cpu, 100, per_candidate * 20, 8) == 16  # never less
    assert choose_block(on_cpu, 100, 1 << 40, 4) == 2048
    assert choose_block(elsewhere, 100, 1 << 40, 4) == N
    without = choose_block(build(joint=False), 100, per_candidate * 20, 4)
    assert without == per_candidate * 20 // (4 * (2 * 100 + 6 * 11))
