"""Every loss with every decoder and fusion: equal to its plain form, in value and every gradient.

The plain form is written with the scores of all entities at once, in float64, and autograd.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from momok.errors import ConfigError
from momok.model import DECODERS, FUSIONS, ModalitySpec, MoMoK, MoMoKSpec
from momok.training.candidates import CandidateBlock, all_candidates
from momok.training.checkpoint import load_model
from momok.training.losses import (
    LOSSES,
    REGULARISERS,
    SAMPLED_LOSSES,
    CellLoss,
    RowLoss,
    choose_loss,
)
from momok.training.optimizers import Optimizers
from momok.training.queries import QueryBatch
from momok.training.step import training_step

from .small_training import expect_line, read_outcome, sum_heads, train_small
from .test_objective import SMOOTHING, B, N, R, build_batch

SAMPLE = torch.tensor([3, 3, 20, 7, 11, 0])


def build(decoder: str, fusion: str, experts: int) -> MoMoK:
    generator = torch.Generator().manual_seed(0)
    spec = MoMoKSpec(
        num_entities=N,
        num_relations=R,
        modalities=(
            ModalitySpec(name="structure", width=6, table_width=6),
            ModalitySpec(name="text", width=6, table_width=5, mapped=True),
        ),
        decoder=decoder,
        fusion=fusion,
        experts=experts,
        relation_width=4,
        joint_width=8,
        expert_dropout=0.0,
        fusion_dropout=0.0,
        decoder_dropouts=(0.0, 0.0, 0.0),
        gate_noise=False,
    )
    features = torch.randn(N, 5, generator=generator)
    model = MoMoK(spec, features={"text": features}, generator=generator).double()
    with torch.no_grad():  # zeros and tiny numbers hide mistakes
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.3)
    return model.train()


def compute_plainly(
    name: str, scores: Tensor, labels: Tensor, batch: QueryBatch, sample: Tensor
) -> Tensor:
    """The loss of one head from the scores [B, N] of all entities."""
    answers = scores[batch.rows, batch.answers]
    if name == "softmax":
        return -torch.log_softmax(scores, 1)[batch.rows, batch.answers].mean()
    if name == "sampled softmax":
        estimate = torch.logsumexp(scores[:, sample], 1) + math.log(N / len(sample))
        return (torch.logaddexp(estimate[batch.rows], answers) - answers).mean()
    targets = (1 - SMOOTHING) * labels + 1 / N
    return F.binary_cross_entropy_with_logits(scores, targets)


def penalise_plainly(kind: str, x: Tensor, r: Tensor, t: Tensor, *, complex_: bool) -> Tensor:
    """Mean over facts of the penalty; x, r, t are the vectors of every fact."""

    def moduli(v: Tensor) -> Tensor:
        half = v.shape[1] // 2
        return torch.complex(v[:, :half], v[:, half:]).abs() if complex_ else v.abs()

    if kind == "l2":
        return sum((v * v).sum(1).mean() for v in (x, r, t))  # type: ignore[return-value]
    if kind == "n3":
        return sum(moduli(v).pow(3).sum(1).mean() for v in (x, r, t))  # type: ignore[return-value]
    products = [(moduli(v) * moduli(r)).square().sum(1).mean() for v in (x, t)]
    return sum(moduli(v).square().sum(1).mean() for v in (x, t)) + sum(products)  # type: ignore[return-value]


class NoUpdate(Optimizers):
    """Leaves the gradients of a step to be looked at."""

    def __init__(self) -> None:
        super().__init__([], [])


def take_step(model: MoMoK, batch: QueryBatch, monkeypatch, **more) -> float:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(torch, "randint", lambda *_args, **_kw: SAMPLE.clone())
    losses = training_step(
        model, batch, NoUpdate(), None, generator=torch.Generator(), smoothing=SMOOTHING, **more
    )
    return float(sum_heads(losses))


def assert_gradients_equal(found: MoMoK, wanted: MoMoK) -> None:
    for (name, parameter), other in zip(found.named_parameters(), wanted.parameters(), strict=True):
        expected = torch.zeros_like(other) if other.grad is None else other.grad
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-12, msg=name)


@pytest.mark.parametrize("block", [1000, 5])
@pytest.mark.parametrize("experts", [0, 2])
@pytest.mark.parametrize("loss", [*(n for n in LOSSES if n != "probabilities"), "sampled softmax"])
@pytest.mark.parametrize(
    ("decoder", "fusion"), [*((d, "mujod") for d in DECODERS), *(("complex", f) for f in FUSIONS)]
)
def test_loss_and_gradients_equal_autograd(  # noqa: PLR0917
    decoder, fusion, loss, experts, block, monkeypatch
) -> None:
    (batch, labels), sample = build_batch(), SAMPLE
    plain, model = build(decoder, fusion, experts), build(decoder, fusion, experts)
    scores = plain.score(batch.heads, batch.relations)
    expected = sum(compute_plainly(loss, s, labels, batch, sample) for s in scores.values())
    expected.backward()
    sampled = loss == "sampled softmax"
    chosen = choose_loss("softmax" if sampled else loss, sampled=sampled)
    negatives = len(sample) if sampled else None
    found = take_step(model, batch, monkeypatch, loss=chosen, block=block, negatives=negatives)
    assert found == pytest.approx(expected.item(), rel=1e-9)
    assert_gradients_equal(model, plain)


def repeat(batch: QueryBatch, times: Tensor) -> QueryBatch:
    """The batch with every positive there as often as ``times`` [P] says."""
    rows, answers = (x.repeat_interleave(times) for x in (batch.rows, batch.answers))
    return QueryBatch(heads=batch.heads, relations=batch.relations, rows=rows, answers=answers)


@pytest.mark.parametrize("block", [1000, 5])
@pytest.mark.parametrize(
    ("loss", "negatives"),
    [("softmax", None), ("softmax", len(SAMPLE)), ("logits", None), ("probabilities", None)],
)
def test_a_fact_of_weight_two_counts_as_two(loss, negatives, block, monkeypatch) -> None:
    batch, labels = build_batch()
    times = torch.arange(len(batch.rows)) % 3 + 1
    plain, model = build("complex", "mean", 2), build("complex", "mean", 2)
    scores = plain.score(batch.heads, batch.relations)
    if loss == "softmax":
        name = "softmax" if negatives is None else "sampled softmax"
        several = repeat(batch, times)
        costs = [compute_plainly(name, s, labels, several, SAMPLE) for s in scores.values()]
    else:  # the pair of query and entity stands among the cells so often
        targets = (1 - SMOOTHING) * labels + 1 / N
        cells = labels.clone()
        cells[batch.rows, batch.answers] = times.double()
        cells = torch.where(labels == 0, 1.0, cells)
        costs = [
            F.binary_cross_entropy_with_logits(s, targets, cells, reduction="sum") / (B * N)
            for s in scores.values()
        ]
    torch.stack(costs).sum().backward()
    found = take_step(
        model,
        replace(batch, weights=times.double()),
        monkeypatch,
        loss=choose_loss(loss, sampled=negatives is not None),
        negatives=negatives,
        block=block,
    )
    assert found == pytest.approx(sum(costs).item(), rel=1e-9)
    assert_gradients_equal(model, plain)


@pytest.mark.parametrize("kind", REGULARISERS)
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_weights_of_facts_are_those_of_their_penalties(scale, kind, monkeypatch) -> None:
    """And a constant that all are multiplied by is no matter."""
    batch, times = build_batch()[0], torch.arange(len(build_batch()[0].rows)) % 3 + 1
    plain, model = build("complex", "mean", 0), build("complex", "mean", 0)
    more = {"loss": LOSSES["softmax"], "regulariser": (REGULARISERS[kind], 0.3), "block": 5}
    expected = take_step(plain, repeat(batch, times), monkeypatch, **more)
    weighted = replace(batch, weights=scale * times.double())
    assert take_step(model, weighted, monkeypatch, **more) == pytest.approx(expected, rel=1e-9)
    assert_gradients_equal(model, plain)


@pytest.mark.parametrize("kind", REGULARISERS)
@pytest.mark.parametrize("decoder", ["complex", "distmult", "rotate", "tucker"])
def test_regularisers_equal_autograd(decoder, kind, monkeypatch) -> None:
    if kind in ("dura", "n3") and not DECODERS[decoder].multiplies:
        pytest.skip("not a product number by number")
    (batch, labels), weight = build_batch(), 0.3
    plain, model = build(decoder, "mujod", 0), build(decoder, "mujod", 0)
    queries = plain.queries(batch.heads, batch.relations)
    candidates = plain.candidates(torch.arange(N))
    distinct = torch.unique(batch.relations)
    place = torch.searchsorted(distinct, batch.relations)
    terms = []
    for head, q in queries.vectors.items():
        scores = q @ candidates.vectors[head].T
        terms.append(compute_plainly("softmax", scores, labels, batch, SAMPLE))
        order = torch.argsort(_distinct_of(batch.relations))
        relations = queries.relations[head][order][place]
        penalty = penalise_plainly(
            kind,
            queries.entities[head][batch.rows],
            relations[batch.rows],
            candidates.entities[head][batch.answers],
            complex_=decoder == "complex",
        )
        terms.append(weight * penalty)
    torch.stack(terms).sum().backward()
    take_step(
        model,
        batch,
        monkeypatch,
        loss=LOSSES["softmax"],
        regulariser=(REGULARISERS[kind], weight),
        block=5,
    )
    assert_gradients_equal(model, plain)


def _distinct_of(relations: Tensor) -> Tensor:
    from momok.model import group_by_relation

    return group_by_relation(relations).distinct


def test_the_names_say_which_kind() -> None:
    kinds = {name: issubclass(loss, CellLoss) for name, loss in LOSSES.items()}
    assert kinds == {
        "logits": True,
        "probabilities": True,
        "softmax": False,
    }
    assert all(issubclass(loss, CellLoss | RowLoss) for loss in LOSSES.values())


def test_a_sample_of_everybody_costs_what_all_do() -> None:
    """Each entity once in the sample, beside itself: N answers among N others."""
    normaliser, answers = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0])
    cost, by_normaliser, by_answer = SAMPLED_LOSSES["softmax"].cost(normaliser, answers)
    expected = torch.log(normaliser.exp() + answers.exp()) - answers
    torch.testing.assert_close(cost, expected)
    torch.testing.assert_close(by_normaliser + by_answer, torch.zeros(2))


def test_nothing_of_all_scores_is_kept(monkeypatch) -> None:
    """With all candidates the largest tensor of a step is a block's, not B x N."""
    batch, _ = build_batch()
    model = build("complex", "mean", 0)
    seen = []
    import momok.training.objective as module

    score = module.score_in_tiles
    monkeypatch.setattr(
        module, "score_in_tiles", lambda q, c: (seen.append((len(q), len(c))), score(q, c))[1]
    )
    take_step(model, batch, monkeypatch, loss=LOSSES["softmax"], block=5)
    assert seen
    assert max(n for _, n in seen) == 5
    assert all(isinstance(block, CandidateBlock) for block in all_candidates(batch, N, 5))
    assert {b for b, _ in seen} == {B}


