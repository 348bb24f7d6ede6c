"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from momok import storage
from momok.errors import DataError, StorageError
from momok.storage import (
    append_line,
    lock_file,
    name_draft,
    parse_json,
    remove_drafts,
    seal,
    settle_file,
    share_file,
    truncate_file,
    unseal,
    write_file,
    write_folder,
)


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Makes every write beyond a size fail, as a full disk does; gives the function."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def read_tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_file_is_written_and_replaced(tmp_path) -> None:
    path = tmp_path / "deep" / "er" / "file.bin"
    for content in (b"one", b"", b"\x00\xff" * 1000):
        write_file(path, content)
        assert read_tree(tmp_path) == {"deep/er/file.bin": content}


def test_a_full_disk_leaves_the_old_file(tmp_path, full_disk) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    full_disk(100)
    with pytest.raises(StorageError, match=f"{path}: could not be written: File too large"):
        write_file(path, b"new" * 100)
    assert read_tree(tmp_path) == {"file": b"old"}


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")

    def interrupt(draft: Path, content: bytes) -> None:
        draft.write_bytes(content[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "write_through", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(path, b"new")
    assert read_tree(tmp_path) == {"file": b"old"}


def test_places_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for path in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(StorageError) as caught:
            write_file(path, b"new")
        assert str(caught.value).startswith(f"{path}: could not be written: ")
        assert "\n" not in str(caught.value)
    assert read_tree(tmp_path) == {"file": b"x"}
    with pytest.raises(StorageError), write_folder(tmp_path / "file" / "below"):
        raise AssertionError("not reached")


@pytest.mark.parametrize(
    "name", ["x" * 255, "知" * 85, os.fsdecode(b"caf\xe9"), ".hidden", "a b\n"]
)
def test_any_name_that_a_file_may_have(tmp_path, name) -> None:
    write_file(tmp_path / name, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_appears_whole(tmp_path) -> None:
    path = tmp_path / "new" / "folder"
    with write_folder(path) as draft:
        (draft / "a").write_bytes(b"1")
        assert not path.exists()
        assert draft.parent == path.parent
    assert read_tree(tmp_path) == {"new/folder/a": b"1"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path, error) -> None:
    path = tmp_path / "folder"
    with write_folder(path) as draft:
        (draft / "a").write_bytes(b"1")

    def fail() -> None:
        with write_folder(path, overwrite=True) as draft:
            (draft / "b").write_bytes(b"2")
            raise error

    with pytest.raises(StorageError if error is OSError else error):
        fail()
    assert read_tree(tmp_path) == {"folder/a": b"1"}
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_folder_is_not_overwritten_unasked(tmp_path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with write_folder(path) as draft:  # an empty one is free
        (draft / "a").write_bytes(b"1")
    with pytest.raises(DataError, match="exists already"), write_folder(path):
        raise AssertionError("not reached")
    with write_folder(path, overwrite=True) as draft:
        (draft / "b").write_bytes(b"2")
    assert read_tree(tmp_path) == {"folder/b": b"2"}


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "a").write_bytes(b"1")
    rename, calls = Path.rename, []

    def fail_once(source: Path, target: Path) -> Path:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(StorageError, match="No space left"), write_folder(path, overwrite=True):
        pass
    assert read_tree(tmp_path) == {"folder/a": b"1"}


def test_a_lock_is_held_by_one(tmp_path) -> None:
    path = tmp_path / "lock"
    with lock_file(path) as first:
        assert first
        with lock_file(path) as second:
            assert not second
    with lock_file(path) as third:
        assert third
    (tmp_path / "file").touch()
    with pytest.raises(StorageError), lock_file(tmp_path / "file" / "lock"):
        raise AssertionError("not reached")


def test_a_log_grows_by_whole_lines(tmp_path, full_disk) -> None:
    log = tmp_path / "log.jsonl"
    append_line(log, "one")
    append_line(log, "zwei é")
    whole = "one\nzwei é\n".encode()
    assert log.read_bytes() == whole
    full_disk(len(whole) + 5)
    with pytest.raises(StorageError, match=r"log\.jsonl: could not be written: File too large"):
        append_line(log, "three and more")
    assert log.read_bytes() == whole
    append_line(log, "4")
    assert log.read_bytes() == whole + b"4\n"


def test_a_log_is_cut_back(tmp_path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\n")
    assert settle_file(log) == 8
    truncate_file(log, 4)
    assert log.read_bytes() == b"one\n"
    for change in (settle_file, lambda path: truncate_file(path, 0), lambda p: append_line(p, "x")):
        with pytest.raises(StorageError, match="nowhere"):
            change(tmp_path / "nowhere" / "log")


def test_drafts_of_killed_writers_are_removed(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / ".hidden").write_bytes(b"kept")
    (tmp_path / "my.partial").write_bytes(b"kept")
    name_draft(tmp_path / "file").write_bytes(b"half")
    draft = name_draft(tmp_path / "folder")
    draft.mkdir()
    (draft / "inner").write_bytes(b"half")
    remove_drafts(tmp_path)
    assert set(read_tree(tmp_path)) == {"file", ".hidden", "my.partial"}
    remove_drafts(tmp_path / "nowhere")


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc here")  # noqa: PTH110
def test_a_link_stays_a_link_and_a_device_a_device(tmp_path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"through")
    assert os.read(reader, 20) == b"through"
    os.close(reader)

    reader, writer = os.pipe()
    link.unlink()
    link.symlink_to(f"/proc/self/fd/{writer}")  # as /dev/stdout and a shell's >(command) are
    write_file(link, b"through")
    assert os.read(reader, 20) == b"through"
    os.close(reader)
    os.close(writer)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "target"]


@pytest.mark.parametrize("name", ["", ".", "folder"])
def test_a_folder_is_no_file(tmp_path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="it is a folder"):
        write_file(Path(name), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_of_a_private_writer_is_shared_like_any_other(tmp_path) -> None:
    private, other = tmp_path / "private", tmp_path / "other"
    other.touch()
    private.touch(mode=0o600)
    share_file(private)
    assert private.stat().st_mode == other.stat().st_mode


def test_drafts_of_dead_processes_are_removed_by_the_next_writer(tmp_path) -> None:
    write_draft = (
        "import sys; from pathlib import Path; from momok.storage import name_draft\n"
        "name_draft(Path(sys.argv[1])).write_bytes(b'half')"
    )
    for name in ("file", "[file]*", "folder-1"):
        path = tmp_path / name
        subprocess.run([sys.executable, "-c", write_draft, str(path)], check=True)
        mine = name_draft(path)
        assert not list(tmp_path.glob(".*.partial"))
        mine.write_bytes(b"being written")
        write_file(path, b"new")
        assert list(tmp_path.glob(".*.partial")) == [mine]
        mine.unlink()


def test_a_sealed_value_is_not_changed_in_silence() -> None:
    sealed = seal({"mrr": 0.25, "heads": ["a"]})
    assert unseal(json.loads(json.dumps(sealed))) == {"mrr": 0.25, "heads": ["a"]}
    assert unseal({"mrr": 0.25}) == {"mrr": 0.25}  # of older versions
    with pytest.raises(ValueError, match="its checksum differs"):
        unseal(sealed | {"mrr": 0.35})


def test_json_that_is_nested_deeply_is_no_json() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)
