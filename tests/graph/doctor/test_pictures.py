"""Pictures: bounded decoding, likeness, and paths that lead nowhere or out."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from momok.graph import load_graph
from momok.graph.doctor import pictures
from momok.graph.doctor.look_alikes import hash_picture
from momok.graph.doctor.pictures import check_pictures, find_pictures


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
