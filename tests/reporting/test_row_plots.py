"""Plots by relation: made-up results and explanations, whatever their names and sizes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from momok.prediction import ModelExplanation
from momok.prediction.questions import Thing
from momok.reporting import draw_plots
from momok.reporting.row_plots import (
    MOST_RELATIONS,
    choose_relations,
    draw_disentanglement,
    draw_experts,
    draw_groups,
    draw_modalities,
    draw_relations,
)
from tests.reporting.small_evaluation import HEADS, make_evaluation, make_metrics
from tests.training.small_training import build_graph, train_small

pytestmark = pytest.mark.usefixtures("drawn_in_style")


def make_explanation(
    relations: int = 4, experts: int = 3, modalities: tuple[str, ...] = ("structure", "text")
) -> ModelExplanation:
    """Relation 1 has no train query; the others have 10, 20, 30 and so on."""
    rng = np.random.default_rng(0)

    def weights(columns: int) -> dict[Any, Any]:
        table = rng.dirichlet(np.ones(columns), size=(2, relations))
        table[:, 1] = np.nan
        return {"tail": table[0], "head": table[1]}

    counts = 5 * (1 + np.arange(relations))
    counts[1] = 0
    return ModelExplanation(
        graph="made up",
        relations=tuple(Thing(f"r{i}", f"relation {i}") for i in range(relations)),
        modalities=modalities,
        parts=modalities,
        queries={"tail": counts, "head": counts},
        experts={modality: weights(experts) for modality in modalities},
        fusion=weights(len(modalities)),
        shares=weights(len(modalities)),
        cka={modality: np.eye(experts) * 0.6 + 0.4 for modality in modalities},
        random_cka=dict.fromkeys(modalities, 0.61),
        mutual_information=((1, 0.5), (2, 0.1), (3, 0.2)),
    )


def texts_of(figure: Figure) -> list[str]:
    """All that is written in the axes of a figure."""
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_most_frequent_relations_are_drawn_best_on_top() -> None:
    labels = tuple(f"relation {number}" for number in range(MOST_RELATIONS + 5))
    figure = draw_relations(make_evaluation(labels), labels, labels)
    figure.draw_without_rendering()
    [axis] = figure.axes
    shown = [label.get_text().partition("  (")[0] for label in axis.get_yticklabels()]
    assert shown == list(labels[:4:-1])
    assert f"the {MOST_RELATIONS} most frequent of {len(labels)} relations" in axis.get_xlabel()
    boxes = [label.get_window_extent() for label in axis.get_yticklabels()]
    assert all(high.y0 >= low.y1 - 0.5 for high, low in pairwise(boxes))


def test_relations_without_queries_are_left_out() -> None:
    evaluation = make_evaluation(("a", "b"))
    empty = {head: make_metrics(None, 0) for head in HEADS}
    evaluation = replace(evaluation, by_relation={**evaluation.by_relation, "c": empty})
    [axis] = draw_relations(evaluation, ("a", "b", "c"), ("A", "B", "C")).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["B  (6)", "A  (5)"]
    assert axis.get_xlabel() == "MRR of the answer (bar) and of each head (dots)"


def test_groups_have_titles_bars_and_numbers() -> None:
    metrics = {head: make_metrics(0.1 + place / 10) for place, head in enumerate(HEADS)}
    [axis] = draw_groups([("Side", [("tail", metrics)]), ("Kind", [("1-1", metrics)])]).axes
    assert [text.get_text() for text in axis.texts] == ["Side", "Kind", "40.0", "40.0"]
    assert [round(bar.get_width(), 6) for bar in axis.patches] == [40.0, 40.0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["tail", "1-1"]


def test_relations_are_the_most_frequent() -> None:
    rows, names, remark = choose_relations([f"relation {i}" for i in range(4)], [10, 0, 30, 40])
    assert rows == [3, 2, 0]  # and not 1, which has none
    assert names[0] == "relation 3  (40)"
    assert remark == ""
    rows, names, remark = choose_relations([f"relation {i}" for i in range(60)], [5] * 60)
    assert len(rows) == len(names) == MOST_RELATIONS
    assert remark == "the 40 most frequent of 60 relations"


def test_names_that_no_font_has_are_given_by_line() -> None:
    _, names, remark = choose_relations(["plain", "属性"], [10, 30])
    assert names == ["relation of line 3  (30)", "plain  (10)"]
    assert "graph/relations.tsv" in remark


def test_every_weight_of_an_expert_is_a_cell_with_its_number() -> None:
    explanation = make_explanation()
    figure = draw_experts(explanation)
    written = texts_of(figure)
    for modality, axis in zip(explanation.modalities, figure.axes, strict=True):
        assert axis.get_title(loc="center") == modality
        numbers = [t.get_text() for t in axis.texts if t.get_text().isdigit()]
        expected = [
            f"{100 * weight:.0f}"
            for row in (3, 2, 0)
            for side in ("tail", "head")
            for weight in explanation.experts[modality][side][row]  # type: ignore[index]
        ]
        assert numbers == expected
    assert written.count("(h, r, ?)") == written.count("(?, r, t)") == 2


def test_many_experts_have_colours_and_no_numbers() -> None:
    figure = draw_experts(make_explanation(experts=9))
    assert set(texts_of(figure)) == {"(h, r, ?)", "(?, r, t)"}


def test_modality_bars_sum_to_the_whole() -> None:
    figure = draw_modalities(make_explanation())
    titles = [axis.get_title(loc="center") for axis in figure.axes]
    assert titles == ["share of the answer", "attention of the joint head"]
    for axis in figure.axes:
        ends: dict[float, float] = {}
        for bar in axis.patches:
            middle = round(bar.get_y() + bar.get_height() / 2)  # type: ignore[attr-defined]
            ends[middle] = ends.get(middle, 0.0) + bar.get_width()  # type: ignore[attr-defined]
        assert sorted(ends) == [0, 1, 2]
        assert list(ends.values()) == pytest.approx([100.0] * 3)


def test_without_a_joint_head_there_are_shares_only() -> None:
    figure = draw_modalities(replace(make_explanation(), fusion=None))
    assert [axis.get_title(loc="center") for axis in figure.axes] == ["share of the answer"]


def test_disentanglement_has_a_matrix_per_modality_and_the_estimates() -> None:
    explanation = make_explanation()
    figure = draw_disentanglement(explanation)
    assert len(figure.axes) == 3
    assert texts_of(figure).count("1.00") == 6
    assert figure.axes[0].get_xlabel() == "random maps: 0.61"
    [line] = figure.axes[2].lines
    assert list(line.get_ydata()) == [0.5, 0.1, 0.2]
    without = replace(explanation, mutual_information=())
    assert len(draw_disentanglement(without).axes) == 2


@pytest.mark.parametrize(("experts", "modalities"), [(1, ("structure",)), (16, ("a", "b", "c"))])
def test_any_size_can_be_drawn(experts: int, modalities: tuple[str, ...], tmp_path: Path) -> None:
    explanation = make_explanation(experts=experts, modalities=modalities)
    for draw in (draw_experts, draw_modalities, draw_disentanglement):
        draw(explanation).savefig(tmp_path / "plot.svg")
        assert (tmp_path / "plot.svg").stat().st_size > 1000


def test_plots_of_a_run_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", build_graph(), training__epochs=1)
    told: list[tuple[int, int]] = []
    paths = draw_plots(run, model=True, progress=lambda _what, *done: told.append(done))
    of_model = {"experts", "modalities", "disentanglement"}
    assert of_model <= {path.stem for path in paths}
    assert all(path.parent == run.path / "plots" for path in paths)
    assert told
    before = {path: path.read_bytes() for path in paths}
    again = draw_plots(run)
    assert of_model.isdisjoint(path.stem for path in again)
    assert {path: path.read_bytes() for path in again}.items() <= before.items()
