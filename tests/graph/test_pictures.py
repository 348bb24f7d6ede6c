"""Opening pictures: of every kind alike, with care for what is no picture or a hostile one."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from momok.graph.pictures import (
    MAX_BYTES,
    PictureError,
    PictureTooLargeError,
    encode_thumbnail,
    ignore_picture_warnings,
    open_picture,
)
from tests.encoders.tiny_pictures import draw_picture


def _png(width: int, height: int) -> bytes:
    """The header of a PNG of that size, and no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    start += struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return start + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def open_in(folder, name):
    with ignore_picture_warnings():
        return open_picture(folder / name, folder)


def test_rgb_stays_as_it_is(tmp_path):
    picture = draw_picture(1)
    picture.save(tmp_path / "a.png")
    assert (np.asarray(open_in(tmp_path, "a.png")) == np.asarray(picture)).all()


def test_a_thumbnail_is_small_and_without_metadata(tmp_path):
    picture = Image.new("RGBA", (300, 150), (255, 0, 0, 128))
    picture.save(tmp_path / "a.png", icc_profile=b"secret")
    content = encode_thumbnail(tmp_path / "a.png", tmp_path, side=100)
    made = Image.open(BytesIO(content))
    assert (made.format, made.size, made.mode) == ("WEBP", (100, 50), "RGBA")
    assert b"secret" not in content


def test_modes_become_rgb(tmp_path):
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half.putpixel((0, 0), (255, 0, 0, 255))
    half.save(tmp_path / "rgba.png")
    opened = open_in(tmp_path, "rgba.png")
    assert opened.mode == "RGB"
    assert opened.getpixel((0, 0)) == (255, 0, 0)
    assert opened.getpixel((1, 1)) == (255, 255, 255)
    deep = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    deep.save(tmp_path / "deep.png")
    assert open_in(tmp_path, "deep.png").getpixel((0, 0)) == (156, 156, 156)
    Image.new("CMYK", (4, 4), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    assert open_in(tmp_path, "print.jpg").getpixel((0, 0)) == (255, 255, 255)
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert open_in(tmp_path, "two.gif").getpixel((0, 0)) == (255, 0, 0)


def test_upright(tmp_path):
    picture, exif = Image.new("RGB", (8, 4), "red"), Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert open_in(tmp_path, "a.jpg").size == (4, 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "in no picture format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "in no picture format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "in no picture format"),
        (_png(10, 10)[:40], "in no picture format|corrupt"),
        (_png(400, 400), "corrupt or truncated"),
        (_png(12_000, 12_000), "pixels, too many"),
        (_png(60_000, 60_000), "pixels, too many"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match=message):
        open_in(tmp_path, "a.png")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_files_never_crash(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("pictures")
    suffix = data.draw(st.sampled_from(["png", "jpg", "gif", "webp", "tiff", "bmp"]))
    path = folder / f"a.{suffix}"
    draw_picture(3).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        opened = open_in(folder, path.name)
    except PictureError:
        return
    assert opened.mode == "RGB"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    inside = tmp_path / "graph"
    inside.mkdir()
    draw_picture(1).save(tmp_path / "secret.png")
    (inside / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(PictureError, match="outside the folder"):
        open_in(inside, "a.png")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("folder.png", "pipe.png"):
        with pytest.raises(PictureError, match="no file but"):
            open_in(tmp_path, name)
    with pytest.raises(PictureError, match="no such file"):
        open_in(tmp_path, "gone.png")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (9_500, 9_500), (10**6, 10**6)])
def test_bombs_are_refused_before_they_are_decoded(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(_png(width, height))
    with pytest.raises(PictureTooLargeError, match="pixels"):
        open_in(tmp_path, "bomb.png")


def test_huge_files_are_refused_unread(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PictureTooLargeError, match="MB, too many"):
        open_in(tmp_path, "huge.png")


def test_limits_of_the_caller(tmp_path):
    draw_picture(1).save(tmp_path / "a.png")
    for limit in ({"max_pixels": 100}, {"max_bytes": 10}):
        with pytest.raises(PictureTooLargeError):
            open_picture(tmp_path / "a.png", **limit)


def test_no_program_of_the_system_is_asked_to_draw(tmp_path, monkeypatch):
    draw_picture(1).save(tmp_path / "drawing.eps")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(PictureError, match="in no picture format"):
        open_in(tmp_path, "drawing.eps")


def test_transparency_is_kept_where_it_is_wanted(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "a.png")
    draw_picture(1).save(tmp_path / "b.png")
    assert open_picture(tmp_path / "a.png", transparency=True).getpixel((0, 0)) == (0, 0, 0, 0)
    assert open_picture(tmp_path / "b.png", transparency=True).mode == "RGB"


def test_a_large_jpeg_is_decoded_small(tmp_path):
    Image.new("RGB", (1600, 800)).save(tmp_path / "a.jpg")
    assert open_picture(tmp_path / "a.jpg", side=100).size == (200, 100)


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"P6 "])
)
def test_random_bytes_never_crash(tmp_path_factory, content, start):
    path = tmp_path_factory.mktemp("bytes", numbered=True) / "picture"
    path.write_bytes(start + content)
    try:
        said = open_in(path.parent, "picture").mode
    except PictureError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_grey_values_of_many_bits_are_scaled(mode: str, tmp_path: Path) -> None:
    values = np.arange(0, 65536, 1024).reshape(8, 8)
    given = values / 65535 if mode == "F" else values
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}[mode]
    picture = Image.frombytes(mode, (8, 8), given.astype(kind).tobytes())
    picture.save(tmp_path / "a.tif")
    grey = np.asarray(open_picture(tmp_path / "a.tif"))[..., 0]
    assert np.abs(grey - values / 257).max() <= 1
    assert len(np.unique(grey)) == 64


def test_a_picture_of_one_value_alone(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 5.0, dtype=np.float32)).save(tmp_path / "a.tif")
    assert np.unique(np.asarray(open_picture(tmp_path / "a.tif"))).tolist() == [0]
