"""The tree of CONTRIBUTING.md is that of the checkout."""

from __future__ import annotations

from tools.write_tree import FOLDERS, PAGE, ROOT, render_page


def test_the_tree_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == render_page(), "run: python -m tools.write_tree"


def test_every_file_says_what_it_is() -> None:
    tree = PAGE.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    lines = [line.split(maxsplit=1) for line in tree.splitlines()]
    assert not [line for line in lines if len(line) == 1 and line[0] != "tools/"]
    files = [file for name in FOLDERS for file in (ROOT / name).rglob("*.py")]
    assert len(files) > 150
    assert all(len(line) < 140 for line in tree.splitlines())
