"""The tree of files in CONTRIBUTING.md, made from the first line of each module's docstring.

``python -m tools.write_tree`` writes it; a test asserts that it is up to date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
FOLDERS = ("src/momok", "benchmarks", "tools")
_TREE = re.compile(rf"^```text\n{FOLDERS[0]}/.*?^```\n", re.M | re.S)
_COLUMN = 30  # where what a file is begins


def render_page() -> str:
    """CONTRIBUTING.md with today's tree."""
    tree = "\n".join(line for name in FOLDERS for line in _list_folder(ROOT / name, name, 0))
    return _TREE.sub(lambda _: f"```text\n{tree}\n```\n", PAGE.read_text(encoding="utf-8"))


def _list_folder(folder: Path, name: str, depth: int) -> Iterator[str]:
    """The line of a folder, those of its files, and then its folders; only of Python."""
    yield _align(f"{name}/", _read_first_line(folder / "__init__.py"), depth)
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            yield _align(file.name, _read_first_line(file), depth + 1)
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from _list_folder(inner, inner.name, depth + 1)


def _align(name: str, text: str, depth: int) -> str:
    return f"{'  ' * depth + name:<{_COLUMN}} {text}".rstrip()


def _read_first_line(file: Path) -> str:
    """The first line of a module's docstring, without marks of code and the last full stop."""
    code = file.read_text(encoding="utf-8") if file.is_file() else ""
    text = ast.get_docstring(ast.parse(code)) or ""
    return text.partition("\n")[0].replace("`", "").removesuffix(".")


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
