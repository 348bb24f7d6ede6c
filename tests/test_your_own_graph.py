"""The guide to one's own graph, from raw files and from PyKEEN: followed command by command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from momok.cli import main

PAGE = Path(__file__).resolve().parent.parent / "docs" / "your-own-graph.md"
SECTIONS = dict(
    re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
)
QUICK = (  # what a reader waits for, in seconds
    *("training.epochs=1", "training.validate_every=1", "model.structure_width=8"),
    *("model.relation_width=8", "model.joint_width=8", "features.width=8", "runtime.threads=1"),
    "runtime.compile=off",
)


def follow(section: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run the blocks of a section in order; give the texts that are said to be printed."""
    names: dict[str, object] = {}
    said, promised = "", []
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```", section, re.M | re.S):
        if language == "python":
            exec(code, names)
            said += capsys.readouterr().out
        elif language == "sh":
            for line in code.replace("\\\n", " ").splitlines():
                said += run(line)
        elif language == "text":
            promised.append(code)
            missing = [row for row in code.splitlines() if squeeze(row) not in squeeze(said)]
            assert not missing, f"{missing} is not in:\n{said}"
    return promised


def run(line: str) -> str:
    words = shlex.split(line, comments=True)
    if not words:
        return ""
    assert words[0] == "momok", line
    quick = [part for setting in QUICK for part in ("--set", setting)]
    arguments = words[1:] + (quick if words[1] == "train" else [])
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, arguments)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.stdout


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # of PyG's import
@pytest.mark.parametrize("title", ["From raw files", "From a DataFrame", "From PyKEEN"])
def test_a_section_can_be_followed(title: str, tmp_path: Path, monkeypatch, capsys) -> None:
    if "PyKEEN" in title:
        pytest.importorskip("pykeen")
    if "DataFrame" in title:
        pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    follow(SECTIONS[title], capsys)
    assert list(tmp_path.iterdir())
