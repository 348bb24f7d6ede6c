"""docs/cli.md is what the commands say."""

from __future__ import annotations

from pathlib import Path

from tools.write_cli_reference import render_reference

from momok.cli import COMMANDS
from momok.config import list_settings

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_reference(), (
        "run: python -m tools.write_cli_reference > docs/cli.md"
    )


def test_the_page_has_every_command_and_setting() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"## `momok {name}" in page for name in COMMANDS)
    assert all(f"| `{name}` |" in page for name, _, _ in list_settings())
