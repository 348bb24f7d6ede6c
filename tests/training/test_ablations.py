"""Every part of the model can be switched off, and that changes what it should."""

from __future__ import annotations

import pytest
import torch

from momok.model import MoMoK
from tests.training.small_training import (
    build_small,
    copy_state,
    find_changes,
    sum_heads,
    take_step,
)


def test_a_step_changes_every_part() -> None:
    model = build_small()
    before = copy_state(model)
    take_step(model)
    untouched = set(before) - find_changes(before, model)
    assert untouched == {f"tables.{m}.present" for m in range(3)}


def names(model: MoMoK) -> set[str]:
    return {name for name, _ in model.named_parameters()}


def test_one_expert() -> None:
    model = build_small(model__experts=1, model__score_prior=False)
    losses = take_step(model)
    assert not losses.keys() & {"mutual_information", "estimator"}
    gates = model.eval().queries(torch.tensor([0, 1]), torch.tensor([0, 5])).gates
    assert all(torch.equal(gate, torch.ones(2, 1)) for gate in gates.values())
    bank = model.banks[1]
    candidates = model.candidates()
    rows = model.tables[1].rows()
    expected = (rows - bank.shift[0]) @ bank.weight[0].T
    torch.testing.assert_close(candidates.vectors["image"], expected)


def test_without_relation_temperature() -> None:
    model = build_small(model__relation_temperature=False)
    assert names(build_small()) - names(model) == {"temperature"}
    take_step(model)
    model.eval()
    head = torch.tensor([3, 3])
    gates = model.queries(head, torch.tensor([0, 6])).gates["text"]
    assert torch.equal(gates[0], gates[1])
    with torch.no_grad():
        model.banks[2].gate_weight.normal_(generator=torch.Generator().manual_seed(0))
    candidates = model.candidates().gates["text"][3]
    torch.testing.assert_close(
        model.queries(head, torch.tensor([0, 6])).gates["text"][0], candidates
    )


def test_without_gate_noise() -> None:
    model = build_small(model__gate_noise=False)
    assert names(build_small()) - names(model) == {f"banks.{m}.noise_weight" for m in range(3)}
    take_step(model)
    model.train()
    first, second = (model.candidates().gates["text"] for _ in range(2))
    assert torch.equal(first, second)
    noisy = build_small().train()
    noisy.noise_generator = torch.Generator().manual_seed(0)
    assert not torch.equal(noisy.candidates().gates["text"], noisy.candidates().gates["text"])


def test_without_disentanglement() -> None:
    losses = take_step(build_small(), training__disentanglement=0.0)
    assert not losses.keys() & {"mutual_information", "estimator"}
    with_it = take_step(build_small())
    assert "mutual_information" in with_it
    # the first loss comes before any update: the same but for what is drawn
    assert losses.keys() == with_it.keys() - {"mutual_information", "estimator"}


def test_without_joint_head() -> None:
    model = build_small(model__heads="modalities")
    assert model.heads == ("structure", "image", "text")
    gone = names(build_small()) - names(model)
    assert {name.split(".")[0] for name in gone} == {
        "entity_fusion",
        "relation_fusion",
        "decoders",
    }
    assert list(take_step(model))[:3] == [f"loss/{head}" for head in model.heads]
    assert model.queries(torch.tensor([0, 1]), torch.tensor([0, 1])).fusion_weights is None


@pytest.mark.parametrize("modality", ["structure", "image", "text"])
@pytest.mark.parametrize("joint", [True, False])
def test_each_modality_alone(modality, joint) -> None:
    model = build_small(
        model__modalities=(modality,), model__heads="all" if joint else "modalities"
    )
    assert model.heads == (modality, "joint")[: 1 + joint]
    before = copy_state(model)
    losses = take_step(model)
    assert torch.isfinite(sum_heads(losses))
    assert "tables.0.weight" in find_changes(before, model)


def test_dropouts_reach_the_parts() -> None:
    off = dict.fromkeys(("input", "relation", "query", "fusion", "expert"), 0.0)
    config = {f"model__{name}_dropout": value for name, value in off.items()}
    model = build_small(**config, model__gate_noise=False).train()
    model.noise_generator = torch.Generator().manual_seed(0)
    arguments = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 0, 1])
    first, second = (model.score(*arguments) for _ in range(2))
    assert all(torch.equal(first[head], second[head]) for head in model.heads)
    for name in off:
        noisy = build_small(**(config | {f"model__{name}_dropout": 0.5}), model__gate_noise=False)
        noisy.train().noise_generator = torch.Generator().manual_seed(0)
        changed = {
            head: not torch.equal(scores, first[head])
            for head, scores in noisy.score(*arguments).items()
        }
        assert changed["joint"], name
        assert changed["structure"] == (name != "fusion"), name
