"""Plots of what a model has learned: made-up explanations, whatever their names and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from momok.prediction import ModelExplanation
from momok.prediction.questions import Thing
from momok.reporting.experts import (
    MOST_RELATIONS,
    choose_relations,
    draw_disentanglement,
    draw_experts,
    draw_modalities,
)
from momok.reporting.model_plots import draw_model_plots
from momok.reporting.style import style
from tests.training.small_training import build_graph, train_small

FONTS = ("DejaVu Sans",)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(style(FONTS)):
        yield


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


def test_relations_are_the_most_frequent() -> None:
    rows, names, remark = choose_relations(make_explanation(), FONTS)
    assert rows == [3, 2, 0]  # and not 1, which train does not have
    assert names[0] == "relation 3  (40)"
    assert remark == ""
    many = make_explanation(60)
    rows, names, remark = choose_relations(many, FONTS)
    assert len(rows) == len(names) == MOST_RELATIONS
    assert remark == "the 40 most frequent of 59 relations"


def test_names_that_no_font_has_are_given_by_line() -> None:
    explanation = make_explanation()
    odd = (explanation.relations[0], explanation.relations[1], Thing("r2", "\u1b05\u1b13"))
    explanation = replace(explanation, relations=(*odd, explanation.relations[3]))
    _, names, remark = choose_relations(explanation, FONTS)
    assert names[1] == "relation of line 4  (30)"
    assert "graph/relations.tsv" in remark


def test_every_weight_of_an_expert_is_a_cell_with_its_number() -> None:
    explanation = make_explanation()
    figure = draw_experts(explanation, FONTS, "made up")
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
    figure = draw_experts(make_explanation(experts=9), FONTS, "made up")
    assert set(texts_of(figure)) == {"(h, r, ?)", "(?, r, t)"}


def test_modality_bars_sum_to_the_whole() -> None:
    figure = draw_modalities(make_explanation(), FONTS, "made up")
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
    figure = draw_modalities(replace(make_explanation(), fusion=None), FONTS, "made up")
    assert [axis.get_title(loc="center") for axis in figure.axes] == ["share of the answer"]


def test_disentanglement_has_a_matrix_per_modality_and_the_estimates() -> None:
    explanation = make_explanation()
    figure = draw_disentanglement(explanation, FONTS, "made up")
    assert len(figure.axes) == 3
    assert texts_of(figure).count("1.00") == 6
    assert figure.axes[0].get_xlabel() == "random maps: 0.61"
    [line] = figure.axes[2].lines
    assert list(line.get_ydata()) == [0.5, 0.1, 0.2]
    without = replace(explanation, mutual_information=())
    assert len(draw_disentanglement(without, FONTS, "made up").axes) == 2


@pytest.mark.parametrize(("experts", "modalities"), [(1, ("structure",)), (16, ("a", "b", "c"))])
def test_any_size_can_be_drawn(experts: int, modalities: tuple[str, ...], tmp_path: Path) -> None:
    explanation = make_explanation(experts=experts, modalities=modalities)
    for draw in (draw_experts, draw_modalities, draw_disentanglement):
        draw(explanation, FONTS, "$\\frac$").savefig(tmp_path / "plot.svg")
        assert (tmp_path / "plot.svg").stat().st_size > 1000


def test_plots_of_a_run_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", build_graph(), training__epochs=1)
    told: list[tuple[int, int]] = []
    paths = draw_model_plots(run, progress=lambda _what, *done: told.append(done))
    assert {path.name for path in paths} == {
        f"{stem}.{suffix}"
        for stem in ("experts", "modalities", "disentanglement")
        for suffix in ("png", "svg")
    }
    assert all(path.parent == run.path / "plots" for path in paths)
    assert told
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in draw_model_plots(run)] == before
