"""docs/api.md is what the docstrings say, and has every public name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from tools.write_api import PACKAGES, find_definition, render_reference

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_reference(), (
        "run: python -m tools.write_api > docs/api.md"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_described(package) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"## `{package}`\n")[1].split("\n## ")[0]
    for name in import_module(package).__all__:
        if name != "__version__":
            assert f"### `{name}`\n" in section
            found = find_definition(package, name)
            assert hasattr(import_module(found.module), name)
            assert found.docstring or name.isupper(), name
