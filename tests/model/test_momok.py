"""The whole model against the plain method, and its ways of scoring against one another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from benchmarks.plain import DropoutRates, PlainMoMoK, PlainSizes
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from momok.model import JOINT, ModalitySpec, MoMoK, MoMoKSpec
from momok.model import momok as momok_module
from tests.model.small_model import build_model, build_spec

PART = {"head_norm": "input_norm", "query_norm": "output_norm"}


def find_ours(model: MoMoK, key: str) -> Tensor:  # noqa: PLR0911
    """Our tensor for the parameter or buffer ``key`` of the plain method's model."""
    ours, modalities = model.state_dict(), list(model.modalities)
    match key.split("."):
        case ["entity_tables", name, "weight"]:
            return ours[f"tables.{modalities.index(name)}.weight"]
        case ["relation_tables", name, "weight"]:
            return ours[f"relations.{modalities.index(name)}"]
        case ["temperatures", "weight"]:
            return ours["temperature"].unsqueeze(1)
        case ["banks", name, "experts", k, "shift"]:
            return ours[f"banks.{modalities.index(name)}.shift"][int(k)]
        case ["banks", name, "experts", k, "linear", "weight"]:
            return ours[f"banks.{modalities.index(name)}.weight"][int(k)]
        case ["banks", name, part]:
            return ours[f"banks.{modalities.index(name)}.{part}"]
        case ["decoders", head, "core"]:
            return ours[f"decoders.{model.heads.index(head)}.core"]
        case ["decoders", head, part, statistic]:
            return ours[f"decoders.{model.heads.index(head)}.{PART[part]}.{statistic}"]
        case ["fuse_entities" | "fuse_relations" as fusion, *rest]:
            prefix = "entity_fusion" if fusion == "fuse_entities" else "relation_fusion"
            if rest[0] == "attention":
                return ours[f"{prefix}.attention"].unsqueeze(0)
            _, branch, modality, _, kind = rest
            if kind == "weight":
                return ours[f"{prefix}.weights.{modality}"][int(branch)].T
            return ours[f"{prefix}.biases.{modality}"][int(branch)]
    raise KeyError(key)


def build_plain(model: MoMoK) -> PlainMoMoK:
    """The plain method's model with the weights of ours, without chance."""
    spec = model.spec
    plain = PlainMoMoK(
        PlainSizes(
            num_entities=spec.num_entities,
            num_relations=spec.num_relations,
            widths={modality.name: modality.width for modality in spec.modalities},
            joint_width=spec.joint_width,
            relation_width=spec.relation_width,
            num_experts=spec.experts,
            score_offset=spec.score_offset,
        ),
        rates=DropoutRates.none(),
        dtype=torch.float64,
    )
    plain.set_gate_noise(False)
    plain.load_state_dict({key: find_ours(model, key) for key in plain.state_dict()})
    return plain.train(model.training)


modalities = st.dictionaries(
    st.sampled_from(["structure", "image", "text", "audio", "numbers"]),
    st.integers(2, 7),
    min_size=1,
    max_size=4,
)
sizes = st.fixed_dictionaries(
    {
        "widths": modalities,
        "entities": st.integers(2, 20),
        "relations": st.integers(1, 4),
        "relation_width": st.integers(1, 6),
        "joint_width": st.none() | st.integers(2, 6),
        "experts": st.integers(1, 4),
        "score_offset": st.sampled_from([0.0, -2.5]),
    }
)


def draw_queries(model: MoMoK, count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(model.num_entities, (count,), generator=generator),
        torch.randint(2 * model.num_relations, (count,), generator=generator),
    )


