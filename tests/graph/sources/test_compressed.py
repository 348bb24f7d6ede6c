"""Packed inputs: what is read, and every way in which they are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError, MomokError
from momok.graph.sources import compressed
from momok.graph.sources.compressed import list_members, name_content, open_source

NOISE = random.Random(0).randbytes(20_000)
CONTENT = b"a\tlikes\tb\nb\tlikes\tc\n" * 500
MOST = 1 << 20


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is a bomb."""
    monkeypatch.setattr(compressed, "_MOST_SWOLLEN", 100)
    monkeypatch.setattr(compressed, "_HARMLESS", 10_000)


def read(path: Path, **options: object) -> bytes:
    with open_source(path, **options) as stream:  # type: ignore[arg-type]
        return stream.read()


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}


@pytest.mark.parametrize("suffix", PACK)
def test_each_packing_gives_the_content(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"facts.tsv{suffix}"
    path.write_bytes(PACK[suffix](CONTENT))
    assert read(path) == CONTENT
    assert name_content(path) == "facts.tsv"


@pytest.mark.parametrize("suffix", PACK)
def test_the_name_does_not_tell_the_packing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "facts.csv"
    path.write_bytes(PACK[suffix](CONTENT))
    assert read(path) == CONTENT
    assert name_content(path) == "facts.csv"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_streams_one_after_the_other_are_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"facts{suffix}"
    path.write_bytes(PACK[suffix](CONTENT) + PACK[suffix](b"more\n"))
    assert read(path) == CONTENT + b"more\n"


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_zip_with_one_file(tmp_path: Path, method: int) -> None:
    path = make_zip(
        tmp_path / "g.zip",
        {"data/": b"", "data/facts.nt": CONTENT, "__MACOSX/data/._facts.nt": b"x"},
        method,
    )
    assert read(path) == CONTENT
    assert name_content(path) == "facts.nt"
    assert list_members(path) == ["data/facts.nt"]


def test_of_several_members_one_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "g.zip", {f"{i}.nt": b"%d" % i for i in range(8)})
    with pytest.raises(FormatError, match=r"holds 8 files \('0.nt', .*'4.nt' and 3 more\)"):
        read(path)
    assert read(path / "3.nt") == b"3"
    assert name_content(path / "3.nt") == "3.nt"
    with pytest.raises(FormatError, match=r"no member '33.nt'; did you mean 3.nt"):
        read(path / "33.nt")


def test_a_member_is_named_by_a_path(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "g.zip", {"a/b.nt": b"1", "c.csv": b"2"})
    assert read(path / "a" / "b.nt") == b"1"
    assert read(path / "c.csv") == b"2"
    assert name_content(path / "a" / "b.nt") == "b.nt"
    with pytest.raises(FormatError, match=rf"^{path}: has no member 'a/c.nt'"):
        read(path / "a" / "c.nt")
    with pytest.raises(FormatError, match=r"has no member '\.\./g\.zip'"):
        read(path / ".." / "g.zip")
    with pytest.raises(DataError, match="missing"):
        read(tmp_path / "none" / "c.csv")
    (tmp_path / "plain.nt").write_bytes(CONTENT)
    with pytest.raises(FormatError, match="no zip archive; it has no member 'x'"):
        read(tmp_path / "plain.nt" / "x")


def test_tables_of_an_archive_are_one_graph(tmp_path: Path) -> None:
    from momok.graph.sources.reading import SourceOptions, read_sources

    path = make_zip(
        tmp_path / "g.zip", {"f.csv": b"a,r,b\nb,r,c\n", "t.nt": b"<u:a> <u:r> <u:b> ."}
    )
    raw = read_sources([path / "f.csv", path / "t.nt"])
    assert raw.entities == ["a", "b", "c", "u:a", "u:b"]
    raw = read_sources([], SourceOptions(splits={"train": path / "f.csv"}))
    assert list(raw.triples) == ["train"]


def test_a_member_of_what_is_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "facts.tsv"
    path.write_bytes(CONTENT)
    with pytest.raises(FormatError, match="no zip archive; it has no member 'x'"):
        read(path / "x")
    with pytest.raises(FormatError, match="is no zip archive"):
        list_members(path)


# --- what is refused -----------------------------------------------------------------------------


def named(name: str) -> Callable[[Path], None]:
    return lambda path: (make_zip(path, {"ok.nt": CONTENT, name: b"x"}), None)[1]


def linked(path: Path) -> None:
    link = zipfile.ZipInfo("facts.nt")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")


def encrypted(path: Path) -> None:
    make_zip(path, {"facts.nt": CONTENT})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def lying(path: Path) -> None:
    """A member of 40 MB that says it has 10 bytes."""
    make_zip(path, {"facts.nt": b"\0" * 40_000_000})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 10)
    path.write_bytes(content)


def packed(pack: Callable[[bytes], bytes], content: bytes) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(pack(content)), None)[1]


def cut(pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(pack(NOISE)[:-5_000]), None)[1]


def spoilt(pack: Callable[[bytes], bytes], content: bytes = NOISE) -> Callable[[Path], None]:
    content = pack(content)
    middle = len(content) // 2
    return packed(bytes, content[:middle] + bytes(8) + content[middle + 8 :])


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.nt", content)
    return file.getvalue()


def make_tar(content: bytes) -> bytes:
    import tarfile

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("facts.nt")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


