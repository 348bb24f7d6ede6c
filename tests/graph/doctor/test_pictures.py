"""Pictures: bounded decoding, likeness, paths that lead nowhere or out, and shared vectors."""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from momok.graph import MultimodalGraph, Vocabulary, load_graph
from momok.graph.doctor import pictures
from momok.graph.doctor.pictures import (
    check_pictures,
    count_duplicates,
    find_pictures,
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
            assert (found.bits ^ plain.bits).bit_count() <= pictures.MAX_BITS
    hash_saved(picture.convert("L").convert("I;16"), "deep.png")


def test_transparent_parts_are_seen_on_white(hash_saved):
    assert (hash_saved(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "a.png").colours == 255).all()


def brute_force(hashes, colours):
    flat = colours.reshape(len(colours), -1).astype(int)
    return {
        (i, j)
        for i in range(len(hashes))
        for j in range(i)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= pictures.MAX_BITS
        and np.abs(flat[i] - flat[j]).mean() <= pictures.MAX_COLOUR
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


def silent(_what, _done, _total):
    pass


def draw(seed: int, size: int = 96) -> Image.Image:
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = rng.integers(0, size, 2).tolist()
        pen.rectangle((x, y, x + 30, y + 20), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return picture


def claim_size(path, width: int, height: int) -> None:
    """Write a PNG of a few bytes whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.fixture
def folder(small, tmp_path):
    """A graph folder with a column ``picture`` that tests fill."""
    from momok.graph import write_momok_folder

    path = tmp_path / "graph"
    write_momok_folder(small, path)
    (path / "pictures").mkdir()

    def name(**cells: str):
        rows = "".join(f"{label}\t{cells.get(label, '')}\n" for label in small.entities.labels)
        (path / "entities.tsv").write_text(f"label\tpicture\n{rows}", encoding="utf-8")
        return path

    return name


def examine(path, graph):
    listed = find_pictures(path, graph)
    return {a.kind: a for a in check_pictures(listed, graph, silent)}


def test_findings_of_a_folder(folder, small):
    path = folder(
        France="pictures/a.png", Spain="pictures/b.jpg", Germany="pictures/c.png",
        Paris="pictures/bomb.png|pictures/other.png", Madrid="pictures/none.png",
        Berlin="../secret.png", Europe="pictures/broken.png",
    )  # fmt: skip
    draw(1).save(path / "pictures/a.png")
    draw(1).save(path / "pictures/b.jpg", quality=80)
    draw(2).save(path / "pictures/c.png")
    draw(3).save(path / "pictures/other.png")
    claim_size(path / "pictures/bomb.png", 30_000, 30_000)
    (path / "pictures/broken.png").write_bytes(b"no picture")
    found = examine(path, small)
    assert {kind: a.count for kind, a in found.items()} == {
        "picture-outside": 1, "missing-picture": 1, "too-large-picture": 1,
        "undecodable-picture": 1, "near-identical-pictures": 2,
    }  # fmt: skip
    assert found["picture-outside"].severity == "error"
    assert found["picture-outside"].examples == ("entities.tsv:7: ../secret.png",)
    assert found["missing-picture"].examples == ("entities.tsv:6: pictures/none.png",)
    assert found["undecodable-picture"].examples[0].startswith("pictures/broken.png: ")
    assert found["near-identical-pictures"].examples == ("France = Spain",)


def test_links_out_of_the_folder_are_not_followed(folder, small, tmp_path):
    path = folder(France="pictures/link.png")
    draw(1).save(tmp_path / "outside.png")
    (path / "pictures/link.png").symlink_to(tmp_path / "outside.png")
    assert set(examine(path, small)) == {"picture-outside"}


def test_one_file_for_several_entities_is_decoded_once(folder, small, monkeypatch):
    path = folder(France="pictures/a.png", Spain="pictures/a.png")
    draw(1).save(path / "pictures/a.png")
    hashed = []
    monkeypatch.setattr(pictures, "hash_picture", lambda p: hashed.append(p) or hash_picture(p))
    assert examine(path, small)["near-identical-pictures"].examples == ("France = Spain",)
    assert len(hashed) == 1


def test_two_pictures_of_one_entity_may_look_alike(folder, small):
    path = folder(France="pictures/a.png|pictures/b.png")
    draw(1).save(path / "pictures/a.png")
    draw(1).save(path / "pictures/b.png")
    assert examine(path, small) == {}


def test_entities_that_share_two_pictures_are_counted_once(folder, small):
    both = "pictures/a.png|pictures/b.png"
    path = folder(France=both, Spain=both, Germany="pictures/c.png")
    for number, name in enumerate("abc"):
        draw(number).save(path / f"pictures/{name}.png")
    alike = examine(path, small)["near-identical-pictures"]
    assert (alike.count, alike.total, alike.impact) == (2, 3, 2 / 3)
    assert alike.examples == ("France = Spain",) * 2


def test_pictures_of_a_graph_in_memory(small, tmp_path):
    draw(1).save(tmp_path / "a.png")
    graph = replace(small, pictures={0: tmp_path / "a.png", 2: tmp_path / "a.png"})
    assert examine(None, graph)["near-identical-pictures"].examples == ("France = Germany",)


def test_pictures_that_a_graph_in_memory_misses(small):
    from momok.graph import Finding
    from momok.graph.doctor import check_graph

    missing = Finding("missing-picture", 1, "1 picture is missing", ("entities.tsv:2",))
    found = check_graph(replace(small, findings=(missing,), pictures={}))
    assert "missing-picture" in {problem.kind for problem in found.problems}


def test_flags_of_the_world_that_are_the_same():
    world = load_graph("world")
    found = examine(None, world)
    assert set(found) == {"near-identical-pictures"}
    groups = " ".join(found["near-identical-pictures"].examples)
    assert "country:AU = country:HM" in groups  # Heard Island flies the flag of Australia
    assert "country:GN = country:ML" not in groups  # mirror images of each other
