"""Charts of what ``benchmarks/turns.py`` measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw_turns"]

_COLOURS = ("#bbbbbb", "#4477aa", "#228833", "#ccbb44")
_FLOOR = "#cc3311"


def draw_turns(
    implementations: Mapping[str, Mapping[str, Any]],
    path: Path,
    *,
    title: str,
    floors: Mapping[str, float] | None = None,
) -> None:
    """Draw time and peak memory of every implementation, side by side.

    Args:
        implementations: by name ``seconds`` (a dot each), ``median_seconds`` (the bar) and
            ``peak_memory_bytes``.
        path: of the picture.
        title: what was timed.
        floors: by name the least seconds that its arithmetic takes, drawn as a line on its bar.
    """
    from matplotlib.figure import Figure

    names = list(implementations)
    rows = range(len(names))
    colours = [_COLOURS[row % len(_COLOURS)] for row in rows]
    figure = Figure(figsize=(9, 1.3 + 0.5 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    medians = [implementations[name]["median_seconds"] for name in names]
    left.barh(rows, medians, color=colours, height=0.6)
    for row, name in enumerate(names):
        turns = implementations[name]["seconds"]
        left.plot(turns, [row] * len(turns), "o", color="black", ms=3, alpha=0.6)
        left.annotate(
            f"{medians[row]:.2f} s",
            (max(turns), row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
        if floors and name in floors:
            left.plot([floors[name]] * 2, [row - 0.36, row + 0.36], color=_FLOOR, lw=2)
    if floors:
        left.plot(
            [], [], color=_FLOOR, lw=2, label="floor: its products at the rate of the machine"
        )
        left.legend(loc="lower right", fontsize="small")
    memory = [implementations[name]["peak_memory_bytes"] / 1e9 for name in names]
    bars = right.barh(rows, memory, color=colours, height=0.6)
    right.bar_label(bars, fmt="%.1f GB", padding=3)
    left.set(yticks=rows, yticklabels=names, xlabel=f"{title} (bar: median, dots: turns)")
    right.set(xlabel="peak memory of the process, GB")
    left.invert_yaxis()
    for axes in (left, right):
        axes.margins(x=0.18)
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    figure.savefig(path, dpi=130)
