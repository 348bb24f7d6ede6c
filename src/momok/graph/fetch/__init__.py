"""Benchmarks from their public addresses: checked, resumed, and whole or not there at all.

Files wait in ``.downloads`` beside the graphs, so that a run that was cut goes on. Only when all
of them are there and are what they should be does the folder of the graph appear. What has no
published hash is unverified: the hash of its first download is recorded in ``fetched.json`` beside
the graphs, and another one later is an error (trust on first use).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from momok.errors import DataError, FetchError, FormatError
from momok.extras import import_extra
from momok.graph.benchmark_format import is_benchmark_folder, read_benchmark_folder
from momok.graph.catalog import CatalogEntry, list_places
from momok.graph.fetch.download import Downloader
from momok.graph.fetch.origins import ORIGINS, PublishedArchive, PublishedFile, PublishedGraph
from momok.graph.sources.compressed import list_members, open_source
from momok.progress import Progress
from momok.storage import lock_file, parse_json, write_file, write_folder

LOCK_NAME = "fetched.json"
RECORD_NAME = "origin.json"
FEATURES_FOLDER = "published-features"
_WAITING = ".downloads"


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One file that was fetched.

    Attributes:
        trust: ``verified`` (the hash is published with momok), ``unverified`` (nobody says what it
            should be; recorded now) or ``recorded`` (the same as when it was first fetched).
    """

    name: str
    url: str
    size: int
    sha256: str
    trust: str


def fetch_graph(entry: CatalogEntry, progress: Progress) -> tuple[Path, list[Fetched]]:
    """Fetch the files of a benchmark into the first of its places (``list_places``).

    Returns:
        The folder, and what came from where.

    Raises:
        DataError: the graph comes with momok, has no public address, or is there already.
        FetchError: a download failed or is not what was published.
    """
    published = _find_published(entry)
    folder = list_places(entry)[0]
    if is_benchmark_folder(folder):
        raise DataError(
            f"{folder}: {entry.name} is there already; remove the folder to fetch it again"
        )
    lock = folder.parent / LOCK_NAME
    waiting = folder.parent / _WAITING / entry.name
    with _hold_downloads(folder.parent):
        fetched = [_fetch_file(file, waiting, lock, progress) for file in published.files]
    with write_folder(folder) as draft:
        for file in published.files:  # those with ids after the lists of labels
            if file.ids:
                _write_labels(waiting / file.name, draft, file)
            else:
                shutil.copyfile(waiting / file.name, draft / file.name)
        try:
            read_benchmark_folder(draft, modalities=False)
        except DataError as error:
            reason = str(error).removeprefix(f"{draft}/")
            raise FetchError(f"{entry.name}: what came is no graph: {reason}") from None
        _write_record(draft / RECORD_NAME, fetched)
    shutil.rmtree(waiting, ignore_errors=True)
    return folder, fetched


def fetch_features(entry: CatalogEntry, progress: Progress) -> tuple[Path, Fetched, list[str]]:
    """Fetch the authors' archive of features and unpack what belongs to a graph.

    The files are pickles and are not opened here: ``momok features import`` reads them safely.

    Returns:
        The folder with the files, what came from where, and the names of the files.

    Raises:
        DataError: the graph has no published features, or they are there already.
        FetchError: the download failed, is no archive, or holds nothing for this graph.
        FormatError: the archive looks hostile.
    """
    archive = _find_published(entry).features
    if archive is None:
        raise DataError(f"{entry.name}: no features are published")
    graph = list_places(entry)[0]
    target = graph / FEATURES_FOLDER
    if target.is_dir() and any(target.iterdir()):
        raise DataError(f"{target}: is there already; remove the folder to fetch it again")
    waiting = graph.parent / _WAITING
    name = f"features-{hashlib.sha256(archive.url.encode()).hexdigest()[:12]}.zip"
    wanted = PublishedFile(name=name, url=archive.url, size=0, sha256="")
    try:
        with _hold_downloads(graph.parent):
            fetched = _fetch_file(wanted, waiting, graph.parent / LOCK_NAME, progress)
    except FetchError as error:
        raise FetchError(f"{error}; or get it by hand from {archive.page}") from None
    members = _choose_members(waiting / name, archive)
    with write_folder(target) as draft:
        for member, plain in members.items():
            with open_source(waiting / name / member) as source, (draft / plain).open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        _write_record(draft / RECORD_NAME, [fetched])
    return target, fetched, sorted(members.values())


@contextmanager
def _hold_downloads(home: Path) -> Iterator[None]:
    """Hold the folder of what waits: two downloads into one part would mix."""
    folder = home / _WAITING
    with lock_file(folder / "lock") as held:
        if not held:
            raise FetchError(f"{folder}: another momok data fetch is under way; wait for it")
        yield