@given(sizes=sizes, count=st.integers(2, 12), seed=st.integers(0, 99), training=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_plain_method_says_the_same(sizes, count, seed, training) -> None:
    spec = build_spec(
        **sizes,
        gate_noise=True,
        fusion_dropout=0.0,
        decoder_dropouts=(0.0, 0.0, 0.0),
    )
    model = build_model(spec, seed).train(training)  # batch norm by the batch or by memory
    plain = build_plain(model)
    heads, relations = draw_queries(model, count, seed)
    with torch.no_grad():
        expected = plain(heads, relations)
        scores, queries = model.score(heads, relations), model.queries(heads, relations)
    assert model.heads == tuple(expected.probabilities)
    for head, logits in scores.items():
        torch.testing.assert_close(torch.sigmoid(logits), expected.probabilities[head])
    for name in model.modalities:
        torch.testing.assert_close(queries.gates[name], expected.gates[name])
        torch.testing.assert_close(queries.expert_outputs[name], expected.expert_outputs[name])
    if expected.fusion_weights is None:
        assert queries.fusion_weights is None
    else:
        torch.testing.assert_close(queries.fusion_weights, expected.fusion_weights)


@pytest.fixture
def model() -> MoMoK:
    return build_model()


@pytest.fixture
def queries(model: MoMoK) -> tuple[Tensor, Tensor]:
    return draw_queries(model, 9, 0)


def test_a_score_is_a_product_of_two_vectors(model, queries) -> None:
    scores = model.score(*queries)
    vectors, candidates = model.queries(*queries).vectors, model.candidates().vectors
    assert tuple(scores) == tuple(vectors) == tuple(candidates) == model.heads
    for head in model.heads:
        assert torch.equal(scores[head], vectors[head] @ candidates[head].T)


@pytest.mark.parametrize("block", [1, 4, 16, 17])
def test_blocks_of_candidates_are_all_candidates(model, block) -> None:
    whole = model.candidates()
    assert whole.fusion_weights is not None
    for start in range(0, 17, block):
        ids = slice(start, min(start + block, 17))
        for asked in (ids, torch.arange(17)[ids]):
            part = model.candidates(asked)
            for head, vectors in part.vectors.items():
                torch.testing.assert_close(vectors, whole.vectors[head][ids])
            for name, gate in part.gates.items():
                torch.testing.assert_close(gate, whole.gates[name][ids])
            torch.testing.assert_close(part.fusion_weights, whole.fusion_weights[:, ids])


@pytest.mark.parametrize("block", [1, 4, 16, 17, 100])
def test_without_gradients_all_candidates_are_encoded_in_blocks(model, block, monkeypatch) -> None:
    whole = model.candidates()
    assert whole.fusion_weights is not None
    monkeypatch.setattr(momok_module, "_BLOCK", block)
    rows = []
    encode = model.encode_candidates
    monkeypatch.setattr(
        model, "encode_candidates", lambda *given: rows.append(given[1]) or encode(*given)
    )
    with torch.no_grad():
        pieced = model.candidates()
    assert {part.stop - part.start for part in rows} == {min(block, 17)}
    assert len(rows) == -(-17 // block)
    for name, vectors in whole.vectors.items():
        torch.testing.assert_close(pieced.vectors[name], vectors)
    for name, gate in whole.gates.items():
        torch.testing.assert_close(pieced.gates[name], gate)
    with torch.no_grad():
        some = model.candidates(slice(3, 16))
    for name, vectors in pieced.vectors.items():
        torch.testing.assert_close(some.vectors[name], vectors[3:16])
    torch.testing.assert_close(pieced.fusion_weights, whole.fusion_weights)


def test_a_query_does_not_depend_on_its_batch(model, queries) -> None:
    heads, relations = queries
    together = model.queries(heads, relations).vectors
    for i in range(len(heads)):
        alone = model.queries(heads[i : i + 1], relations[i : i + 1]).vectors
        for head, vectors in alone.items():
            torch.testing.assert_close(vectors[0], together[head][i])


def test_no_query_at_all(model) -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    scores = model.score(nothing, nothing)
    assert {head: tuple(s.shape) for head, s in scores.items()} == dict.fromkeys(
        model.heads, (0, 17)
    )


def test_gates_and_fusion_weights_are_shares(model, queries) -> None:
    for tower in (model.queries(*queries), model.candidates()):
        for gate in tower.gates.values():
            torch.testing.assert_close(gate.sum(dim=1), torch.ones(len(gate)).double())
        weights = tower.fusion_weights
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, weights.shape[1]).double())


def test_a_direction_of_a_relation_has_its_own_answers(model) -> None:
    heads = torch.tensor([4, 4])
    scores = model.score(heads, torch.tensor([1, 1 + model.num_relations]))
    for head in model.heads:
        assert not torch.allclose(scores[head][0], scores[head][1])


