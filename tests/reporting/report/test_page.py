"""Figures as parts of a page."""

from __future__ import annotations

import re

import html5lib
from matplotlib.figure import Figure

from momok.reporting.report.page import embed_figure
from momok.reporting.style import INK, plot_style


def _draw(label: str) -> Figure:
    figure = Figure()
    axis = figure.subplots()
    axis.plot([1, 2], color=INK, label=label)
    axis.plot([2, 1], color="#123456")
    axis.set_title(label)
    figure.legend()
    return figure


def test_figures_become_part_of_the_page() -> None:
    label = '</svg><script>x</script> & "--> é'
    with plot_style([]):
        chart = embed_figure(_draw(label), "p7")
    svg = f'<svg viewBox="0 0 1 1">{chart.content}</svg>'
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(
        f"<!DOCTYPE html><title>t</title><body>{svg}</body>"
    )
    assert label in [e.text for e in root.iter() if str(e.tag).endswith("}text")]
    assert not list(root.iter("script"))
    assert not any(word in svg for word in ("<metadata", "<style", "xlink", "<!--", "<?xml"))
    assert "var(--ink)" in svg
    assert INK not in svg
    assert "#123456" in svg  # no colour of the house: kept
    used = re.findall(r"""(?:href="#|url\(#)([^")]+)""", svg)
    ids = re.findall(r'id="([^"]+)"', svg)
    assert used
    assert set(used) <= set(ids)
    with plot_style([]):  # ids of another figure of the page are others
        other = embed_figure(_draw(label), "p8").content
    assert not set(ids) & set(re.findall(r'id="([^"]+)"', other))
