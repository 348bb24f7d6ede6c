"""What every decoder must be: a dot product of two vectors, equal to its published formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from momok.model import DECODERS, group_by_relation
from momok.model.noise import Noise
from tests.model.small_model import build_model, build_spec

WIDTH, B, N = 6, 13, 9


def score_plainly(name: str, decoder: torch.nn.Module, x: Tensor, r: Tensor, t: Tensor) -> Tensor:
    """The published formula, for single vectors in float64."""
    if name == "distmult":
        return (x * r * t).sum()
    if name == "tucker":
        state = {k: v.detach() for k, v in decoder.state_dict().items()}

        def norm(v: Tensor, part: str) -> Tensor:
            mean, var = state[f"{part}.running_mean"], state[f"{part}.running_var"]
            scaled = (v - mean) / torch.sqrt(var + 1e-5)
            return scaled * state[f"{part}.weight"] + state[f"{part}.bias"]

        matrix = torch.einsum("j,jab->ab", r, state["core"])
        return norm(norm(x, "input_norm") @ matrix, "output_norm") @ t
    half = WIDTH // 2
    head, tail = torch.complex(x[:half], x[half:]), torch.complex(t[:half], t[half:])
    if name == "complex":
        return (head * torch.complex(r[:half], r[half:]) * tail.conj()).real.sum()
    rotated = head * torch.exp(1j * r)
    return -(rotated - tail).abs().square().sum()


@pytest.mark.parametrize("name", DECODERS)
def test_the_score_is_the_formula(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    kind = DECODERS[name]
    width = kind.choose_relation_width(WIDTH, 4)
    decoder = kind(WIDTH, width, dropouts=(0.0, 0.0, 0.0), generator=generator).double().eval()
    x, t = (torch.randn(n, WIDTH, generator=generator).double() for n in (B, N))
    relations = torch.randint(3, (B,), generator=generator)
    table = torch.randn(3, width, generator=generator).double()
    groups = group_by_relation(relations)
    queries = decoder.queries(x, table[groups.distinct], groups, Noise(None))
    scores = queries @ decoder.candidates(t).T
    for b in range(B):
        for n in range(N):
            expected = score_plainly(name, decoder, x[b], table[relations[b]], t[n])
            torch.testing.assert_close(scores[b, n], expected)


@pytest.mark.parametrize("fusion", ["mujod", "concat", "mean"])
@pytest.mark.parametrize("experts", [0, 2])
@pytest.mark.parametrize("name", DECODERS)
def test_queries_and_candidates_fit_in_a_model(name: str, experts: int, fusion: str) -> None:
    spec = build_spec(
        {"structure": 6, "text": 4},
        decoder=name,
        experts=experts,
        fusion=fusion,
        joint_width=8,
        score_offset=-1.5,
    )
    model = build_model(spec)
    heads, relations = torch.arange(7), torch.arange(7) % 6
    queries, some = model.queries(heads, relations), model.candidates(slice(3, 9))
    everything = model.candidates()
    assert list(queries.vectors) == ["structure", "text", "joint"]
    for head, vectors in queries.vectors.items():
        scores = vectors @ everything.vectors[head].T
        assert scores.shape == (7, 17)
        torch.testing.assert_close(vectors @ some.vectors[head].T, scores[:, 3:9])
        alone = [model.queries(h[None], r[None]) for h, r in zip(heads, relations, strict=True)]
        torch.testing.assert_close(torch.cat([q.vectors[head] for q in alone]), vectors)
    assert (queries.gates == {}) == (experts == 0)
    assert (queries.fusion_weights is None) == (fusion != "mujod")


@pytest.mark.parametrize("heads", ["joint", "modalities"])
def test_heads_can_be_left_out(heads: str) -> None:
    spec = build_spec(
        decoder="complex",
        experts=0,
        modality_heads=heads == "modalities",
        joint_width=6 if heads == "joint" else None,
        widths={"structure": 6, "text": 4},
    )
    model = build_model(spec)
    assert model.heads == (("joint",) if heads == "joint" else ("structure", "text"))
    assert list(model.score(torch.arange(3), torch.arange(3))) == list(model.heads)
    names = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert not names & {"banks", "temperature"}
