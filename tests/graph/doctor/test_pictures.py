"""Pictures: bounded decoding, likeness, and paths that lead nowhere or out."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from momok.graph import load_graph
from momok.graph.doctor import likeness, pictures
from momok.graph.doctor.likeness import group_alike, join_pairs
from momok.graph.doctor.look_alikes import look_at, silence_decoders
from momok.graph.doctor.pictures import check_pictures, list_pictures
from momok.graph.picture_limits import MAX_BYTES


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
    listed = list_pictures(path, graph)
    return {a.kind: a for a in check_pictures(listed, graph, silent)}


def test_a_look_at_sound_pictures_of_every_mode(tmp_path):
    picture = draw(1)
    looks = []
    modes = ("RGB png", "RGB jpg", "RGBA png", "P gif", "L png", "CMYK jpg", "1 png", "I;16 png")
    for mode, suffix in map(str.split, modes):
        path = tmp_path / f"{mode.replace(';', '')}.{suffix}"
        (picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)).save(
            path
        )
        looks.append(look_at(path))
    assert [look.fault for look in looks] == [""] * len(looks)
    assert looks[0].outline == looks[2].outline
    assert (looks[0].colours == looks[2].colours).all()


def test_transparent_parts_are_seen_on_white(tmp_path):
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (look_at(tmp_path / "clear.png").colours == 255).all()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "undecodable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "undecodable"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "undecodable"),
        (b"\xff\xd8\xff\xe0" + b"junk" * 9, "undecodable"),
    ],
)
def test_what_is_no_picture_is_told(tmp_path, content, fault):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    assert look_at(path).fault == fault
    assert look_at(path).message


def test_no_program_of_the_system_is_asked_to_draw(tmp_path, monkeypatch):
    path = tmp_path / "drawing.eps"
    Image.new("RGB", (20, 20)).save(path)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    assert look_at(path).fault == "undecodable"


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"P6 "])
)
def test_no_bytes_make_a_look_fail(tmp_path_factory, content, start):
    path = tmp_path_factory.mktemp("bytes", numbered=True) / "picture"
    path.write_bytes(start + content)
    with silence_decoders():
        look = look_at(path)
    assert look.fault in ("", "undecodable", "too-large")


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["png", "jpg", "gif", "webp"]))
def test_no_changed_byte_makes_a_look_fail(tmp_path_factory, place, value, suffix):
    folder = tmp_path_factory.getbasetemp() / "changed"
    folder.mkdir(exist_ok=True)
    path = folder / f"p.{suffix}"
    draw(4, 48).save(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    with silence_decoders():
        assert look_at(path).fault in ("", "undecodable", "too-large")


def test_truncated_pictures_are_told(tmp_path):
    for suffix in ("png", "jpg"):
        path = tmp_path / f"p.{suffix}"
        draw(2, 400).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert look_at(path).fault == "undecodable"


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (9_500, 9_500), (10**6, 10**6)])
def test_bombs_are_refused_before_they_are_decoded(tmp_path, width, height):
    claim_size(tmp_path / "bomb.png", width, height)
    look = look_at(tmp_path / "bomb.png")
    assert look.fault == "too-large"
    assert "pixels" in look.message


def test_huge_files_are_refused_unread(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert look_at(path).fault == "too-large"


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
    looked = []
    monkeypatch.setattr(pictures, "look_at", lambda p: looked.append(p) or look_at(p))
    assert examine(path, small)["near-identical-pictures"].examples == ("France = Spain",)
    assert len(looked) == 1


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
    from momok.graph.doctor import diagnose

    missing = Finding("missing-picture", 1, "1 picture is missing", ("entities.tsv:2",))
    found = diagnose(replace(small, findings=(missing,), pictures={}))
    assert "missing-picture" in {ailment.kind for ailment in found.ailments}


def test_flags_of_the_world_that_are_the_same():
    world = load_graph("world")
    found = examine(None, world)
    assert set(found) == {"near-identical-pictures"}
    groups = " ".join(found["near-identical-pictures"].examples)
    assert "country:AU = country:HM" in groups  # Heard Island flies the flag of Australia
    assert "country:GN = country:ML" not in groups  # mirror images of each other


def brute_force(outlines, colours):
    flat = colours.reshape(len(colours), -1).astype(int)
    return {
        (i, j)
        for i in range(len(outlines))
        for j in range(i)
        if (int(outlines[i]) ^ int(outlines[j])).bit_count() <= likeness.MAX_BITS
        and np.abs(flat[i] - flat[j]).mean() <= likeness.MAX_COLOUR
    }


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_groups_are_those_of_every_pair_where_bands_are_not_crowded(seed, count):
    rng = np.random.default_rng(seed)
    outlines = rng.integers(0, 2**64, size=3, dtype=np.uint64)[rng.integers(0, 3, count)]
    for _ in range(rng.integers(0, 5)):
        outlines ^= np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
    colours = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)[rng.integers(0, 2, count)]
    groups = group_alike(outlines, colours)
    pairs = np.array(sorted(brute_force(outlines, colours)), dtype=np.int64).reshape(-1, 2)
    expected = join_pairs(pairs.T, count)
    assert ((groups[:, None] == groups) == (expected[:, None] == expected)).all()


def test_thousands_of_one_stand_in_are_one_group():
    outlines = np.zeros(5000, dtype=np.uint64)
    colours = np.zeros((5000, 8, 8, 3), dtype=np.uint8)
    colours[2500:] = 200
    groups = group_alike(outlines, colours)
    assert np.bincount(groups).tolist() == [2500, 2500]


def test_join_pairs_follows_long_chains():
    order = np.random.default_rng(0).permutation(3000)
    groups = join_pairs(np.stack([order[:-1], order[1:]]), 3001)
    assert np.bincount(groups).tolist() in ([3000, 1], [1, 3000])
