"""The figures of a run: drawn for its report, and saved as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from matplotlib.figure import Figure

from momok.errors import RunError
from momok.evaluation import ANSWER, Metrics
from momok.prediction import ModelExplanation, explain_model
from momok.prediction.calibration.record import load_calibration
from momok.progress import Progress, no_progress
from momok.reporting.plots import (
    draw_curves,
    draw_epoch_times,
    draw_heads,
    draw_ranks,
    draw_reliability,
    save_plot,
)
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import Value
from momok.reporting.report.run_tables import list_groups
from momok.reporting.row_plots import (
    draw_disentanglement,
    draw_experts,
    draw_groups,
    draw_modalities,
    draw_relations,
)
from momok.reporting.style import fit_text, plot_style
from momok.training import RunFolder

Figures: TypeAlias = Iterator[tuple[str, Figure]]
"""Figures without titles, by name; to be drawn within ``plot_style``."""

_LONGEST_GROUP_NAME = 34


def draw_plots(
    folder: RunFolder, *, model: bool = False, progress: Progress = no_progress
) -> list[Path]:
    """Save the figures of a run's report into its folder ``plots``, as PNG and as SVG.

    The same run gives the same bytes. A run that is not finished has curves only.

    Args:
        model: also draw what its checkpoint has learned of the relations, if there is one.

    Returns:
        the files written.

    Raises:
        RunError: the run has not finished an epoch, or a file of it is damaged.
    """
    run = RunContents(folder.path)
    if not run.epochs:
        raise RunError(f"{folder.path}: no epoch is finished yet, so there is nothing to draw")
    written = []
    with plot_style():
        for name, figure in (*draw_training(run), *draw_results(run)):
            written += save_plot(figure, folder.path / "plots" / name, run.title_figure(name))
        if model and folder.best_checkpoint.is_file():
            for name, figure in draw_model(run, explain_model(folder, progress=progress)):
                written += save_plot(figure, folder.path / "plots" / name, run.title_figure(name))
    return written


def draw_training(run: RunContents) -> Figures:
    """Draw the losses and validations of a run, and the time of every epoch."""
    if run.epochs:
        epochs, validations = ([r.value for r in rs] for rs in (run.epochs, run.validations))
        yield "curves", draw_curves(epochs, validations, published=run.published)
    if len(run.epoch_seconds) > 1:
        yield "times", draw_epoch_times(run.epoch_seconds)


def draw_results(run: RunContents) -> Figures:
    """Draw the test result of a run: by head, rank, group of queries and relation."""
    evaluation, graph = run.evaluation, run.graph
    if evaluation is None:
        return
    yield "heads", draw_heads(evaluation)
    if run.ranks is not None:
        yield "ranks", draw_ranks(run.ranks, graph.num_entities)
    for name, fields in (
        ("groups", ("by_side", "by_cardinality")),
        ("presence", ("by_seen", "by_presence")),
    ):
        groups = [
            (fit_text(title, 60), [_fit_group(*member) for member in members])
            for title, members in list_groups(run.result, fields)
        ]
        if any(len(members) > 1 for _, members in groups):
            yield name, draw_groups(groups)
    yield "relations", draw_relations(evaluation, graph.relations.labels, graph.relation_names)


def _fit_group(words: str, heads: Value) -> tuple[str, Mapping[str, Metrics]]:
    metrics = {head: Metrics.from_json(found.value) for head, found in heads.items()}
    return f"{fit_text(words, _LONGEST_GROUP_NAME)}  ({metrics[ANSWER].count:,})", metrics


def draw_model(run: RunContents, explanation: ModelExplanation) -> Figures:
    """Draw what the checkpoint of a run has learned, and how well it is calibrated."""
    if explanation.num_experts > 1:
        yield "experts", draw_experts(explanation)
        yield "disentanglement", draw_disentanglement(explanation)
    yield "modalities", draw_modalities(explanation)
    calibration = load_calibration(run.run)
    answer = calibration.outputs.get(ANSWER) if calibration else None
    if answer and answer.raw and answer.calibrated:
        yield "reliability", draw_reliability(answer.raw.bins, answer.calibrated.bins)
        if answer.raw.top_bins and answer.calibrated.top_bins:
            figure = draw_reliability(answer.raw.top_bins, answer.calibrated.top_bins)
            yield "reliability-top", figure
