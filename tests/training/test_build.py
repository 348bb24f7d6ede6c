"""From a graph and settings to a model, and what every switch changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from momok.config import resolve_config
from momok.errors import ConfigError, FeatureError
from momok.graph import Features, l2_normalise, pool
from momok.graph.reductions import find_components
from momok.model import DECODERS, FUSIONS
from momok.presets import PRESETS
from momok.settings import ModelSettings, RunConfig, TrainingSettings
from momok.training.build import build_model, check_parts, choose_modalities
from momok.training.losses import LOSSES, REGULARISERS
from tests.training.small_training import (
    build_graph,
    build_small,
    configure,
    copy_state,
    expect_line,
    find_changes,
    take_step,
)

GRAPH = build_graph()


# -- decoders, fusions, losses and regularisers by name --------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("model.decoder", "rotat", "did you mean rotate"),
        ("model.fusion", "conkat", "did you mean concat"),
        ("training.loss", "sampled softmax", "did you mean softmax"),
        ("training.regulariser", "xyz", "there are none, dura, n3, l2"),
    ],
)
def test_a_part_that_is_not_there(setting, value, words) -> None:
    with pytest.raises(ConfigError, match=f"{setting} = '{value}'.*{words}"):
        check_parts(resolve_config(overrides={setting: value}))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_parts_of_the_presets_are_there(preset) -> None:
    check_parts(resolve_config(preset))


def test_the_settings_list_the_parts_that_there_are() -> None:
    model, training = ModelSettings.model_fields, TrainingSettings.model_fields
    assert set(model["decoder"].examples or ()) == set(DECODERS)
    assert set(model["fusion"].examples or ()) == set(FUSIONS)
    assert set(training["loss"].examples or ()) == set(LOSSES)
    assert set(training["regulariser"].examples or ()) == {"none", *REGULARISERS}


# -- which modalities ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((), ("structure", "image", "text")),
        (("text", "structure"), ("text", "structure")),
        ("image,structure", ("image", "structure")),
        (("image",), ("image",)),
    ],
)
def test_modalities_in_the_order_asked_for(chosen, expected) -> None:
    model = build_small(model__modalities=chosen)
    assert model.modalities == expected
    assert model.heads == (*expected, "joint")
    assert [int(table.weight.shape[1]) for table in model.tables] == [
        {"structure": 8, "image": 10, "text": 12}[name] for name in expected
    ]


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        (("structure", "sound"), "'sound'"),
        (("text", "text"), "'text'"),
        (("joint",), "'joint'"),
        (("answer", "structure"), "'answer'"),
    ],
)
def test_modalities_that_cannot_be_used(chosen, named) -> None:
    config = configure(model__modalities=chosen)
    with expect_line(ConfigError, f"model.modalities: {named}", "has structure, image, text"):
        choose_modalities(GRAPH, config)


@pytest.mark.parametrize("name", ["joint", "answer", "rules", "structure"])
def test_features_with_the_name_of_another_part(name) -> None:
    graph = GRAPH.with_features({name: GRAPH.features["text"]})
    with expect_line(ConfigError, f"model.modalities: {name!r}"):
        choose_modalities(graph, configure())


def test_settings_of_a_modality_that_is_not_there() -> None:
    with expect_line(ConfigError, "modality.sound", "it has image, text"):
        build_small(modality__sound__width=3)


def test_features_of_no_entity() -> None:
    text = GRAPH.features["text"]
    nothing = Features(np.zeros_like(text.matrix), np.zeros_like(text.present), text.manifest)
    graph = GRAPH.with_features({"text": nothing})
    with expect_line(FeatureError, "modality 'text': no entity has features"):
        build_small(graph)
    assert build_small(graph, model__modalities=("structure", "image")).modalities[1] == "image"


def test_a_further_modality_is_data_alone() -> None:
    graph = build_graph(facts=120, image=10, text=12, audio=7)
    model = build_small(graph, modality__audio__trainable=False)
    assert model.heads == ("structure", "image", "text", "audio", "joint")
    before = copy_state(model)
    losses = take_step(model, graph)
    assert list(losses)[: len(model.heads)] == [f"loss/{head}" for head in model.heads]
    changes = find_changes(before, model)
    assert "tables.2.weight" in changes
    assert "tables.3.weight" not in changes
    assert "banks.3.weight" in changes


# -- what stands for a missing vector ------------------------------------------------------------


def get_rows(policy: str, **more: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised features of the text, which are present, and what the experts see."""
    model = build_small(features__missing=policy, **more)
    features = GRAPH.features["text"]
    table = model.tables[2]
    given = torch.from_numpy(l2_normalise(features.matrix))
    return given, torch.from_numpy(features.present), table.vectors(table.rows()).detach()


@pytest.mark.parametrize("policy", ["mean", "zero", "random"])
def test_present_rows_are_the_features(policy) -> None:
    given, present, seen = get_rows(policy)
    assert not bool(present.all())
    assert torch.equal(seen[present], given[present])


def test_mean() -> None:
    given, present, seen = get_rows("mean")
    expected = given[present].mean(dim=0)
    torch.testing.assert_close(seen[~present], expected.expand(int((~present).sum()), -1))


def test_zero() -> None:
    _, present, seen = get_rows("zero")
    assert not seen[~present].any()


def test_random_has_the_length_of_the_others() -> None:
    _, present, seen = get_rows("random")
    absent = seen[~present]
    torch.testing.assert_close(absent.norm(dim=1), torch.ones(len(absent)))
    assert len(torch.unique(absent, dim=0)) == len(absent)


