"""Draws the figures of a page once, and saves them as PNG and SVG beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from momok.reporting.plots import save_plot
from momok.reporting.report.blocks import Chart
from momok.reporting.report.inline import embed_figure
from momok.reporting.style import choose_fonts, style

__all__ = ["Drawer"]


class Drawer:
    """Makes charts for a page.

    Args:
        folder: where figures that are no plots of ``momok plot`` are saved.
        texts: all that figures may have to say: fonts are chosen for it.
    """

    def __init__(self, folder: Path, texts: Iterable[str]) -> None:
        self.folder = folder
        self.fonts = choose_fonts(texts)
        self._count = 0

    def draw(
        self,
        draw: Callable[[], Figure],
        title: str,
        description: str,
        *,
        caption: str = "",
        file: str = "",
        wide: bool = False,
    ) -> Chart:
        """Draw a figure into the page, and save it too where it is given a file's name.

        Args:
            draw: makes the figure; a title of the whole figure is left out of the page, and one
                is given to a file that has none.
            title: what stands above it.
            description: what a screen reader says instead of it.
            caption: what stands below it.
            file: its name in the folder, without ending.
            wide: whether it takes the whole width of the page.
        """
        self._count += 1
        with matplotlib.rc_context(style(self.fonts)):
            figure = draw()
            figure.suptitle("")
            svg = embed_figure(figure, f"plot{self._count}", description)
        if file:
            save_plot(self.folder / file, self.fonts, lambda: _give_title(draw(), title))
        return Chart(svg=svg, title=title, caption=caption, wide=wide)


def _give_title(figure: Figure, title: str) -> Figure:
    if figure.get_suptitle():
        return figure
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure
