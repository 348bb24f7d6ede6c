"""Plots of run folders that are made up: whatever a run holds, the pictures can be read."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from momok.config import resolve_config
from momok.errors import RunError
from momok.evaluation import HITS_AT, Evaluation, Metrics
from momok.graph import MultimodalGraph, Vocabulary
from momok.reporting import draw_plots
from momok.reporting.curves import _draw_metric, choose_epoch, draw_curves
from momok.reporting.heads import draw_heads
from momok.reporting.relations import MOST_RELATIONS, choose_relations, draw_relations
from momok.reporting.style import (
    choose_colours,
    choose_fonts,
    find_uncovered,
    fit_text,
    scale_logarithmically,
    style,
)
from momok.training import RunFolder

HEADS = ("structure", "image", "joint", "answer")
FONTS = ("DejaVu Sans",)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(style(FONTS)):
        yield


def _metrics(value: float | None, count: int = 10) -> Metrics:
    rank = None if value is None else 1 / value
    return Metrics(count=count, mrr=value, mean_rank=rank, hits=dict.fromkeys(HITS_AT, value))


def _evaluation(labels: tuple[str, ...], protocol: str = "clean") -> Evaluation:
    overall = {head: _metrics(0.1 + 0.1 * place) for place, head in enumerate(HEADS)}
    by_relation = {
        label: {head: _metrics(0.01 + 0.9 * place / len(labels), 5 + place) for head in HEADS}
        for place, label in enumerate(labels)
    }
    return Evaluation(
        split="test",
        protocol=protocol,  # type: ignore[arg-type]
        num_facts=5,
        num_queries=10,
        num_unseen_facts=0,
        by_tie_rule={"realistic": overall},
        by_side={},
        by_relation=by_relation,
        by_relation_and_side={},
        by_cardinality={},
        by_cardinality_and_side={},
        by_presence={},
        by_seen={},
    )


def _epoch(number: int) -> dict[str, object]:
    losses = {f"loss/{head}": 1 / number for head in HEADS[:-1]}
    return {"kind": "epoch", "epoch": number, "loss": 3 / number} | losses


def _validation(number: int, mrr: float, kind: str = "valid") -> dict[str, object]:
    metrics = {head: _metrics(mrr).to_json() for head in HEADS}
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
    run.save_evaluation(_evaluation(labels))
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
    figure = draw_curves([_epoch(n) for n in range(1, 9)], validations, "valid", "world")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert "chosen:\nepoch 4\nMRR 30.0%" in texts
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "Training loss: world",
        "Validation MRR: world",
        "Validation Hits@10: world",
    ]


@pytest.mark.parametrize(("values", "place"), [((0.2, 0.3, 0.31), 0), ((0.01, 0.02, 0.3), 1)])
def test_the_words_about_the_chosen_epoch_are_beside_the_curve(values, place: int) -> None:
    records = [
        {"epoch": epoch, "metrics": {"answer": _metrics(value).to_json()}}
        for epoch, value in zip((10, 18, 20), values, strict=True)
    ]
    axes = Figure().subplots()
    _draw_metric(axes, "MRR", records, 20)
    [words] = axes.texts
    assert words.get_text().startswith("chosen:\nepoch 20")
    assert words.xy == (20, place)


def test_the_published_protocol_is_named_in_the_picture() -> None:
    validations = [_validation(1, 0.1, "test")]
    figure = draw_curves([_epoch(1)], validations, "test", "world")
    assert "TEST" in figure.axes[1].get_title(loc="left")


def test_heads_shows_the_values_of_every_head() -> None:
    figure = draw_heads(_evaluation(("r",)), "world, test")
    [axis] = figure.axes
    heights = sorted({round(bar.get_height(), 6) for bar in axis.patches})
    assert heights == [10.0, 20.0, 30.0, 40.0]
    assert "world, test" in axis.get_title(loc="left")


def test_the_most_frequent_relations_are_shown_and_it_is_said() -> None:
    labels = tuple(f"relation {number}" for number in range(MOST_RELATIONS + 5))
    evaluation = _evaluation(labels)
    names = dict(zip(labels, labels, strict=True))
    rows, remark = choose_relations(evaluation, names, FONTS)
    assert remark == f"the {MOST_RELATIONS} most frequent of {len(labels)} relations"
    assert [name for name, _ in rows] == list(labels[5:])  # worst first: drawn from below
    figure = draw_relations(evaluation, names, FONTS, "world, test")
    figure.draw_without_rendering()
    [axis] = figure.axes
    boxes = [label.get_window_extent() for label in axis.get_yticklabels()]
    assert all(low.y1 <= high.y0 + 0.5 for low, high in pairwise(boxes))


def test_relations_without_queries_are_left_out() -> None:
    evaluation = _evaluation(("a", "b"))
    empty = {head: _metrics(None, 0) for head in HEADS}
    evaluation = replace(evaluation, by_relation={**evaluation.by_relation, "c": empty})
    rows, remark = choose_relations(evaluation, {"a": "A", "b": "B", "c": "C"}, FONTS)
    assert [name for name, _ in rows] == ["A", "B"]
    assert remark == ""


def test_a_name_without_a_font_is_given_by_its_line() -> None:
    rows, remark = choose_relations(_evaluation(("p", "q")), {"p": "属性", "q": "plain"}, FONTS)
    assert [name for name, _ in rows] == ["relation of line 2", "plain"]
    assert "graph/relations.tsv" in remark


def test_texts_are_fitted() -> None:
    assert fit_text("two\nlines", FONTS, 20) == "two lines"
    assert fit_text("abcdefghij-klmnopqrst", FONTS, 11) == "abcde…pqrst"
    assert fit_text("a属\x07b", FONTS, 20) == "a□□b"
    assert choose_fonts(["plain", "Ελλάδα"]) == FONTS
    assert find_uncovered("aя属", FONTS) == {"属"}


@pytest.mark.parametrize(
    ("low", "high"), [(0.004, 0.04), (0.011, 0.018), (1, 3000), (2e-5, 0.7), (0.3, 0.3)]
)
@pytest.mark.parametrize("which", ["x", "y"])
def test_a_logarithmic_axis_has_labels_to_read_it_by(which: str, low: float, high: float) -> None:
    figure = Figure()
    axes = figure.subplots()
    _ = axes.plot([low, high], [1, 2]) if which == "x" else axes.plot([1, 2], [low, high])
    scale_logarithmically(axes, which)
    figure.canvas.draw()
    axis = axes.xaxis if which == "x" else axes.yaxis
    least, most = axis.get_view_interval()
    places = axis.get_majorticklocs()
    labels = axis.get_ticklabels()
    seen = [
        label.get_text() for label, at in zip(labels, places, strict=True) if least <= at <= most
    ]
    assert 2 <= len(set(seen)) <= 9


def test_heads_keep_their_colours() -> None:
    first = choose_colours(("structure", "sound", "answer"))
    second = choose_colours(("sound", "text", "structure", "answer"))
    assert first["structure"] == second["structure"]
    assert first["answer"] == second["answer"]
    assert len(set(second.values())) == 4
