"""The plots of a run, drawn from the files of its folder alone, as PNG and as SVG.

``curves``: losses and validation metrics over the epochs. ``heads``: the metrics of every decision
head. ``relations``: the MRR of every relation.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from momok.errors import RunError
from momok.evaluation import Evaluation
from momok.reporting.curves import draw_curves
from momok.reporting.heads import draw_heads
from momok.reporting.relations import draw_relations
from momok.reporting.style import choose_fonts, fit_text, style
from momok.storage import write_file
from momok.training import RunFolder

__all__ = ["draw_plots", "save_plot"]

_DPI = 160
_LONGEST_GRAPH_NAME = 24
_NO_DATES: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}


def draw_plots(run: RunFolder, folder: Path | None = None) -> list[Path]:
    """Draw what there is to draw of a run into its folder ``plots``, or another one.

    The same run gives the same bytes. A run that is not finished has curves only.

    Returns:
        the files written.

    Raises:
        RunError: the run has not finished an epoch, or a file of it is damaged.
        StorageError: the disk refused.
    """
    epochs = list(run.records("epoch"))
    if not epochs:
        raise RunError(f"{run.path}: no epoch is finished yet, so there is nothing to draw")
    split = "test" if run.config.evaluation.protocol == "published" else "valid"
    validations = list(run.records(split))
    evaluation = _find_evaluation(run)
    graph = run.load_graph()
    names = dict(zip(graph.relations.labels, graph.relation_names, strict=True))
    graph_name, losses = str(run.data["name"]), "".join(epochs[0])
    fonts = choose_fonts([graph_name, losses, *names.values()])
    name = fit_text(graph_name, fonts, _LONGEST_GRAPH_NAME)

    folder = folder or run.path / "plots"
    curves = folder / "curves"
    written = save_plot(curves, fonts, lambda: draw_curves(epochs, validations, split, name))
    if evaluation is not None:
        about = _describe(name, evaluation)
        written += save_plot(folder / "heads", fonts, lambda: draw_heads(evaluation, about))
        written += save_plot(
            folder / "relations", fonts, lambda: draw_relations(evaluation, names, fonts, about)
        )
    return written


def _find_evaluation(run: RunFolder) -> Evaluation | None:
    """The test result, else the validation result, if the run has got that far."""
    protocol = run.config.evaluation.protocol
    suffix = "" if protocol == "clean" else "-published"
    for split in ("test", "valid"):
        if (run.path / "results" / f"{split}{suffix}.json").exists():
            return run.load_evaluation(split, protocol)
    return None


def _describe(name: str, evaluation: Evaluation) -> str:
    """Which graph, split and protocol: the part that every title ends with."""
    words = f"{name}, {evaluation.split}, {evaluation.num_queries:,} queries"
    if evaluation.protocol == "published":
        words += "\nPUBLISHED PROTOCOL: chosen on test, for comparison only"
    return words


def save_plot(stem: Path, fonts: Sequence[str], draw: Callable[[], Figure]) -> list[Path]:
    """Draw a figure in the house's style and save it as ``stem.png`` and ``stem.svg``."""
    paths = []
    with matplotlib.rc_context(style(fonts)):
        figure = draw()
        for suffix, metadata in _NO_DATES.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, dpi=_DPI, metadata=metadata, bbox_inches="tight")
            path = stem.with_name(f"{stem.name}.{suffix}")
            write_file(path, buffer.getvalue())
            paths.append(path)
    return paths
