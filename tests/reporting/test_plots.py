"""Plots of run folders that are made up: whatever a run holds, the pictures can be read."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from momok.config import resolve_config
from momok.errors import RunError
from momok.graph import MultimodalGraph, Vocabulary
from momok.reporting import draw_plots
from momok.reporting.plots import choose_epoch, draw_curves, draw_heads
from momok.training import RunFolder
from tests.reporting.small_evaluation import HEADS, make_evaluation, make_metrics
from tests.training.small_training import drop_checksums

pytestmark = pytest.mark.usefixtures("drawn_in_style")


def _epoch(number: int) -> dict[str, object]:
    losses = {f"loss/{head}": 1 / number for head in HEADS[:-1]}
    return {"kind": "epoch", "epoch": number, "loss": 3 / number} | losses


def _validation(number: int, mrr: float, kind: str = "valid") -> dict[str, object]:
    metrics = {head: make_metrics(mrr).to_json() for head in HEADS}
    return {"kind": kind, "epoch": number, "metrics": metrics}


def _make_run(folder: Path, labels: tuple[str, ...], name: str = "made up") -> RunFolder:
    facts = np.array([[0, 0, 1]], dtype=np.int64)
    graph = MultimodalGraph(
        name=name,
        entities=Vocabulary(("a", "b")),
        relations=Vocabulary(labels),
        train=facts,
        valid=facts,
        test=facts,
    )
    run = RunFolder.create(folder, graph, resolve_config(), {})
    for number in range(1, 9):
        run.log(_epoch(number))
        if number % 2 == 0:
            run.log(_validation(number, 0.1 * number / (1 + (number > 6))))
    run.save_evaluation(make_evaluation(labels))
    return run


def _read_png(path: Path) -> tuple[int, int, int]:
    """Width, height and the number of distinct pixel rows, from the file's own chunks."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, data, size = 8, b"", (0, 0)
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        body = content[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            data += body
        place += length + 12
    pixels = zlib.decompress(data)
    step = len(pixels) // size[1]
    return *size, len({pixels[i : i + step] for i in range(0, len(pixels), step)})


def test_all_plots_are_pictures_with_content(tmp_path: Path) -> None:
    run = _make_run(tmp_path / "run", ("borders", "capital of"))
    paths = draw_plots(run)
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for name in ("curves", "heads", "relations") for kind in ("png", "svg")
    ]
    for path in paths:
        if path.suffix == ".png":
            width, height, rows = _read_png(path)
            assert 800 <= width <= 3000
            assert 300 <= height <= 3000
            assert rows > 50
        else:
            root = ElementTree.parse(path).getroot()
            assert root.tag.endswith("svg")
            assert len(list(root.iter())) > 100
    assert {path.name for path in (run.path / "plots").iterdir()} == {p.name for p in paths}


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = _make_run(tmp_path / "run", ("borders",))
    first = [path.read_bytes() for path in draw_plots(run)]
    assert [path.read_bytes() for path in draw_plots(run)] == first


def test_a_run_that_is_not_finished_has_curves_only(tmp_path: Path) -> None:
    run = _make_run(tmp_path / "run", ("borders",))
    (run.path / "results" / "test.json").unlink()
    assert {path.stem for path in draw_plots(run)} == {"curves"}
    (run.path / "metrics.jsonl").write_text(json.dumps(_epoch(1)) + "\n")
    assert {path.stem for path in draw_plots(run)} == {"curves"}  # no validation, one epoch
    (run.path / "metrics.jsonl").write_text("")
    with pytest.raises(RunError, match="nothing to draw"):
        draw_plots(run)


def test_labels_of_any_kind_are_drawn_without_a_warning(tmp_path: Path) -> None:
    labels = (
        "http://dbpedia.org/ontology/" + "veryLongPropertyName" * 5,
        "属性",
        "$x_{1}$ costs 5$",
        "حدود",
        "bell\x07 and \U0001f600",
        "%",
        "_hidden",
    )
    assert len(draw_plots(_make_run(tmp_path / "run", labels, name="图 $\\frac$ " * 20))) == 6


def test_the_chosen_epoch_is_the_trainers() -> None:
    mrr = {2: 0.1, 4: 0.3, 6: 0.3, 8: 0.2}  # of equals the first is kept
    validations = [_validation(epoch, value) for epoch, value in mrr.items()]
    assert choose_epoch(validations) == 4
    figure = draw_curves([_epoch(n) for n in range(1, 9)], validations)
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "Training loss",
        "Validation MRR: 30.0% at epoch 4",
        "Validation Hits@10: 30.0% at epoch 4",
    ]
    for axis in figure.axes:
        assert [4, 4] in [list(line.get_xdata()) for line in axis.lines]  # the dashed line


def test_the_published_protocol_is_named_in_the_picture(tmp_path: Path) -> None:
    figure = draw_curves([_epoch(1)], [_validation(1, 0.1, "test")], published=True)
    assert "TEST" in figure.axes[1].get_title(loc="left")
    run = _make_run(tmp_path / "run", ("borders",))
    drop_checksums(run.path)
    config = json.loads((run.path / "config.json").read_text())
    config["evaluation"]["protocol"] = "published"
    (run.path / "config.json").write_text(json.dumps(config))
    run.save_evaluation(make_evaluation(("borders",), "published"))
    draw_plots(run)
    for name in ("heads", "relations"):
        assert "PUBLISHED PROTOCOL" in (run.path / "plots" / f"{name}.svg").read_text()


def test_heads_shows_the_values_of_every_head() -> None:
    figure = draw_heads(make_evaluation(("r",)))
    [axis] = figure.axes
    heights = sorted({round(bar.get_height(), 6) for bar in axis.patches})
    assert heights == [10.0, 20.0, 30.0, 40.0]
