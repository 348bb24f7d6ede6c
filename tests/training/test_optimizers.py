"""Lazy Adam equals Adam where every row is used, and leaves unused rows alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from momok.training.candidates import all_candidates
from momok.training.optimizers import LazyAdam, build_optimizer, state_of
from momok.training.step import training_step

from .test_objective import N, build, build_batch


def step(model, optimizer, negatives=None):  # type: ignore[no-untyped-def]
    batch, _ = build_batch()
    model.noise_generator = torch.Generator().manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    training_step(model, batch, optimizer, None, generator=generator, negatives=negatives)


def test_lazy_adam_is_adam_where_every_row_is_used() -> None:
    dense, lazy = build(), build()
    plain = build_optimizer(dense, learning_rate=0.01, beta2=0.9, lazy=False)
    rows = build_optimizer(lazy, learning_rate=0.01, beta2=0.9, lazy=True)
    assert isinstance(rows, LazyAdam)
    for _ in range(3):
        step(dense, plain)
        step(lazy, rows)
    assert not torch.equal(dense.tables[0].weight, build().tables[0].weight)
    for (name, wanted), found in zip(dense.named_parameters(), lazy.parameters(), strict=True):
        # SparseAdam adds its epsilon before the correction of the bias, Adam after
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5, msg=name)


def test_unused_rows_stay_as_they_are() -> None:
    model = build()
    optimizer = build_optimizer(model, learning_rate=0.01, beta2=0.9, lazy=True)
    tables = [t.weight for t in model.tables if isinstance(t.weight, nn.Parameter)]
    before = [t.detach().clone() for t in tables]
    step(model, optimizer, negatives=2)
    batch, _ = build_batch()
    used = torch.zeros(N, dtype=torch.bool)
    used[batch.answers] = used[batch.heads] = True
    for table, old in zip(tables, before, strict=True):
        changed = (table.detach() != old).any(dim=1)
        if table is tables[0]:  # an entity without a text has no row to change
            assert changed[used].all()
        assert int((changed & ~used).sum()) <= 2
        assert int(changed.sum()) < N
        moments = state_of(optimizer, table)["exp_avg"]
        assert not moments[~changed].any()


def test_frozen_tables_need_no_lazy_adam() -> None:
    model = build()
    for table in model.tables:
        table.weight.requires_grad_(False)
    optimizer = build_optimizer(model, learning_rate=0.01, beta2=0.9, lazy=False)
    assert isinstance(optimizer, torch.optim.Adam)


@pytest.mark.parametrize("blocks", [3, 100])
def test_a_sparse_gradient_is_the_dense_one(blocks) -> None:
    from momok.training.objective import backward_candidates

    dense, sparse = build(), build()
    build_optimizer(sparse, learning_rate=0.01, beta2=0.9, lazy=True)
    batch, _ = build_batch()
    for model in (dense, sparse):
        queries = model.queries(batch.heads, batch.relations).vectors
        backward_candidates(model, queries, all_candidates(batch, N, blocks))
    for one, other in zip(dense.tables, sparse.tables, strict=True):
        torch.testing.assert_close(other.weight.grad.to_dense(), one.weight.grad)
