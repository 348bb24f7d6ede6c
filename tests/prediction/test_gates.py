"""Average gates against a loop over queries through the model itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from momok.prediction import expert_statistics
from momok.prediction.expert_statistics import average_query_gates, count_queries
from tests.model.small_model import build_model, build_spec

ENTITIES = torch.tensor([0, 3, 3, 9, 16, 2, 0])
RELATIONS = torch.tensor([0, 0, 1, 4, 4, 4, 5])  # 2 and 3 have no query


def average(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    tau = model.temperature
    return average_query_gates(
        model.candidates().gates,
        None if tau is None else torch.sigmoid(tau),
        ENTITIES,
        RELATIONS,
        2 * model.num_relations,
    )


@pytest.mark.parametrize("more", [{}, {"relation_temperature": False}, {"experts": 1}], ids=str)
@torch.no_grad()
def test_averages_are_those_of_the_gates_that_the_model_gives(more: dict[str, int]) -> None:
    model = build_model(build_spec(**more))
    asked = model.queries(ENTITIES, RELATIONS).gates
    for modality, found in average(model).items():
        for relation in range(6):
            rows = [asked[modality][i].numpy() for i in range(7) if RELATIONS[i] == relation]
            if not rows:
                assert torch.isnan(found[relation]).all()
                continue
            assert found[relation].tolist() == pytest.approx(np.mean(rows, axis=0), abs=1e-12)
            assert found[relation].sum().item() == pytest.approx(1.0, abs=1e-12)


@torch.no_grad()
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model()
    expected = average(model)
    monkeypatch.setattr(expert_statistics, "_BLOCK", 2)
    for modality, found in average(model).items():
        assert torch.allclose(found, expected[modality], atol=1e-14, equal_nan=True)


def test_a_gate_that_underflows_is_no_crash() -> None:
    gate = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    tau = torch.tensor([1e-3, 1.0])
    zero, one = torch.zeros(2, dtype=torch.int64), torch.tensor([0, 1])
    found = average_query_gates({"text": gate}, tau, one, zero, 2)["text"]
    assert found[0].tolist() == pytest.approx([0.75, 0.25, 0.0])


def test_queries_are_counted() -> None:
    assert count_queries(RELATIONS, 6).tolist() == [2, 1, 0, 0, 3, 1]