def test_random_has_the_length_of_the_others_without_normalisation() -> None:
    model = build_small(features__missing="random", features__normalise=False)
    features = GRAPH.features["text"]
    present = torch.from_numpy(features.present)
    lengths = torch.from_numpy(features.matrix)[present].norm(dim=1)
    seen = model.tables[2].rows().detach()
    torch.testing.assert_close(seen[present].norm(dim=1), lengths)
    absent = seen[~present].norm(dim=1)
    torch.testing.assert_close(absent, lengths.mean().expand(len(absent)))


def test_mapped_rows_are_free_ones_plus_a_map_of_centred_features() -> None:
    model = build_small(features__mapped=True, model__initial_scale=0.1)
    given, present = GRAPH.features["text"], torch.from_numpy(GRAPH.features["text"].present)
    table = model.tables[2]
    assert table.weight.shape == (40, 8)
    assert float(table.weight.detach().std()) == pytest.approx(0.1, rel=0.2)
    seen = table.vectors(table.rows()).detach()
    assert torch.equal(seen[~present], table.weight.detach()[~present])
    rows = torch.from_numpy(l2_normalise(given.matrix))
    centred = rows - rows[present].mean(dim=0)
    expected = table.weight + centred @ table.projection.T
    torch.testing.assert_close(seen[present], expected.detach()[present])
    torch.testing.assert_close(
        table.project(rows[present]), (centred @ table.projection.T)[present]
    )
    before = copy_state(model)
    take_step(model)
    changed = find_changes(before, model)
    assert {"tables.2.weight", "tables.2.projection"} <= changed
    assert "tables.2.features" not in changed


def test_odd_widths_are_refused_by_decoders_of_complex_numbers() -> None:
    with expect_line(ConfigError, "model.decoder = complex", "'structure'", "width 7"):
        build_small(model__decoder="complex", model__structure_width=7)


# -- how features are narrowed -------------------------------------------------------------------


@pytest.mark.parametrize("normalise", [True, False])
def test_reductions(normalise) -> None:
    features = GRAPH.features["text"]
    matrix = l2_normalise(features.matrix) if normalise else features.matrix
    narrow = find_components(matrix[features.present], 5).reduce(matrix)
    narrow[~features.present] = 0.0
    expected = {
        "none": matrix,
        "pca": narrow,
        "pool": pool(matrix, (1, 12), (1, 5)),
        "project": matrix,
    }
    for reduce, wanted in expected.items():
        model = build_small(
            features__reduce=reduce,
            features__width=5,
            features__normalise=normalise,
            features__missing="zero",
        )
        table = model.tables[2]
        np.testing.assert_array_equal(table.weight.detach().numpy(), wanted)
        assert model.spec.modalities[2].width == (12 if reduce == "none" else 5)
        if reduce == "project":
            assert table.vectors(table.rows()).shape == (40, 5)


def test_vectors_that_are_narrow_already_are_kept() -> None:
    for reduce in ("none", "pca", "pool", "paper", "project"):
        model = build_small(features__reduce=reduce, features__width=12)
        assert [int(t.weight.shape[1]) for t in model.tables] == [8, 10, 12]
        assert all(table.projection is None for table in model.tables)


def test_pooling_by_grid() -> None:
    grid = {"modality.text.pool_grid": (3, 4), "modality.text.pool_target": (1, 4)}
    model = build_small(features__reduce="pool", features__missing="zero", **grid)
    matrix = l2_normalise(GRAPH.features["text"].matrix)
    expected = matrix.reshape(-1, 3, 4).mean(axis=1)
    np.testing.assert_allclose(model.tables[2].weight.detach(), expected, atol=1e-7)


def test_features_that_cannot_be_narrowed_are_named() -> None:
    with expect_line(FeatureError, "modality 'text': pooling 5 x 5 to 1 x 4", "width 12"):
        build_small(features__reduce="pool", features__width=4, modality__text__pool_grid=(5, 5))


# -- trainable and frozen tables -----------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["none", "project"])
def test_frozen_tables_stay_and_trainable_ones_do_not(reduce) -> None:
    model = build_small(
        features__reduce=reduce, features__width=6, modality__image__trainable=False
    )
    before = copy_state(model)
    take_step(model)
    changes = find_changes(before, model)
    assert {"tables.0.weight", "tables.2.weight"} <= changes
    assert "tables.1.weight" not in changes
    assert ("tables.1.projection" in changes) == (reduce == "project")
    assert not any(name.endswith("present") for name in changes)


# -- one seed, one model -------------------------------------------------------------------------


def test_the_generator_fixes_the_weights() -> None:
    first, second, other = (
        build_small(seed=seed, features__missing="random") for seed in (1, 1, 2)
    )
    assert not find_changes(copy_state(first), second)
    assert {"tables.0.weight", "tables.1.weight", "banks.0.weight", "relations.0"} <= find_changes(
        copy_state(first), other
    )


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    take_step(build_small())
    assert torch.equal(torch.rand(3), expected)


def test_the_graph_is_left_alone() -> None:
    before = {name: f.matrix.copy() for name, f in GRAPH.features.items()}
    for _ in range(2):
        take_step(build_small(features__normalise=False))
    for name, matrix in before.items():
        np.testing.assert_array_equal(GRAPH.features[name].matrix, matrix)


def test_a_preset_gives_a_model_too() -> None:
    config: RunConfig = resolve_config("paper", overrides={"model.structure_width": 16})
    graph = replace(GRAPH, features={})
    model = build_model(graph, config, torch.Generator())
    assert model.heads == ("structure", "joint")
