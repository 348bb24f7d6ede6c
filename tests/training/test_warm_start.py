"""Training that starts from a trained model: rows go where their labels are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import momok
from momok.config import resolve_config
from momok.errors import ConfigError, DataError, RunError
from momok.graph import Features, MultimodalGraph, Vocabulary
from momok.model import MoMoK
from momok.training import RunFolder, settings_from
from momok.training.build import build_model, find_reduced
from momok.training.checkpoint import load_model
from momok.training.warm_start import take_over
from tests.training.small_training import (
    KilledError,
    Killer,
    build_graph,
    configure,
    expect_line,
    read_outcome,
    train_small,
    write_graph,
)

POOLED = {
    "preset": "default",
    "model__members": 2,
    "model__experts": 0,
    "model__structure_width": 8,
    "training__epochs": 3,
    "training__validate_every": 3,
    "training__negatives": 16,
}


def grow(graph: MultimodalGraph, seed: int = 5) -> MultimodalGraph:
    """The same graph with its entities and relations in another order, and some of each new."""
    rng = np.random.default_rng(seed)
    labels = [*graph.entities.labels, "new 1", "new 2", "new 3"]
    kinds = [*graph.relations.labels, "new relation"]
    order, turn = rng.permutation(len(labels)), rng.permutation(len(kinds))
    place, kind = np.argsort(order), np.argsort(turn)

    def move(facts: np.ndarray) -> np.ndarray:
        return np.stack([place[facts[:, 0]], kind[facts[:, 1]], place[facts[:, 2]]], axis=1)

    first = len(graph.entities)
    more = np.array([(first, 0, 1), (2, 1, first + 1), (first + 2, len(kinds) - 1, 3)])
    features = {}
    for name, own in graph.features.items():
        extra = rng.normal(size=(3, own.matrix.shape[1])).astype(np.float32)
        matrix = np.concatenate([own.matrix, extra])[order]
        present = np.concatenate([own.present, [True, False, True]])[order]
        matrix[~present] = 0.0
        features[name] = Features(matrix, present, own.manifest)
    return MultimodalGraph(
        name="grown",
        entities=Vocabulary(tuple(labels[i] for i in order)),
        relations=Vocabulary(tuple(kinds[i] for i in turn)),
        train=move(np.concatenate([graph.train, more])),
        valid=move(graph.valid),
        test=move(graph.test),
        features=features,
    )


def score(model: MoMoK, graph: MultimodalGraph, labels: list[str]) -> dict[str, torch.Tensor]:
    """Raw scores of questions about old entities, for old entities, by label."""
    ids = torch.tensor([graph.entities.ids[label] for label in labels])
    relations = torch.tensor([graph.relations.ids["r1"]] * len(ids))
    both = torch.cat([relations, relations + graph.num_relations])
    with torch.no_grad():
        queries = model.eval().queries(torch.cat([ids, ids]), both, normalised=False).vectors
        candidates = model.candidates().vectors
    return {head: vectors @ candidates[head][ids].T for head, vectors in queries.items()}


@pytest.mark.parametrize("kind", ["experts", "pooled"])
def test_old_entities_score_as_before(tmp_path: Path, kind: str) -> None:
    settings = POOLED if kind == "pooled" else {"training__epochs": 2, "model__score_prior": False}
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, **settings)
    after = grow(graph)
    config = settings_from(run)
    model = build_model(after, config, torch.Generator().manual_seed(9))
    said = take_over(model, after, run, find_reduced(after, config))
    assert said == "new entities: 3, new relations: 1"
    trained, _ = load_model(run.best_checkpoint)
    if kind == "pooled":  # its rows are shrunk
        with torch.no_grad():
            for name, parameter in trained.named_parameters():
                if name.startswith("relations") or name.endswith("weight"):
                    parameter.mul_(0.2)
    labels = [f"e{i}" for i in range(0, 40, 3)]
    expected, found = score(trained, graph, labels), score(model, after, labels)
    for head, scores in expected.items():
        torch.testing.assert_close(found[head], scores, rtol=1e-4, atol=1e-5)


def test_features_reach_new_entities(tmp_path: Path) -> None:
    """By the trained maps: a new entity with the features of an old one is near it."""
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, **POOLED)
    after = grow(graph)
    own, new = after.features["image"], after.entities.ids["new 1"]
    old = int(np.flatnonzero(own.present)[0])
    own.matrix[new], own.present[new] = own.matrix[old], own.present[old]
    model = build_model(after, settings_from(run), torch.Generator().manual_seed(9))
    fresh = build_model(after, settings_from(run), torch.Generator().manual_seed(9))
    take_over(model, after, run, set())
    table, untrained = model.tables_by_name["image"], fresh.tables_by_name["image"]
    trained = load_model(run.best_checkpoint)[0].tables_by_name["image"]
    with torch.no_grad():
        said = table.vectors(table.rows(torch.tensor([new])), torch.tensor([new]))
        rows = untrained.rows(torch.tensor([new]))  # its own row begins as in any training
        features = torch.from_numpy(own.matrix[[new]]) / np.linalg.norm(own.matrix[new])
        expected = rows + trained.project(features)
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-5)


def test_components_of_another_graph_say_nothing(tmp_path: Path) -> None:
    """Reduced by components, a new entity begins at the mean of the rows there are."""
    graph = build_graph()
    settings = {"features__reduce": "pca", "features__width": 4, "training__epochs": 1}
    run = train_small(tmp_path / "run", graph, **settings)
    after, config = grow(graph), settings_from(run)
    assert find_reduced(after, config) == {"image", "text"}
    model = build_model(after, config, torch.Generator().manual_seed(9))
    take_over(model, after, run, find_reduced(after, config))
    trained = load_model(run.best_checkpoint)[0].tables_by_name["image"].weight
    table = model.tables_by_name["image"].weight
    new = after.entities.ids["new 1"]
    torch.testing.assert_close(table[new], trained.mean(dim=0))
    torch.testing.assert_close(table[after.entities.ids["e7"]], trained[7])


def test_a_third_of_the_epochs_and_the_settings_of_the_run(tmp_path: Path) -> None:
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, **POOLED | {"training__epochs": 6})
    again = momok.train(grow(graph), run=tmp_path / "again", start=run, progress=False)
    assert again.config.training.epochs == 2
    assert again.config.training.validate_every == 1
    assert again.config.model == run.config.model
    assert again.identity != run.identity
    more = momok.train(grow(graph), run=tmp_path / "more", start=run.path, progress=False, epochs=1)
    assert more.config.training.epochs == 1
    assert more.identity != again.identity


def test_started_and_not_started_are_different_runs(tmp_path: Path) -> None:
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, training__epochs=1)
    config = configure(training__epochs=1)
    started = momok.train(graph, config, run=tmp_path / "a", start=run, progress=False)
    apart = momok.train(graph, config, run=tmp_path / "b", progress=False)
    assert run.identity == apart.identity != started.identity


def test_killed_before_the_first_checkpoint_it_starts_again(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    run = train_small(tmp_path / "run", graph, training__epochs=2)
    settings = configure(training__epochs=2)
    whole = momok.train(graph, settings, run=tmp_path / "whole", start=run, progress=False)
    with pytest.raises(KilledError):
        momok.train(graph, settings, run=tmp_path / "cut", start=run, progress=Killer(2))
    assert not RunFolder(tmp_path / "cut").last_checkpoint.exists()
    resumed = momok.resume(tmp_path / "cut", progress=False)
    assert read_outcome(resumed) == read_outcome(whole)


def test_a_start_that_has_changed_is_refused(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    run = train_small(tmp_path / "run", graph, training__epochs=1)
    settings = configure(training__epochs=1)
    with pytest.raises(KilledError):
        momok.train(graph, settings, run=tmp_path / "cut", start=run, progress=Killer(1))
    run.best_checkpoint.write_bytes(run.last_checkpoint.read_bytes())
    with expect_line(RunError, "was to be started from its checkpoint, which has changed"):
        momok.resume(tmp_path / "cut", progress=False)


def test_other_models_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, training__epochs=1)
    for settings, words in (
        ({"model__joint_width": 10}, "joint_width = 8, and this one 10"),
        ({"model__modalities": "structure,image"}, "structure (8 numbers), image (10 numbers), te"),
    ):
        with expect_line(ConfigError, words, "leave these settings as they were"):
            momok.train(graph, configure(**settings), run=tmp_path / "x", start=run, progress=False)
        assert not (tmp_path / "x").exists()
    wider = build_graph(image=10, text=14)
    with expect_line(ConfigError, "text (12 numbers)", "text (14 numbers)"):
        momok.train(wider, run=tmp_path / "x", start=run, progress=False)


def test_settings_stand_in_the_place_of_a_preset() -> None:
    base = configure(training__epochs=5)
    found = resolve_config(base=base, overrides={"training.batch_size": 7})
    assert found.training.epochs == 5
    assert found.training.batch_size == 7
    with expect_line(ConfigError, "preset 'paper'", "those of the run that is started from"):
        resolve_config("paper", base=base)


def test_what_the_other_run_has_learned_from_is_not_held_out(tmp_path: Path) -> None:
    """A split drawn anew puts train facts of the start into test: it would look very good."""
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, training__epochs=1)
    facts = np.concatenate([graph.train, graph.valid, graph.test])
    turned = replace(graph, train=facts[40:], valid=facts[:20], test=facts[20:40])
    with expect_line(
        DataError, "20 of the 20 valid facts of 'shifts' are train facts of", "Keep its"
    ):
        momok.train(turned, run=tmp_path / "b", start=run, progress=False)
    assert not (tmp_path / "b").exists()


def test_runs_that_nothing_can_start_from(tmp_path: Path) -> None:
    graph = build_graph()
    run = train_small(tmp_path / "run", graph, training__epochs=1)
    other = replace(graph, entities=Vocabulary(tuple(f"x{i}" for i in range(40))))
    with expect_line(DataError, "has no entity of 'shifts' by its label"):
        momok.train(other, run=tmp_path / "a", start=run, progress=False)
    own = graph.features["image"]
    encoded = replace(own, manifest=replace(own.manifest, encoder="another"))
    with expect_line(ConfigError, "image features of ''", "are of 'another'; encode them alike"):
        momok.train(
            graph.with_features({**graph.features, "image": encoded}),
            run=tmp_path / "a", start=run, progress=False,
        )  # fmt: skip
    run.set_state("interrupted")
    with expect_line(RunError, "this run is interrupted; training starts from finished ones"):
        momok.train(graph, run=tmp_path / "a", start=run, progress=False)
    assert not (tmp_path / "a").exists()