ZEROS = bytes(5_000_000)
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "zip with ..": (named("../evil.nt"), r"'\.\./evil\.nt' that leads out of its folder"),
    "zip with .. inside": (named("a/../../evil.nt"), "leads out of its folder"),
    "zip with an absolute name": (named("/etc/evil.nt"), "leads out of its folder"),
    "zip with a drive": (named("C:/evil.nt"), "leads out of its folder"),
    "zip with back slashes": (named("..\\evil.nt"), "leads out of its folder"),
    "zip with a link": (linked, "'facts.nt' that is no ordinary file"),
    "zip that is encrypted": (encrypted, "encrypted"),
    "zip without a file": (lambda p: (make_zip(p, {}), None)[1], "holds no file"),
    "zip cut short": (cut(zipped), "zip archive is truncated or damaged"),
    "zip with a spoilt member": (spoilt(zipped), "damaged"),
    "zip bomb that says so": (packed(zipped, ZEROS), "as bombs do"),
    "zip bomb that lies": (lying, "damaged|as bombs do"),
    "gzip bomb": (packed(gzip.compress, ZEROS), "as bombs do"),
    "bzip2 bomb": (packed(bz2.compress, ZEROS), "as bombs do"),
    "zstd bomb": (packed(zstd.compress, ZEROS), "as bombs do"),
    "gzip cut short": (cut(gzip.compress), "gzip stream ends early"),
    "gzip of nothing but its magic": (packed(bytes, b"\x1f\x8b"), "gzip stream ends early"),
    "bzip2 cut short": (cut(bz2.compress), "bzip2 stream ends early"),
    "zstd cut short": (cut(zstd.compress), "zstd stream ends early"),
    "gzip spoilt": (spoilt(gzip.compress), "gzip stream is damaged"),
    "bzip2 spoilt": (spoilt(bz2.compress), "bzip2 stream is damaged"),
    "zstd spoilt": (spoilt(zstd.compress, CONTENT), "zstd stream is damaged"),
    "gzip with something after it": (
        packed(lambda content: gzip.compress(content) + b"something", CONTENT),
        "gzip stream is damaged",
    ),
    "zstd with a huge window": (
        # A frame with a window of 2^41 bytes: descriptor 0x00, window 0xF8.
        packed(bytes, b"\x28\xb5\x2f\xfd\x00\xf8" + bytes(20)),
        "zstd stream is damaged",
    ),
    "xz bomb": (packed(lzma.compress, ZEROS), "as bombs do"),
    "xz cut short": (cut(lzma.compress), "xz stream ends early"),
    "xz spoilt": (spoilt(lzma.compress), "xz stream is damaged"),
    "7z": (packed(bytes, b"7z\xbc\xaf\x27\x1c" + bytes(20)), "is a 7z file"),
    "rar": (packed(bytes, b"Rar!\x1a\x07" + bytes(20)), "is a rar file"),
    "tar": (packed(make_tar, CONTENT), "is a tar file"),
    "tar in gzip": (packed(lambda c: gzip.compress(make_tar(c)), NOISE), "a tar file in a gzip"),
    "gzip in zip": (packed(lambda c: zipped(gzip.compress(c)), CONTENT), "a gzip file in a zip"),
    "gzip in gzip": (packed(lambda c: gzip.compress(gzip.compress(c)), CONTENT), "in a gzip file"),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("fault", REFUSED)
def test_a_faulty_archive_is_told_in_one_line(tmp_path: Path, fault: str) -> None:
    make, expected = REFUSED[fault]
    path = tmp_path / "input"
    make(path)
    with pytest.raises(FormatError, match=expected) as caught:
        read(path, most=MOST)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.usefixtures("small")
def test_a_bomb_is_found_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(30_000_000)))
    seen: list[int] = []

    def read_on() -> None:
        with open_source(path, most=MOST) as stream:
            while chunk := stream.read(4096):
                seen.append(len(chunk))

    with pytest.raises(FormatError):
        read_on()
    assert 10_000 < sum(seen) <= MOST


def test_what_packs_well_is_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "facts.gz"
    path.write_bytes(gzip.compress(ZEROS))
    assert read(path) == ZEROS  # far below what the default limits call harmless


def test_a_name_with_a_null_character_within_an_archive(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "g.zip", {"evil0.nt": CONTENT})
    path.write_bytes(path.read_bytes().replace(b"evil0", b"evil\0"))
    with pytest.raises(FormatError, match="leads out of its folder"):
        read(path)


@pytest.mark.parametrize("make", ["missing", "folder", "pipe", "null", "long", "loop"])
def test_what_is_no_file(tmp_path: Path, make: str) -> None:
    path = tmp_path / "input"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    elif make == "null":
        path = tmp_path / "in\0put"
    elif make == "long":
        path = tmp_path / ("x" * 5000)
    elif make == "loop":
        path.symlink_to(path)
    with pytest.raises(DataError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_hostile_name_is_only_a_name(tmp_path: Path) -> None:
    path = tmp_path / "$(touch x); \x1b[31m; 'a' | b.nt"
    path.write_bytes(CONTENT)
    assert read(path) == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@settings(max_examples=150, deadline=None)
@given(
    pack=st.sampled_from([gzip.compress, bz2.compress, lzma.compress, zstd.compress, zipped]),
    places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 3_000),
)
def test_spoilt_archives_never_crash(
    tmp_path_factory: pytest.TempPathFactory,
    pack: Callable[[bytes], bytes],
    places: list[tuple[int, int]],
    end: int,
) -> None:
    content = bytearray(pack(CONTENT[:2000]))
    for place, value in places:
        content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "spoilt"
    path.write_bytes(content[: len(content) - end % len(content)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of repeated names
        try:
            assert len(read(path, most=MOST)) <= MOST
        except MomokError as caught:
            said = str(caught)
        else:
            said = ""
    assert "\n" not in said
