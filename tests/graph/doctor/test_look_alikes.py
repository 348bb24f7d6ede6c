"""Entities that share a vector or a picture, and pictures that look alike."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from momok.graph import MultimodalGraph, Vocabulary
from momok.graph.doctor import look_alikes
from momok.graph.doctor.look_alikes import (
    count_duplicates,
    group_alike,
    hash_picture,
)
from momok.graph.triples import join_pairs
from tests.encoders.tiny_pictures import draw_picture
from tests.graph.small_graph import as_triples

FACTS = as_triples([(0, 0, 1)])
GRAPH = MultimodalGraph(
    name="g",
    entities=Vocabulary(tuple(f"e{i}" for i in range(8))),
    relations=Vocabulary(("r",)),
    train=FACTS,
    valid=FACTS,
    test=FACTS,
)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=20))
def test_groups_of_several_entities(pairs):
    members = defaultdict(set)
    for group, entity in pairs:
        members[group].add(entity)
    shared = {group: sorted(found) for group, found in members.items() if len(found) > 1}
    groups, entities = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    count = len({entity for found in shared.values() for entity in found})
    texts = {"unit": "vectors", "what": "({})", "effect": "", "remedy": ""}
    for total, severity in ((10 * count, "warning"), (10 * count + 1, "note")):
        problems = list(
            count_duplicates(groups, entities, GRAPH, "features", "kind", total=total, **texts)
        )
        if not shared:
            assert problems == []
            continue
        [duplicates] = problems
        assert (duplicates.count, duplicates.severity) == (count, severity)
        largest = max(map(len, shared.values()))
        extent = f"{len(shared)} group{'s'[: len(shared) > 1]}, the largest of {largest}"
        assert duplicates.message.endswith(f"({extent})")
        ranked = sorted(shared, key=lambda group: (-len(shared[group]), group))
        assert duplicates.examples == tuple(
            " = ".join(f"e{entity}" for entity in shared[group][:3])
            + (f" and {len(shared[group]) - 3} more" if len(shared[group]) > 3 else "")
            for group in ranked[:5]
        )


@pytest.fixture
def hash_saved(tmp_path):
    def make(picture, name):
        picture.save(tmp_path / name)
        return hash_picture(tmp_path / name)

    return make


def test_pictures_of_every_mode_have_a_hash(hash_saved):
    picture = draw_picture(1, 96, 96)
    plain = hash_saved(picture, "a.png")
    for mode, suffix in (
        ("RGB", "jpg"), ("RGBA", "png"), ("P", "gif"), ("L", "png"), ("CMYK", "jpg"), ("1", "png"),
    ):  # fmt: skip
        found = hash_saved(picture.convert(mode), f"{mode}.{suffix}")
        assert found.colours.shape == (8, 8, 3)
        if mode in ("RGB", "RGBA"):
            assert (found.bits ^ plain.bits).bit_count() <= look_alikes.MAX_BITS
    hash_saved(picture.convert("L").convert("I;16"), "deep.png")


def test_transparent_parts_are_seen_on_white(hash_saved):
    assert (hash_saved(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "a.png").colours == 255).all()


def brute_force(hashes, colours):
    flat = colours.reshape(len(colours), -1).astype(int)
    return {
        (i, j)
        for i in range(len(hashes))
        for j in range(i)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= look_alikes.MAX_BITS
        and np.abs(flat[i] - flat[j]).mean() <= look_alikes.MAX_COLOUR
    }


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_groups_are_those_of_every_pair_where_bands_are_not_crowded(seed, count):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, size=3, dtype=np.uint64)[rng.integers(0, 3, count)]
    for _ in range(rng.integers(0, 5)):
        hashes ^= np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
    colours = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)[rng.integers(0, 2, count)]
    groups = group_alike(hashes, colours)
    pairs = np.array(sorted(brute_force(hashes, colours)), dtype=np.int64).reshape(-1, 2)
    expected = join_pairs(pairs.T, count)
    assert ((groups[:, None] == groups) == (expected[:, None] == expected)).all()


def test_thousands_of_one_stand_in_are_one_group():
    hashes = np.zeros(5000, dtype=np.uint64)
    colours = np.zeros((5000, 8, 8, 3), dtype=np.uint8)
    colours[2500:] = 200
    groups = group_alike(hashes, colours)
    assert np.bincount(groups).tolist() == [2500, 2500]
