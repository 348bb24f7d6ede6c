"""docs/architecture.md: the files, functions and settings that it names are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from momok.config import list_settings

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "momok"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TEXT = " ".join(re.sub(r"^```.*?^```", "", PAGE, flags=re.M | re.S).split())
CODE = re.findall(r"`([^`]+)`", TEXT)
PATHS = sorted({code for code in CODE if re.fullmatch(r"[\w/]+(\.py|/)", code)})
NAMES = sorted({code for code in CODE if re.fullmatch(r"[A-Za-z_][\w.]*", code)} - {*PATHS})
PLACES = re.findall(r"`([\w.]+)`(?: (?:and|or) `([\w.]+)`)? \(`([\w/]+\.py)`\)", TEXT)


@cache
def list_definitions(file: Path) -> frozenset[str]:
    """Functions, classes, constants, and methods as Class.method, of a file."""
    found = set[str]()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
            found |= {f"{node.name}.{method.name}" for method in methods}
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                found.add(target.id)
    return frozenset(found)


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_there(path) -> None:
    assert (SOURCE / path).exists() or (ROOT / path).exists()


@pytest.mark.parametrize(("name", "other", "file"), PLACES)
def test_a_function_is_in_its_file(name, other, file) -> None:
    assert {name, other or name} <= list_definitions(SOURCE / file)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_there(name) -> None:
    defined = {d for file in SOURCE.rglob("*.py") for d in list_definitions(file)}
    defined |= {d.partition(".")[2] for d in defined}
    settings = {setting for setting, _, _ in list_settings()}
    values = re.findall(r'"(\w+)"', (SOURCE / "settings.py").read_text(encoding="utf-8"))
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    assert name in {*defined, *settings, *values, *folders, "torch.compile"}


def test_the_page_has_the_four_ways() -> None:
    assert len(re.findall(r"^## The way of ", PAGE, re.M)) == 4
    assert len(PLACES) > 40
