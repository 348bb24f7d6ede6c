"""A hub on this machine: what is pushed is pulled, and what goes wrong is one line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from momok.prediction import Predictor
from momok.storage import seal, unseal
from momok.training import RunFolder
from tests.prediction.trained_run import train_small_run
from tests.sharing.fake_hub import FakeHub, serve_hub


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with serve_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_small_run(tmp_path_factory.mktemp("runs") / "run", training__epochs=1)


def momok(hub: FakeHub, home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """A process of its own: the hub's library reads its address when it is imported."""
    import os

    settings = {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_x", "HF_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "momok", *map(str, command)],
        env=os.environ | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_what_is_pushed_is_pulled(hub: FakeHub, run: RunFolder, tmp_path: Path) -> None:
    pushed = momok(hub, tmp_path, "push", run.path, "me/world")
    assert (pushed.returncode, pushed.stdout) == (0, f"{hub.address}/me/world\n"), pushed.stderr
    assert hub.private["me/world"]
    card = hub.files["me/world"]["README.md"].decode()
    assert 'from_pretrained("me/world")' in card
    pulled = momok(hub, tmp_path, "pull", "me/world", tmp_path / "pulled")
    assert pulled.returncode == 0, pulled.stderr
    question = {"head": "France", "relation": "borders"}
    expected = Predictor(run).predict(**question).to_json()
    assert Predictor(tmp_path / "pulled").predict(**question).to_json() == expected
    code = (
        "import momok\n"
        "predictor = momok.Predictor.from_pretrained('me/world')\n"
        "print(predictor.predict(head='France', relation='borders')[0].label)"
    )
    import os

    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path)}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert printed.stdout.strip() == expected["predictions"][0]["label"]


def test_mistakes_are_one_line(hub: FakeHub, run: RunFolder, tmp_path: Path) -> None:
    found = momok(hub, tmp_path, "pull", "me/nothing", tmp_path / "x")
    assert found.returncode == 2
    assert found.stderr.startswith("momok: me/nothing: the hub has no such repository for you")
    assert len(found.stderr.splitlines()) == 1
    hub.refuses = True
    try:
        found = momok(hub, tmp_path, "push", run.path, "you/world")
    finally:
        hub.refuses = False
    assert found.returncode == 2
    assert found.stderr == (
        "momok: you/world: the hub refused: You have no right to do this; log in with "
        "`hf auth login`, or set HF_TOKEN\n"
    )
    gone = FakeHub()
    gone.address = "http://127.0.0.1:9"
    found = momok(gone, tmp_path, "pull", "me/nothing", tmp_path / "x")
    assert found.returncode == 2
    assert found.stderr == (
        "momok: me/nothing: the hub could not be reached, and nothing is cached\n"
    )


def test_nothing_is_written_over_and_nothing_else_comes_along(
    hub: FakeHub, run: RunFolder, tmp_path: Path
) -> None:
    assert momok(hub, tmp_path, "push", run.path, "me/more").returncode == 0
    hub.files["me/more"] |= {"model.pkl": b"x", "results/old.json": b"{}"}
    assert momok(hub, tmp_path, "push", run.path, "me/more").returncode == 0
    assert "results/old.json" not in hub.files["me/more"]  # of an earlier run
    assert "model.pkl" in hub.files["me/more"]
    hub.files["me/more"]["graph/features/../../x.py"] = b"x"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    found = momok(hub, tmp_path, "pull", "me/more", mine)
    assert found.returncode == 2
    assert "exists already" in found.stderr
    assert [path.name for path in mine.iterdir()] == ["file"]
    found = momok(hub, tmp_path, "pull", "me/more", tmp_path / "new")
    assert found.returncode == 0, found.stderr
    names = {path.name for path in (tmp_path / "new").rglob("*")}
    assert not names & {"model.pkl", "x.py", ".cache"}


def test_hubs_that_cannot_be_reached(run: RunFolder, tmp_path: Path) -> None:
    gone = FakeHub()
    for address in ("http://127.0.0.1:9", "notaurl"):
        gone.address = address
        found = momok(gone, tmp_path, "push", run.path, "me/world")
        assert found.returncode == 2
        assert "me/world: the hub could not be reached" in found.stderr
        assert len(found.stderr.splitlines()) == 1


def test_a_graph_at_a_path_is_not_trusted(hub: FakeHub, run: RunFolder, tmp_path: Path) -> None:
    assert momok(hub, tmp_path, "push", run.path, "me/path").returncode == 0
    files = hub.files["me/path"]
    files["data.json"] = files["data.json"].replace(b'"source": "world"', b'"source": "/etc"')
    about = unseal(json.loads(files["run.json"]))
    about["files"]["data.json"] = hashlib.sha256(files["data.json"]).hexdigest()
    files["run.json"] = json.dumps(seal(about)).encode()
    found = momok(hub, tmp_path, "pull", "me/path", tmp_path / "x")
    assert found.returncode == 2
    assert "a path; it is not trusted" in found.stderr
    assert not (tmp_path / "x").exists()


def test_a_repository_that_is_no_run(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["me/other"] = {"README.md": b"# Something else\n"}
    found = momok(hub, tmp_path, "pull", "me/other", tmp_path / "x")
    assert found.returncode == 2
    said = found.stderr.splitlines()[-1]
    assert said == "momok: me/other: no run of momok is in this repository"
    assert not (tmp_path / "x").exists()
