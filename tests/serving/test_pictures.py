"""Pictures: only from the graph's folder, only what Pillow makes of them."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from momok.graph.pictures import list_formats
from momok.serving.pictures import SIZES, PictureShelf

MEDIUM = SIZES["medium"]


def shelf_of(folder: Path, *names: str) -> PictureShelf:
    return PictureShelf(folder, {i: folder / name for i, name in enumerate(names)})


def open_made(made: bytes | None) -> Image.Image:
    assert made is not None
    image = Image.open(BytesIO(made))
    image.load()
    return image


def test_a_picture_is_made_anew_and_smaller(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Comment", "secret place")
    Image.new("RGB", (1000, 500), "red").save(tmp_path / "a.png", pnginfo=info)
    made = shelf_of(tmp_path, "a.png").render(0, "medium")
    image = open_made(made)
    assert (image.format, image.size) == ("WEBP", (MEDIUM, MEDIUM // 2))
    assert made is not None
    assert b"secret" not in made
    r, g, b = image.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert r > 240
    assert max(g, b) < 20


def test_a_small_picture_is_not_blown_up_and_stays_transparent(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(tmp_path / "a.png")
    image = open_made(shelf_of(tmp_path, "a.png").render(0, "large"))
    assert (image.size, image.mode) == ((20, 10), "RGBA")
    assert image.getpixel((3, 3))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("mode", ["P", "L", "CMYK", "I;16", "1", "LA"])
def test_other_kinds_of_pixels_are_shown(tmp_path: Path, mode: str) -> None:
    name = "a.jpg" if mode == "CMYK" else "a.png"
    Image.new(mode, (30, 30)).save(tmp_path / name)
    assert open_made(shelf_of(tmp_path, name).render(0, "small")).size == (30, 30)


@pytest.mark.parametrize("kind", list_formats())
def test_every_format_that_is_learned_from_is_shown(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.picture", kind)
    made = open_made(shelf_of(tmp_path, "a.picture").render(0, "small"))
    assert made.size == (64, 64)
    assert made.convert("RGB").getpixel((32, 32))[0] > 240  # type: ignore[index]


def test_the_orientation_of_a_camera_is_kept(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    assert open_made(shelf_of(tmp_path, "a.jpg").render(0, "small")).size == (20, 40)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    Image.new("RGB", (9, 9)).save(outside)
    folder = tmp_path / "graph"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.png").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    names = ("link.png", "../outside.png", "up/outside.png", "sub/../../outside.png")
    shelf = shelf_of(folder, *names)
    assert [shelf.render(i, "small") for i in range(len(names))] == [None] * len(names)
    (folder / "inside.png").write_bytes(outside.read_bytes())
    (folder / "good.png").symlink_to(folder / "inside.png")
    assert shelf_of(folder, "good.png").render(0, "small") is not None


def make_bomb() -> bytes:
    """A PNG that says it has 60,000 by 60,000 pixels, in 100 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture_is_not_served(tmp_path: Path) -> None:
    good = BytesIO()
    Image.new("RGB", (64, 64), "blue").save(good, "PNG")
    contents = {
        "bomb.png": make_bomb(),
        "text.png": b"<html><script>alert(1)</script>",
        "empty.png": b"",
        "cut.png": good.getvalue()[:60],
        "vector.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    names = (*contents, "folder.png", "pipe.png", "missing.png", "nul\0.png")
    shelf = shelf_of(tmp_path, *names)
    assert {name: shelf.render(i, "small") for i, name in enumerate(names)} == dict.fromkeys(names)


def test_only_known_sizes_and_entities(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    shelf = shelf_of(tmp_path, "a.png")
    assert shelf.render(0, "huge") is None
    assert shelf.render(7, "small") is None
    assert PictureShelf(None, {0: tmp_path / "a.png"}).render(0, "small") is None
