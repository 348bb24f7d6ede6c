"""The plots of a trained model: experts and modalities by relation, how far the experts differ."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from momok.prediction import ModelExplanation, explain_model
from momok.progress import Progress, no_progress
from momok.reporting.experts import draw_disentanglement, draw_experts, draw_modalities
from momok.reporting.plots import save_plot
from momok.reporting.style import choose_fonts, fit_text
from momok.training import RunFolder

__all__ = ["draw_model_plots"]

_LONGEST_GRAPH_NAME = 24


def draw_model_plots(
    run: RunFolder,
    explanation: ModelExplanation | None = None,
    *,
    progress: Progress = no_progress,
) -> list[Path]:
    """Draw ``experts``, ``modalities`` and ``disentanglement`` into the folder ``plots`` of a run.

    Args:
        run: the run.
        explanation: what ``explain_model`` said of it; by default it is asked.
        progress: is told of the train queries while it is.

    Returns:
        the files written, PNG and SVG.

    Raises:
        RunError: there is no checkpoint yet, or a file of the run is damaged.
        StorageError: the disk refused.
    """
    explanation = explanation or explain_model(run, progress=progress)
    fonts = choose_fonts(
        [explanation.graph, *explanation.modalities, *(r.name for r in explanation.relations)]
    )
    name = fit_text(explanation.graph, fonts, _LONGEST_GRAPH_NAME)
    written = []
    for stem, draw in (
        ("experts", draw_experts),
        ("modalities", draw_modalities),
        ("disentanglement", draw_disentanglement),
    ):
        figure = partial(draw, explanation, fonts, name)
        written += save_plot(run.path / "plots" / stem, fonts, figure)
    return written