def test_heads_of_mapped_features_are_read_back(tmp_path) -> None:
    run = train_small(
        tmp_path / "run",
        model__decoder="complex",
        model__experts=0,
        model__heads="modalities",
        model__score_prior=False,
        features__mapped=True,
        training__loss="softmax",
        training__optimizer="adagrad",
        training__epochs=4,
    )
    model, _ = load_model(run.best_checkpoint)
    assert model.heads == ("structure", "image", "text")
    assert model.softmax
    table = model.tables_by_name["text"]
    assert float(table.features.norm()) > 1
    assert set(run.load_evaluation("test").overall) == {*model.heads, "answer"}


@pytest.mark.parametrize("preset", ["complex", "distmult", "rotate", "tucker"])
def test_a_baseline_trains_and_resumes_to_the_bit(preset, tmp_path) -> None:
    import momok
    from momok.config import resolve_config

    from .small_training import Interrupter, build_graph

    config = resolve_config(
        preset,
        overrides={
            "model.structure_width": 8,
            "model.relation_width": 8,
            "training.epochs": 4,
            "training.validate_every": 2,
            "training.batch_size": 32,
            "training.negatives": 16,
            "runtime.threads": 1,
            "runtime.precision": "float32",
        },
    )
    graph = build_graph()
    whole = momok.train(graph, config, run=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        momok.train(graph, config, run=tmp_path / "cut", progress=Interrupter(steps=7))
    momok.resume(tmp_path / "cut", progress=False)
    assert read_outcome(whole) == read_outcome(tmp_path / "cut")
    assert whole.load_evaluation("test").overall["structure"].mrr > 0.05


@pytest.mark.parametrize("decoder", ["tucker", "rotate"])
@pytest.mark.parametrize("kind", ["dura", "n3"])
def test_dura_and_n3_need_a_decoder_that_multiplies(kind, decoder, tmp_path) -> None:
    with expect_line(ConfigError, f"training.regulariser = {kind}", decoder, "choose l2"):
        train_small(
            tmp_path / "run",
            model__decoder=decoder,
            model__modalities=("structure",),
            training__regulariser=kind,
            training__regularisation=0.1,
        )
