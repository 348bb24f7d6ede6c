"""The plain method against the numbers of the authors' implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.plain import (
    Chance,
    DropoutRates,
    PlainMoMoK,
    PlainOutput,
    PlainSizes,
    StepLosses,
    build_clubs,
    build_labels,
    build_optimizers,
    collect_answers,
    compute_mutual_information,
    compute_task_loss,
    get_authors_name,
    load_authors_checkpoint,
    plain_rank,
    plain_train_step,
    rank_as_published,
)
from torch import Tensor, nn

HEADS = ("structure", "image", "text", "joint")
MODALITIES = HEADS[:3]
MI_WEIGHT, LEARNING_RATE, STEPS = 0.01, 1e-3, 5  # reference/tiny/config.json

Expected = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def expected(reference: Path) -> Expected:
    with np.load(reference / "tiny" / "expected.npz") as file:
        return dict(file)


@pytest.fixture
def loaded(reference: Path) -> tuple[PlainMoMoK, nn.ModuleDict]:
    model, clubs = load_authors_checkpoint(reference / "tiny", rates=DropoutRates.none())
    model.set_gate_noise(False)
    return model, clubs


def make_batch(expected: Expected) -> tuple[Tensor, Tensor, Tensor]:
    queries = torch.from_numpy(expected["queries"])
    return queries[:, 0], queries[:, 1], torch.from_numpy(expected["targets"])


def make_chance(expected: Expected) -> Chance:
    permutation = torch.roll(torch.arange(len(expected["queries"])), 1)
    return Chance(expert_pair=(0, 1), estimator_pair=(0, 1), permutation=permutation)


def answer(model: PlainMoMoK, expected: Expected) -> PlainOutput:
    heads, relations, _ = make_batch(expected)
    with torch.no_grad():
        return model(heads, relations)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_in_evaluation(
    reference: Path, expected: Expected, dtype: torch.dtype
) -> None:
    model, _ = load_authors_checkpoint(reference / "tiny", dtype=dtype)
    output = answer(model.eval(), expected)
    for head in HEADS:
        np.testing.assert_allclose(
            output.probabilities[head], expected[f"eval_prob_{head}"], rtol=0, atol=1e-5
        )


def test_gates_and_fusion_weights(
    loaded: tuple[PlainMoMoK, nn.ModuleDict], expected: Expected
) -> None:
    output = answer(loaded[0].eval(), expected)
    for name in MODALITIES:
        np.testing.assert_allclose(
            output.gates[name], expected[f"eval_gate_{name}"], rtol=0, atol=1e-5
        )
    assert output.fusion_weights is not None
    np.testing.assert_allclose(
        output.fusion_weights[1], expected["eval_fusion_weights_last_head"], rtol=0, atol=1e-5
    )


def test_probabilities_of_the_first_training_step(
    loaded: tuple[PlainMoMoK, nn.ModuleDict], expected: Expected
) -> None:
    output = answer(loaded[0].train(), expected)
    for head in HEADS:
        np.testing.assert_allclose(
            output.probabilities[head], expected[f"train_prob_{head}"], rtol=1e-4
        )


def test_gradients_of_the_first_training_step(
    loaded: tuple[PlainMoMoK, nn.ModuleDict], expected: Expected
) -> None:
    model, clubs = loaded
    heads, relations, labels = make_batch(expected)
    output = model.train()(heads, relations)
    information = compute_mutual_information(clubs, output.expert_outputs, make_chance(expected))
    (compute_task_loss(output.probabilities, labels) + MI_WEIGHT * information).backward()

    norms = {
        get_authors_name(name): parameter.grad.norm().item()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    prefix = "grad_norm/"
    wanted = {k.removeprefix(prefix): float(v) for k, v in expected.items() if k.startswith(prefix)}
    assert norms == pytest.approx(wanted, rel=1e-4)
    # Without noise the noise weights are out of the graph; nothing else is.
    silent = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert silent == {f"banks.{name}.noise_weight" for name in MODALITIES}


def test_five_training_steps(loaded: tuple[PlainMoMoK, nn.ModuleDict], expected: Expected) -> None:
    model, clubs = loaded
    optimizers = build_optimizers(model.train(), clubs, LEARNING_RATE)
    losses: list[StepLosses] = [
        plain_train_step(
            model,
            clubs,
            optimizers,
            make_batch(expected),
            mi_weight=MI_WEIGHT,
            chance=make_chance(expected),
        )
        for _ in range(STEPS)
    ]
    np.testing.assert_allclose([x.task for x in losses], expected["loss_bce"], rtol=1e-4)
    np.testing.assert_allclose(
        [x.mutual_information for x in losses], expected["loss_mi"], rtol=1e-4
    )
    np.testing.assert_allclose([x.estimator for x in losses], expected["loss_estimator"], rtol=1e-4)

    output = answer(model.eval(), expected)
    for head in HEADS:
        np.testing.assert_allclose(
            output.probabilities[head], expected[f"after_prob_{head}"], rtol=1e-4
        )


def make_small_model(joint_width: int | None = 5) -> PlainMoMoK:
    torch.manual_seed(0)
    sizes = PlainSizes(
        num_entities=12,
        num_relations=2,
        widths={"structure": 4, "sound": 6},
        joint_width=joint_width,
        relation_width=3,
        num_experts=2,
    )
    return PlainMoMoK(sizes, features={"sound": torch.rand(12, 6)}, dtype=torch.float64)


def test_any_modalities_in_float64() -> None:
    model = make_small_model()
    output = model.eval()(torch.tensor([0, 6]), torch.tensor([3, 0]))
    assert tuple(output.probabilities) == ("structure", "sound", "joint")
    assert {p.dtype for p in output.probabilities.values()} == {torch.float64}
    assert output.fusion_weights is not None
    torch.testing.assert_close(output.fusion_weights.sum(2), torch.ones(2, 2, dtype=torch.float64))
    norms = model.entity_tables["sound"].weight.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(12, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("joint_width", [5, None])
def test_training_with_chance_lowers_the_loss(joint_width: int | None) -> None:
    model = make_small_model(joint_width)
    clubs = build_clubs(model.sizes, torch.float64)
    known = collect_answers([(0, 0, 1), (2, 1, 3), (4, 0, 5), (6, 1, 0)], 2)
    queries = torch.tensor(list(known))
    labels = build_labels(known, queries[:, 0], queries[:, 1], 12, torch.float64)
    optimizers = build_optimizers(model.train(), clubs, 0.01)
    batch = (queries[:, 0], queries[:, 1], labels)
    losses = [plain_train_step(model, clubs, optimizers, batch).task for _ in range(30)]
    assert np.mean(losses[-5:]) < losses[0]


def test_labels_carry_every_known_answer_and_reciprocals() -> None:
    known = collect_answers([(0, 0, 1), (0, 0, 2), (3, 1, 1)], 2)
    heads, relations = torch.tensor([0, 1, 1, 3]), torch.tensor([0, 2, 3, 0])
    assert build_labels(known, heads, relations, 4).tolist() == [
        [0, 1, 1, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]


def test_ranks_are_filtered() -> None:
    model = make_small_model().eval()
    known = collect_answers([(0, 0, tail) for tail in range(1, 12)], 2)
    queries, answers = torch.tensor([[0, 0]] * 11), torch.arange(1, 12)
    ranks = plain_rank(model, queries, answers, known, batch_size=4, heads=("answer", "sound"))
    with torch.no_grad():
        output = model(queries[:, 0], queries[:, 1])
    for head, scores in (("answer", output.answer), ("sound", output.probabilities["sound"])):
        # Entity 0 is the only candidate that is not a known answer.
        wanted = 1 + (scores[0, 0] > scores[0, 1:]).long()
        assert ranks[head].tolist() == wanted.tolist()


@pytest.mark.parametrize("head", ["answer", "sound"])
def test_ranks_as_published_are_the_same_ranks(head: str) -> None:
    model = make_small_model().eval()
    N, R = model.sizes.num_entities, model.sizes.num_relations
    known = collect_answers([(h, r, (h * 3 + r) % N) for h in range(N) for r in range(R)], R)
    queries = torch.tensor(list(known))
    answers = torch.tensor([tails[0] for tails in known.values()])
    plain = plain_rank(model, queries, answers, known, batch_size=5, heads=(head,))[head]
    published = rank_as_published(model, queries, answers, known, head=head, batch_size=7)
    assert published.tolist() == plain.tolist()


def test_as_published_an_answer_falls_anywhere_among_its_equals() -> None:
    model = make_small_model().eval()
    N = model.sizes.num_entities
    with torch.no_grad():  # every entity has the same vector, so every candidate the same score
        for table in model.entity_tables.values():
            table.weight.copy_(table.weight[:1].expand(N, -1))
    queries, answers = torch.tensor([[0, 0]] * 200), torch.full((200,), 3)
    ranks = rank_as_published(model, queries, answers, {}, head="answer")
    assert int(ranks.min()) == 1
    assert int(ranks.max()) == N - 1  # the last place is never drawn, as published
    assert abs(float(ranks.double().mean()) - N / 2) < 1
