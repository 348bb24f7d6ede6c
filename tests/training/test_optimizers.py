"""Sparse updates are dense ones where every row is used, and leave unused rows alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from momok.settings import TrainingSettings
from momok.training.candidates import all_candidates
from momok.training.optimizers import build_optimizer
from momok.training.step import training_step

from .small_training import build_small
from .test_objective import N, build, build_batch


def step(model, optimizer, negatives=None):  # type: ignore[no-untyped-def]
    batch, _ = build_batch()
    model.noise_generator = torch.Generator().manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    training_step(model, batch, optimizer, None, generator=generator, negatives=negatives)


def configure(optimizer: str = "adam", *, sampled: bool = True) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {
            "optimizer": optimizer,
            "learning_rate": 0.01,
            "beta2": 0.9,
            "candidates": "sampled" if sampled else "all",
        }
    )


@pytest.mark.parametrize("kind", ["adam", "adagrad"])
def test_sparse_updates_are_dense_ones_where_every_row_is_used(kind: str) -> None:
    dense, lazy = build(), build()
    plain = build_optimizer(dense, configure(kind, sampled=False))
    rows = build_optimizer(lazy, configure(kind))
    for _ in range(3):
        step(dense, plain)
        step(lazy, rows)
    assert not torch.equal(dense.tables[0].weight, build().tables[0].weight)
    for (name, wanted), found in zip(dense.named_parameters(), lazy.parameters(), strict=True):
        # SparseAdam adds its epsilon before the correction of the bias, Adam after
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5, msg=name)


def test_unused_rows_stay_as_they_are() -> None:
    model = build()
    optimizer = build_optimizer(model, configure())
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
        moments = optimizer.state_of(table)["exp_avg"]
        assert not moments[~changed].any()


def test_sparse_adagrad_is_dense_adagrad() -> None:
    """A row without a gradient stays in both, so a sample of candidates changes nothing else."""
    dense, sparse = build(), build()
    plain, rows = build_optimizer(dense, configure("adagrad")), None
    for table in dense.tables_by_name.values():
        table.sparse_gradient = False
    rows = build_optimizer(sparse, configure("adagrad"))
    for _ in range(3):
        step(dense, plain, negatives=2)
        step(sparse, rows, negatives=2)
    for (name, wanted), found in zip(dense.named_parameters(), sparse.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12, msg=name)


def test_maps_of_features_learn_at_a_rate_of_their_own() -> None:
    model = build_small(features__mapped=True)
    optimizer = build_optimizer(model, configure("adagrad"))
    optimizer.scale_rates(0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.tables_by_name["text"].projection)] == pytest.approx(0.0005)
    assert rates[id(model.tables_by_name["text"].weight)] == pytest.approx(0.005)
    assert rates[id(model.relations[0])] == pytest.approx(0.005)


@pytest.mark.parametrize("blocks", [3, 100])
def test_a_sparse_gradient_is_the_dense_one(blocks) -> None:
    from momok.training.objective import backward_candidates

    dense, sparse = build(), build()
    build_optimizer(sparse, configure())
    batch, _ = build_batch()
    for model in (dense, sparse):
        queries = model.queries(batch.heads, batch.relations).vectors
        backward_candidates(model, queries, all_candidates(batch, N, blocks))
    for one, other in zip(dense.tables, sparse.tables, strict=True):
        torch.testing.assert_close(other.weight.grad.to_dense(), one.weight.grad)
