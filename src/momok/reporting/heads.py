"""The metrics of every decision head, side by side."""

from __future__ import annotations

from matplotlib.figure import Figure

from momok.evaluation import Evaluation, Metrics
from momok.reporting.style import INK, choose_colours, plain_numbers

__all__ = ["draw_heads"]

_METRICS = ("MRR", "Hits@1", "Hits@3", "Hits@10")
_GROUP = 0.84  # of the room of a metric that its bars take
_ROOM_FOR_NUMBERS, _ROOM_WHEN_NARROW = 9, 4  # bars in a group; over more the numbers would overlap


def draw_heads(evaluation: Evaluation, about: str, *, narrow: bool = False) -> Figure:
    """Draw MRR and Hits@1/3/10 as groups of bars, one bar per head, the answer last.

    Args:
        evaluation: what to draw.
        about: graph, split and protocol, for the title; "" for none.
        narrow: for half the width of a page.
    """
    heads = evaluation.heads
    colours = choose_colours(heads)
    width = 5.4 if narrow else max(7.5, 1.5 * len(heads) + 2)
    figure = Figure(figsize=(width, 3.6 if narrow else 3.9), layout="constrained")
    axis = figure.subplots()
    if about:
        axis.set_title(f"Decision heads: {about}")
    width = _GROUP / len(heads)
    for position, head in enumerate(heads):
        values = _list_values(evaluation.overall[head])
        shift = (position + 0.5) * width - _GROUP / 2
        places = [group + shift for group in range(len(_METRICS))]
        bars = axis.bar(places, values, 0.92 * width, color=colours[head], label=head)
        if len(heads) <= (_ROOM_WHEN_NARROW if narrow else _ROOM_FOR_NUMBERS):
            axis.bar_label(bars, fmt="%.1f", fontsize=8, padding=2, color=INK)
    axis.set_xticks(range(len(_METRICS)), list(_METRICS))
    axis.tick_params(axis="x", length=0, labelsize=10, labelcolor=INK)
    axis.yaxis.set_major_formatter(plain_numbers("%"))
    axis.grid(axis="x", visible=False)
    axis.margins(x=0.02, y=0.1)
    figure.legend(
        loc="outside lower center", ncols=min(len(heads), 5 if narrow else 8), fontsize=9.5
    )
    return figure


def _list_values(metrics: Metrics) -> list[float]:
    """The metrics in the order of ``_METRICS``, in percent."""
    shares = (metrics.mrr, *(metrics.hits[k] for k in (1, 3, 10)))
    return [100 * (share or 0.0) for share in shares]