def test_evaluation_has_no_chance(model, queries) -> None:
    model.noise_generator = torch.Generator().manual_seed(0)
    state = model.noise_generator.get_state()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = model.score(*queries), model.score(*queries)
    assert all(torch.equal(first[head], second[head]) for head in model.heads)
    assert torch.equal(model.noise_generator.get_state(), state)
    assert torch.equal(torch.get_rng_state(), before)
    tracked = [decoder.input_norm.num_batches_tracked for decoder in model.decoders]
    assert all(int(count) == 0 for count in tracked)


def test_training_is_fixed_by_its_generator(model, queries) -> None:
    def score(seed: int) -> dict[str, Tensor]:
        model.train().noise_generator = torch.Generator().manual_seed(seed)
        return model.score(*queries)

    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second, other = score(1), score(1), score(2)
    assert torch.equal(torch.get_rng_state(), before)
    for head in model.heads:
        assert torch.equal(first[head], second[head])
        assert not torch.equal(first[head], other[head])


def test_threads_do_not_change_the_order_of_sums() -> None:
    """Two threads adding to one relation's temperature would."""
    model, before = build_model().float().train(), torch.get_num_threads()
    heads, relations = draw_queries(model, 70_000, 0)
    torch.set_num_threads(2)
    gradients = []
    for _ in range(3):
        model.zero_grad()
        gates = model.queries(heads, relations).gates
        sum(gate[:, 0].sum() for gate in gates.values()).backward()
        gradients.append(model.temperature.grad.clone())
    torch.set_num_threads(before)
    assert gradients[0].any()
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def test_presence() -> None:
    present = torch.arange(17) % 3 > 0
    spec = build_spec()
    model = MoMoK(spec, features={"text": torch.ones(17, 5)}, present={"text": present})
    assert torch.equal(model.present["text"], present)
    assert bool(model.present["structure"].all())
    assert JOINT not in model.present


def test_bfloat16_is_near(queries) -> None:
    model = build_model().float()
    exact = model.score(*queries)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = model.score(*queries)
    for head, scores in exact.items():
        spread = float(scores.detach().std())
        assert float((near[head].detach().float() - scores.detach()).abs().mean()) < 0.05 * spread


@pytest.mark.parametrize("experts", [1, 2])
def test_a_learned_projection_in_bfloat16(experts) -> None:
    """The projection narrows the entities before they reach the gate."""
    spec = MoMoKSpec(
        num_entities=17,
        num_relations=3,
        modalities=(ModalitySpec(name="text", width=4, table_width=9),),
        relation_width=4,
        joint_width=5,
        experts=experts,
    )
    features, present = torch.rand(17, 9), torch.arange(17) < 12
    model = MoMoK(spec, features={"text": features}, present={"text": present}).train()
    model.noise_generator = torch.Generator().manual_seed(0)
    queries = torch.tensor([0, 15, 16, 3]), torch.tensor([0, 1, 1, 5])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = model.queries(*queries)
        sum(vectors.float().square().sum() for vectors in encoded.vectors.values()).backward()
    assert encoded.gates["text"].dtype == torch.float32
    projection = model.tables[0].projection
    assert projection is not None
    assert projection.grad is not None
    assert projection.grad.isfinite().all()


def test_scores_of_a_softmax_are_log_probabilities_outside_training() -> None:
    spec = build_spec(decoder="complex", experts=0, joint_width=8, widths={"structure": 6, "b": 4})
    raw, model = build_model(spec), build_model(replace(spec, softmax=True))
    heads, relations = torch.arange(9), torch.arange(9) % 6
    for head, scores in model.score(heads, relations).items():
        expected = torch.log_softmax(raw.score(heads, relations)[head], dim=1)
        torch.testing.assert_close(scores, expected)
    with torch.no_grad():  # what was kept of the candidates is forgotten with the weights
        model.tables[0].weight.mul_(2.0)
    assert torch.allclose(
        model.train().eval().score(heads, relations)["structure"].exp().sum(dim=1),
        torch.ones(9).double(),
    )
    wide = model.train().queries(heads, relations).vectors["structure"]
    assert wide.shape == (9, 6)