def _find_published(entry: CatalogEntry) -> PublishedGraph:
    if entry.bundled:
        raise DataError(f"{entry.name} comes with momok; there is nothing to fetch")
    if entry.name not in ORIGINS:
        raise DataError(f"{entry.name} has no public address that momok knows")
    return ORIGINS[entry.name]


def _fetch_file(file: PublishedFile, waiting: Path, lock: Path, progress: Progress) -> Fetched:
    """Fetch one file into the folder of those that wait, unless it is there and right."""
    import_extra("requests", "fetch", "fetching a benchmark")
    recorded = _read_lock(lock).get(file.url, {}).get("sha256", "")
    known = file.sha256 or recorded
    waiting.mkdir(parents=True, exist_ok=True)
    path = waiting / file.name
    if not known or not path.is_file() or _hash(path) != known:
        Downloader(
            part=waiting / f"{file.name}.part",
            size=file.size or None,
            progress=lambda done, total: progress(f"fetching {file.name}", done, total),
        ).fetch(file.url, path)
    found = _hash(path)
    if known and found != known:
        path.unlink()
        fault = (
            f"what came is not the published {file.name} (its sha256 is not {known[:12]}…); "
            f"nothing was put in place. Try again; if it stays so, the file was changed at its "
            f"address"
        )
        if not file.sha256:
            fault = (
                f"what came is not what came the first time (sha256 {known[:12]}…, in {lock}); "
                f"take its entry out of that file if the change is right"
            )
        raise FetchError(f"{file.url}: {fault}")
    trust = "verified" if file.sha256 else "recorded" if recorded else "unverified"
    size = path.stat().st_size
    if trust == "unverified":
        entries = _read_lock(lock)
        entries[file.url] = {"sha256": found, "size": size, "date": _today()}
        write_file(lock, (json.dumps(entries, indent=1) + "\n").encode())
    return Fetched(name=file.name, url=file.url, size=size, sha256=found, trust=trust)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_lock(lock: Path) -> dict[str, dict[str, Any]]:
    if not lock.is_file():
        return {}
    try:
        read = parse_json(lock.read_bytes())
        if not all(isinstance(v, dict) and isinstance(v.get("sha256"), str) for v in read.values()):
            raise ValueError("entries must be objects with a sha256")
    except (OSError, ValueError, AttributeError) as error:
        raise FormatError(f"{lock}: cannot be read ({error}); mend or remove it") from None
    return dict(read)


def _write_record(path: Path, fetched: list[Fetched]) -> None:
    """Write what came from where, beside the files."""
    record = {"fetched": _today(), "files": [asdict(file) for file in fetched]}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _write_labels(source: Path, folder: Path, file: PublishedFile) -> None:
    """Write facts of ids as facts of labels, in the form of the other splits of the benchmark."""
    entities, relations = (
        [
            line.replace("\t", " ").rpartition(" ")[0]
            for line in (folder / name).read_text(encoding="utf-8").split("\n")
            if line
        ]
        for name in ("entity2id.txt", "relation2id.txt")
    )
    try:
        lines = []
        for line in source.read_text(encoding="utf-8").splitlines():
            head, relation, tail = (int(part) for part in line.split("\t"))
            if min(head, relation, tail) < 0:
                raise ValueError("an id below 0")
            lines.append(f"{entities[head]} {relations[relation]} {entities[tail]} .\n")
    except (ValueError, IndexError) as error:
        raise FetchError(f"{file.url}: holds no facts of ids ({error})") from None
    content = "".join(lines).encode()
    if file.written_sha256 and hashlib.sha256(content).hexdigest() != file.written_sha256:
        raise FetchError(f"{file.url}: with labels it is not the published {file.name}")
    (folder / file.name).write_bytes(content)


def _choose_members(path: Path, archive: PublishedArchive) -> dict[str, str]:
    """Choose the files of one graph: name in the archive to plain name."""
    chosen: dict[str, str] = {}
    names = list_members(path)
    for name in names:
        folders, plain = name.split("/")[:-1], name.rpartition("/")[2]
        if archive.folder in folders and plain and plain != RECORD_NAME:
            if plain in chosen.values():
                raise FormatError(f"{path}: holds two files {plain} for {archive.folder}")
            chosen[name] = plain
    if not chosen:
        raise FetchError(
            f"{archive.url}: holds nothing in a folder {archive.folder}; it has "
            f"{', '.join(names[:5]) or 'no file'}"
        )
    return chosen
