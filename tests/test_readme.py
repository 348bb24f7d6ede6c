"""What the README promises: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from pkgutil import resolve_name

import pytest
from click.testing import CliRunner

from momok.cli import main

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys) -> None:
    (code,) = blocks(CHECKOUT / "README.md", "python")
    monkeypatch.chdir(tmp_path)
    exec(code.replace("epochs=20", "epochs=1, candidate_block=4096"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6  # five answers and the MRR
    assert 0.0 < float(lines[-1]) <= 1.0
    assert (tmp_path / "runs").is_dir()


def test_the_python_of_the_graph_guide_runs(tmp_path, monkeypatch) -> None:
    (code,) = blocks(CHECKOUT / "docs" / "graphs.md", "python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    graph, again = names["graph"], names["again"]
    assert graph.fingerprint() == again.fingerprint()  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    """Every momok command of the pages is known, with every option that is shown."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["momok"]:
                continue
            path = [word for word in words[1:3] if re.fullmatch("[a-z-]+", word)][:2]
            path = path if path[0] in {"data", "features", "reviewers", "reviews"} else path[:1]
            shown = CliRunner().invoke(main, [*path, "--help"])
            assert shown.exit_code == 0, line
            for option in (word for word in words if re.match("--?[a-z]", word)):
                assert option.split("=")[0] in shown.output, f"{option} in: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        if not target.startswith("http"):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub names them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_exist(page: Path) -> None:
    """Python files that a page names, from the package, a folder of it, or the checkout."""
    roots = (CHECKOUT, CHECKOUT / "src", CHECKOUT / "src" / "momok")
    for name in re.findall(r"`((?:[\w-]+/)+[\w*-]+\.py)`", page.read_text(encoding="utf-8")):
        assert any(list(root.glob(name)) for root in roots), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_the_package_exist(page: Path) -> None:
    """What the Python of a page imports from momok, and modules and names that a page mentions."""
    for code in blocks(page, "python"):
        for line in re.findall(r"^(?:from momok|import momok)[^(\n]*$", code, re.M):
            exec(line, {})
    for name in re.findall(r"`(momok(?:\.\w+)+)", page.read_text(encoding="utf-8")):
        assert resolve_name(name) is not None


def test_the_file_tree_is_that_of_the_checkout() -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    tree = text.split("src/momok/\n", 1)[1].split("```", 1)[0]
    inside = re.findall(r"^  (\S+)", tree, re.M)
    assert all((CHECKOUT / "src" / "momok" / name).exists() for name in inside)
    present = {
        path.name + "/" * path.is_dir()
        for path in (CHECKOUT / "src" / "momok").iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    }
    assert present == set(inside)
