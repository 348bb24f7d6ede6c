"""Heads of several members, and the parts of a model that are trained apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from momok.model import ModalitySpec, MoMoK, MoMoKSpec
from tests.model.small_model import build_model, build_spec

N, R = 17, 3
HEADS, RELATIONS = torch.tensor([0, 4, 16]), torch.tensor([0, 2, 5])


def build_members(members: int, decoder: str = "complex") -> MoMoK:
    spec = MoMoKSpec(
        num_entities=N,
        num_relations=R,
        modalities=(
            ModalitySpec(name="structure", width=6, table_width=6),
            ModalitySpec(name="text", width=6, table_width=5, mapped=True),
        ),
        decoder=decoder,
        experts=0,
        joint_width=None,
        softmax=True,
        members=members,
        decoder_dropouts=(0.0, 0.0, 0.0),
    )
    return build_model(spec)


def multiply(entities: Tensor, relations: Tensor, decoder: str) -> Tensor:
    """The query vector [n, 6] by complex arithmetic of PyTorch, as real numbers."""
    if decoder == "distmult":
        return entities * relations
    x, r = (torch.complex(*v.chunk(2, dim=1)) for v in (entities, relations))
    return torch.cat([(x * r).real, (x * r).imag], dim=1)


@pytest.mark.parametrize("decoder", ["complex", "distmult"])
@pytest.mark.parametrize("members", [1, 2, 3])
def test_a_head_says_the_mean_of_its_members(members: int, decoder: str) -> None:
    model = build_members(members, decoder)
    state = model.state_dict()
    found = model.score(HEADS, RELATIONS)
    for number, head in enumerate(("structure", "text")):
        scores = torch.zeros(3, N, dtype=torch.float64)
        tables = state[f"tables.{number}.weight"].view(members, N, 6)
        for member in range(members):
            vectors = tables[member]
            if head == "text":
                projection = state["tables.1.projection"].view(members, 6, 5)[member]
                vectors = vectors + state["tables.1.features"] @ projection.T
            relations = state[f"relations.{number}"].view(2 * R, members, 6)[RELATIONS, member]
            scores += multiply(vectors[HEADS], relations, decoder) @ vectors.T / members
        assert torch.allclose(found[head], torch.log_softmax(scores, dim=1))


@pytest.mark.parametrize("members", [1, 3])
def test_parts_lie_in_the_memory_of_the_whole(members: int) -> None:
    model = build_members(members)
    parts = model.train().take_parts()
    names = ["structure", "text"]
    if members > 1:
        names = [f"{name}/{number}" for name in names for number in (1, 2, 3)]
    assert list(parts) == names
    assert all(part.training for part in parts.values())
    assert sum(p.numel() for part in parts.values() for p in part.parameters()) == sum(
        p.numel() for p in model.parameters()
    )
    for part in parts.values():
        assert part.spec.members == len(part.heads) == 1
        for parameter in part.parameters():
            parameter.data.zero_()
    assert all(not parameter.any() for parameter in model.parameters())
    text = [part.tables[0] for name, part in parts.items() if name.startswith("text")]
    features = model.tables[1].features
    assert all(table.features.data_ptr() == features.data_ptr() for table in text)


def test_the_whole_is_the_mean_of_its_parts() -> None:
    model = build_members(2)
    parts = {name: part.eval() for name, part in model.take_parts().items()}
    found = model.score(HEADS, RELATIONS)
    for head in ("structure", "text"):
        both = [parts[f"{head}/{k}"].score(HEADS, RELATIONS)[head] for k in (1, 2)]
        assert torch.allclose(found[head], torch.log_softmax((both[0] + both[1]) / 2, dim=1))


@pytest.mark.parametrize(
    "sizes", [{}, {"experts": 0}, {"joint_width": None}], ids=["all", "joint", "experts"]
)
def test_what_heads_share_is_trained_in_one_piece(sizes: dict[str, int | None]) -> None:
    model = build_model(build_spec(**sizes))
    assert model.take_parts() == {"": model}


def test_a_single_head_is_the_whole_model() -> None:
    model = build_model(build_spec({"structure": 6}, experts=0, joint_width=None))
    assert model.take_parts() == {"": model}
