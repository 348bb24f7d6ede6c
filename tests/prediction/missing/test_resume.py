"""New facts into a file: the same bytes after a kill, whole files or none, faults in one line."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from momok.errors import ConfigError, RunError, StorageError, UnknownLabelError
from momok.prediction.calibration.fit import calibrate_run
from momok.prediction.missing import facts as facts_module
from momok.prediction.missing import resume as module
from momok.prediction.missing.facts import BulkOptions, iterate_new_facts
from momok.prediction.missing.resume import write_new_facts
from momok.prediction.scorer import Scorer
from momok.storage import lock_file
from momok.training import RunFolder

RELATIONS = ["borders", "currency", "located in", "language family"]
OPTIONS = BulkOptions(per_relation=40)


@pytest.fixture(scope="module")
def calibrated(small_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bulk") / "run"
    shutil.copytree(small_run.path, folder)
    calibrate_run(folder)
    return folder


@pytest.fixture(scope="module")
def model(calibrated: Path) -> Scorer:
    return Scorer(calibrated)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def fail_to_write(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_file_has_the_best_facts_of_all_relations(model: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    summary = write_new_facts(model, path, RELATIONS, options=OPTIONS, top=100)
    records = read(path)
    expected = sorted(iterate_new_facts(model, RELATIONS, OPTIONS), key=lambda fact: -fact.score)[
        :100
    ]
    assert [r["score"] for r in records] == pytest.approx([fact.score for fact in expected])
    assert [r["rank"] for r in records] == list(range(1, 101))
    graph = model.graph
    entities, relations = graph.entities.labels, graph.relations.labels
    assert {(r["head"], r["relation"], r["tail"]) for r in records} == {
        (entities[fact.head], relations[fact.relation], entities[fact.tail]) for fact in expected
    }
    first = expected[0]
    assert records[0]["probability"] == pytest.approx(first.probability)
    assert records[0]["head_name"] == graph.entity_names[first.head]
    known = {
        tuple(fact) for split in (graph.train, graph.valid, graph.test) for fact in split.tolist()
    }
    ids = graph.entities.ids
    for r in records:
        assert (ids[r["head"]], graph.relations.ids[r["relation"]], ids[r["tail"]]) not in known
    pairs = 4 * graph.num_entities**2
    assert (summary.facts, summary.relations, summary.resumed, summary.pairs) == (100, 4, 0, pairs)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".nt"])
def test_finished_relations_are_taken_up(
    model: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    whole, path = tmp_path / f"whole{ending}", tmp_path / f"new{ending}"
    write_new_facts(model, whole, RELATIONS, options=OPTIONS)
    rank, asked = facts_module.rank_relation, []

    def stop_at_the_third(*arguments: Any, **more: Any) -> Any:
        asked.append(arguments[1])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return rank(*arguments, **more)

    monkeypatch.setattr(facts_module, "rank_relation", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_new_facts(model, path, RELATIONS, options=OPTIONS)
    assert not path.exists()
    told: list[tuple[str, int, int]] = []
    summary = write_new_facts(
        model, path, RELATIONS, options=OPTIONS, progress=lambda *values: told.append(values)
    )
    assert len(asked) == 3 + 2
    assert summary.resumed == 2
    assert path.read_bytes() == whole.read_bytes()
    total = 4 * model.graph.num_entities**2
    assert (told[0][1:], told[-1][1:]) == ((total // 2, total), (total, total))
    assert sorted(tmp_path.iterdir()) == sorted([path, whole])


def test_another_question_begins_anew(
    model: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.csv"
    rank = facts_module.rank_relation

    def interrupt(*arguments: Any, **more: Any) -> Any:
        if arguments[1] == model.graph.find_relation("currency"):
            raise KeyboardInterrupt
        return rank(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(facts_module, "rank_relation", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_new_facts(model, path, ["borders", "currency"], options=OPTIONS)
    summary = write_new_facts(
        model, path, ["borders", "currency"], options=BulkOptions(per_relation=3)
    )
    assert (summary.resumed, summary.facts) == (0, 6)


def test_a_damaged_piece_is_made_again(
    model: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "new.csv", tmp_path / ".new.csv.unfinished"
    write_new_facts(model, path, RELATIONS, options=OPTIONS)
    expected = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_facts", fail_to_write)
        with pytest.raises(StorageError):
            write_new_facts(model, path, RELATIONS, options=OPTIONS)
    (folder / f"relation-{model.graph.find_relation('borders')}.bin").write_bytes(b"half a file")
    assert write_new_facts(model, path, RELATIONS, options=OPTIONS).resumed == 3
    assert path.read_bytes() == expected


def test_killed_at_any_moment_and_given_again_the_bytes_are_the_same(
    calibrated: Path, model: Scorer, tmp_path: Path
) -> None:
    whole, path = tmp_path / "whole.csv", tmp_path / "new.csv"
    write_new_facts(model, whole, options=OPTIONS)
    command = [
        *(sys.executable, "-m", "momok", "predict-missing", str(calibrated)),
        *("--per-relation", "40", "--out", str(path)),
    ]
    folder = tmp_path / ".new.csv.unfinished"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("relation-*.bin"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not path.exists()
    assert len(list(folder.glob("relation-*.bin"))) >= 3
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "finished before" in done.stderr.replace("\n", " ")
    assert path.read_bytes() == whole.read_bytes()
    assert not folder.exists()


# -- faults --------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_and_the_finished_relations(
    model: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.csv"
    path.write_text("old")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_facts", fail_to_write)
        with pytest.raises(StorageError, match=r"new.csv: could not be written: No space left"):
            write_new_facts(model, path, ["borders"], options=OPTIONS)
    assert path.read_text() == "old"
    assert write_new_facts(model, path, ["borders"], options=OPTIONS).resumed == 1
    assert path.read_text().count("\n") == 41


def test_two_at_once_are_refused(model: Scorer, tmp_path: Path) -> None:
    path, folder = tmp_path / "new.csv", tmp_path / ".new.csv.unfinished"
    folder.mkdir()
    with lock_file(folder / ".lock"), pytest.raises(RunError, match="another process is writing"):
        write_new_facts(model, path, ["borders"])
    assert not path.exists()


def test_a_folder_that_is_a_file_is_told(model: Scorer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"new.csv: could not be written: Not a directory"):
        write_new_facts(model, tmp_path / "file" / "new.csv", ["borders"])


@pytest.mark.parametrize(
    ("name", "more", "error"),
    [
        ("new.xlsx", {}, (ConfigError, "ending '.xlsx'")),
        ("new.csv", {"relations": ["bordrs"]}, (UnknownLabelError, "did you mean borders")),
        ("new.csv", {"top": 0}, (ConfigError, "at least 1")),
        (".csv", {}, (ConfigError, "no ending")),
    ],
)
def test_mistakes_leave_nothing_behind(
    model: Scorer,
    tmp_path: Path,
    name: str,
    more: dict[str, Any],
    error: tuple[type[Exception], str],
) -> None:
    kind, message = error
    with pytest.raises(kind, match=message):
        write_new_facts(model, tmp_path / name, **more)
    assert list(tmp_path.iterdir()) == []
