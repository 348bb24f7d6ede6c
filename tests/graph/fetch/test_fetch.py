"""Whole benchmarks from a local server: right, wrong, cut, hostile."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile

import pytest

from momok.errors import (
    DataError,
    FetchError,
    FormatError,
    MissingExtraError,
    MomokError,
    StorageError,
)
from momok.graph import CATALOG, CatalogEntry, load_graph
from momok.graph.fetch import download, fetch_features, fetch_graph
from momok.graph.fetch.origins import ORIGINS, PublishedArchive, PublishedFile, PublishedGraph
from momok.storage import lock_file
from tests.graph.fetch.flaky_server import run_server

FILES = {
    "entity2id.txt": "France 0\nSpain\t1\nParis 2\n",
    "relation2id.txt": "borders 0\ncapital 1\n",
    "train.txt": "France borders Spain .\nFrance capital Paris .\n",
    "valid.txt": "Spain borders France .\n",
    "test.txt": "Spain borders Spain .\n",
}
IDS = "0\t0\t1\n0\t1\t2\n"
ENTRY = CatalogEntry("MKG-W", "a stand-in", origin="http://127.0.0.1")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.001)


@pytest.fixture
def server():
    with run_server() as running:
        yield running


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MOMOK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def published(server):
    """Serves the stand-in; keyword arguments change what is served, not what is expected."""

    def make(served: dict[str, bytes] | None = None, **how) -> PublishedGraph:
        files = []
        for name, text in FILES.items():
            content = text.encode()
            url = server.serve(f"/{name}", (served or {}).get(name, content), **how)
            files.append(
                PublishedFile(name=name, url=url, size=len(content), sha256=sha256(content))
            )
        return PublishedGraph(files=tuple(files))

    return make


def silent(_name, _done, _total):
    pass


def fetch(published, entry=ENTRY, progress=silent):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ORIGINS, entry.name, published)
        return fetch_graph(entry, progress)


def left_behind(home) -> set[str]:
    return {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()}


def test_a_benchmark_is_fetched_and_loads(home, published):
    told = []
    folder, fetched = fetch(published(), progress=lambda *said: told.append(said))
    assert folder == home / "MKG-W"
    assert {f.name: f.trust for f in fetched} == dict.fromkeys(FILES, "verified")
    for name, text in FILES.items():
        assert (folder / name).read_text() == text
    assert load_graph("mkg-w").entities.labels == ("France", "Spain", "Paris")
    record = json.loads((folder / "origin.json").read_text())
    assert [f["url"] for f in record["files"]] == [f.url for f in fetched]
    assert {said[0] for said in told} == {f"fetching {name}" for name in FILES}
    assert not (home / ".downloads" / "MKG-W").exists()


@pytest.mark.usefixtures("home")
def test_what_is_there_is_left_alone(published, server):
    fetch(published())
    server.asked.clear()
    with pytest.raises(DataError, match="is there already; remove the folder"):
        fetch(published())
    assert server.asked == []


def test_a_wrong_file_puts_nothing_in_place(home, published):
    wrong = published({"test.txt": FILES["test.txt"].swapcase().encode()})
    with pytest.raises(FetchError, match=r"is not the published test\.txt .*nothing was put"):
        fetch(wrong)
    assert not (home / "MKG-W").exists()
    assert "test.txt" not in {path.rpartition("/")[2] for path in left_behind(home)}
    fetch(published())
    assert load_graph("MKG-W").num_entities == 3


def test_a_wrong_length_puts_nothing_in_place(home, published):
    with pytest.raises(FetchError, match=r"says 7 bytes, expected 22"):
        fetch(published({"test.txt": b"too few"}))
    assert not (home / "MKG-W").exists()


@pytest.mark.usefixtures("home")
def test_files_that_came_are_not_fetched_again(published, server):
    broken = published({"train.txt": b"x"})
    with pytest.raises(FetchError):
        fetch(broken)
    server.asked.clear()
    fetch(published())
    assert [path for path, _ in server.asked] == ["/train.txt", "/valid.txt", "/test.txt"]


def test_a_waiting_file_that_was_changed_is_fetched_again(home, published):
    with pytest.raises(FetchError):
        fetch(published({"train.txt": b"x"}))
    (home / ".downloads/MKG-W/entity2id.txt").write_text("hostile")
    fetch(published())
    assert load_graph("MKG-W").entities.labels[0] == "France"


@pytest.mark.usefixtures("home")
def test_every_connection_cut(published, server):
    graph = published()
    for page in server.pages.values():
        page.cuts = [5, 3]
    fetch(graph)
    assert load_graph("MKG-W").num_entities == 3


def test_facts_of_ids_are_written_with_labels(home, published, server):
    train = PublishedFile(
        name="train.txt", url=server.serve("/ids", IDS.encode()), size=len(IDS),
        sha256=sha256(IDS.encode()), ids=True, written_sha256=sha256(FILES["train.txt"].encode()),
    )  # fmt: skip
    files = [train if f.name == "train.txt" else f for f in published().files]
    fetch(PublishedGraph(files=tuple(files)))
    assert (home / "MKG-W/train.txt").read_text() == FILES["train.txt"]


@pytest.mark.parametrize("ids", ["0\t0\t9\n", "0\t0\n", "a\tb\tc\n", "0\t-1\t1\n"])
def test_ids_that_name_nothing(home, published, server, ids):
    train = PublishedFile(
        name="train.txt", url=server.serve("/ids", ids.encode()), size=len(ids),
        sha256=sha256(ids.encode()), ids=True,
    )  # fmt: skip
    files = [train if f.name == "train.txt" else f for f in published().files]
    with pytest.raises(FetchError, match="holds no facts of ids"):
        fetch(PublishedGraph(files=tuple(files)))
    assert not (home / "MKG-W").exists()


def test_files_without_a_known_hash_must_still_be_a_graph(home, published, server):
    files = [
        PublishedFile(name=f.name, url=server.serve(f"/{f.name}", b"\xff\x00"), size=0, sha256="")
        for f in published().files
    ]
    with pytest.raises(FetchError, match="what came is no graph"):
        fetch(PublishedGraph(files=tuple(files)))
    assert not (home / "MKG-W").exists()


def test_trust_on_first_use(home, published, server):
    def unverified(content: bytes) -> PublishedGraph:
        rest = published().files[:-1]
        url = server.serve("/test.txt", content)
        return PublishedGraph(
            files=(*rest, PublishedFile(name="test.txt", url=url, size=0, sha256=""))
        )

    content = FILES["test.txt"].encode()
    folder, fetched = fetch(unverified(content))
    assert fetched[-1].trust == "unverified"
    lock = json.loads((home / "fetched.json").read_text())
    assert lock[fetched[-1].url]["sha256"] == sha256(content)
    folder.rename(home / "aside")
    _, fetched = fetch(unverified(content))
    assert fetched[-1].trust == "recorded"
    (home / "MKG-W").rename(home / "aside2")
    with pytest.raises(FetchError, match=r"is not what came the first time .*fetched\.json"):
        fetch(unverified(b"Spain borders Paris .\n"))
    assert not (home / "MKG-W").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"sha256": 1}}'])
def test_a_broken_record_is_told(home, published, text):
    home.mkdir()
    (home / "fetched.json").write_text(text)
    with pytest.raises(FormatError, match=r"fetched\.json: cannot be read"):
        fetch(published())


def test_two_at_once_do_not_mix(home, published):
    graph = published()
    (home / ".downloads").mkdir(parents=True)
    with (
        lock_file(home / ".downloads" / "lock"),
        pytest.raises(FetchError, match="another momok data fetch is under way"),
    ):
        fetch(graph)
    fetch(graph)


def test_a_folder_that_cannot_be_made_is_told(home, published):
    home.write_text("a file")
    with pytest.raises(StorageError, match="could not be made"):
        fetch(published())


@pytest.mark.usefixtures("home")
def test_without_requests_it_is_said_what_to_install(published, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'momok\[fetch\]'"):
        fetch(published())


def test_the_bundled_graph_is_not_fetched():
    with pytest.raises(DataError, match="comes with momok"):
        fetch_graph(CATALOG[0], silent)


# --- the archive of features


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def get_archive(entry, archive):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ORIGINS, entry.name, PublishedGraph(files=(), features=archive))
        return fetch_features(entry, silent)


@pytest.fixture
def get_features(server, home):  # noqa: ARG001
    def call(content: bytes, folder: str = "MKG-W", **how):
        url = server.serve("/features.zip", content, **how)
        archive = PublishedArchive(url=url, page="http://page", folder=folder)
        return get_archive(ENTRY, archive)

    return call


def test_features_of_one_graph_are_unpacked(get_features, home):
    content = zipped(
        {
            "datasets/MKG-W/img_features.pth": b"image",
            "datasets/MKG-W/text_features.pth": b"text",
            "datasets/MKG-Y/img_features.pth": b"another graph",
            "README": b"-",
        }
    )
    folder, fetched, files = get_features(content)
    assert folder == home / "MKG-W" / "published-features"
    assert files == ["img_features.pth", "text_features.pth"]
    assert (folder / "img_features.pth").read_bytes() == b"image"
    assert fetched.trust == "unverified"
    assert json.loads((folder / "origin.json").read_text())["files"][0]["trust"] == "unverified"


def test_the_archive_serves_all_graphs_and_is_fetched_once(get_features, server):
    content = zipped({"MKG-W/a.pth": b"1", "MKG-Y/a.pth": b"2"})
    get_features(content)
    server.asked.clear()
    url = f"{server.url}/features.zip"
    other = CatalogEntry("MKG-Y", "another", origin="http://127.0.0.1")
    archive = PublishedArchive(url=url, page="http://page", folder="MKG-Y")
    folder, fetched, _ = get_archive(other, archive)
    assert (folder / "a.pth").read_bytes() == b"2"
    assert (server.asked, fetched.trust) == ([], "recorded")


@pytest.mark.parametrize(
    "members",
    [
        {"../../MKG-W/evil.pth": b"x", "MKG-W/a.pth": b"y"},
        {"/MKG-W/evil.pth": b"x"},
        {"MKG-W/../../evil.pth": b"x"},
        {"a/MKG-W/x.pth": b"1", "b/MKG-W/x.pth": b"2"},
    ],
)
def test_hostile_archives_are_refused_whole(get_features, home, members):
    with pytest.raises(MomokError):
        get_features(zipped(members))
    assert not (home / "MKG-W" / "published-features").exists()
    assert "evil.pth" not in {path.rpartition("/")[2] for path in left_behind(home.parent)}


def test_bombs_are_refused(get_features, home):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("MKG-W/img_features.pth", bytes(80 << 20))
    with pytest.raises(FormatError):
        get_features(buffer.getvalue())
    assert not (home / "MKG-W" / "published-features").exists()


def test_links_in_archives_are_refused(get_features, home):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("MKG-W/link.pth")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(FormatError):
        get_features(buffer.getvalue())
    assert not (home / "MKG-W" / "published-features").exists()


def test_an_archive_without_the_graph(get_features):
    with pytest.raises(FetchError, match=r"holds nothing in a folder MKG-W; it has MKG-Y/a\.pth"):
        get_features(zipped({"MKG-Y/a.pth": b"2"}))


def test_no_archive_at_all(get_features):
    with pytest.raises(FormatError, match="is no zip archive"):
        get_features(b"something else, long enough to be looked at")


def test_a_page_that_asks_for_a_click_is_told_with_what_to_do(get_features):
    with pytest.raises(FetchError, match="a web page instead of the file; or get it by hand from"):
        get_features(b"<html>", kind="text/html")


@pytest.mark.usefixtures("home")
def test_db15k_is_made_of_ids(benchmarks, server):
    """The published ids, made from the labels, become the labels again."""

    def read_ids(name):
        lines = (benchmarks / "DB15K" / name).read_text(encoding="utf-8").splitlines()
        return dict(line.replace("\t", " ").rsplit(" ", 1) for line in lines)

    entities, relations = read_ids("entity2id.txt"), read_ids("relation2id.txt")
    lines = (benchmarks / "DB15K" / "train.txt").read_text(encoding="utf-8").splitlines()
    facts = (line.split(" ") for line in lines)
    ids = "".join(f"{entities[h]}\t{relations[r]}\t{entities[t]}\n" for h, r, t, _ in facts)
    graph = ORIGINS["DB15K"]
    files = []
    for file in graph.files:
        content = ids.encode() if file.ids else (benchmarks / "DB15K" / file.name).read_bytes()
        url = server.serve(f"/{file.name}", content)
        files.append(PublishedFile(**{**vars(file), "url": url}))
    entry = CatalogEntry("DB15K", "d", origin="o")
    folder, fetched = fetch(PublishedGraph(files=tuple(files)), entry)
    assert {f.trust for f in fetched} == {"verified"}
    assert (folder / "train.txt").read_bytes() == (benchmarks / "DB15K/train.txt").read_bytes()
