"""What a shell completes."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from momok.cli import main


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [
        (["train"], "wor", {"world"}),
        (["data", "check"], "mkg", {"MKG-W", "MKG-Y"}),
        (["train", "world", "--preset"], "p", {"paper"}),
        (["train", "world", "--set"], "training.ep", {"training.epochs="}),
        (["config"], "training.ep", {"training.epochs"}),
        ([], "predict-", {"predict-new", "predict-missing"}),
    ],
)
def test_graphs_presets_and_settings(words: list[str], begun: str, expected: set[str]) -> None:
    found = ShellComplete(main, {}, "momok", "_MOMOK_COMPLETE").get_completions(words, begun)
    assert {item.value for item in found if item.type == "plain"} == expected
