"""Figures and pictures as parts of a page."""

from __future__ import annotations

import re
from pathlib import Path

import html5lib
from matplotlib.figure import Figure
from PIL import Image

from momok.reporting.report.page import Pictures, embed_figure
from momok.reporting.style import INK, plot_style
from tests.training.small_training import build_graph


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
    with plot_style():
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
    with plot_style():  # ids of another figure of the page are others
        other = embed_figure(_draw(label), "p8").content
    assert not set(ids) & set(re.findall(r'id="([^"]+)"', other))


def test_pictures_that_are_none_are_counted(tmp_path: Path) -> None:
    good, text, cut, tiny = (tmp_path / name for name in ("good.jpg", "a.png", "b.png", "c.gif"))
    Image.new("RGB", (400, 100), "red").save(good)
    text.write_bytes(b"<svg onload=alert(1)>")
    Image.new("RGB", (90, 90)).save(cut)
    cut.write_bytes(cut.read_bytes()[:70])
    Image.new("P", (1, 1)).save(tiny)
    graph = build_graph()
    pictures = Pictures(graph, {0: good, 1: text, 2: cut, 3: tmp_path / "gone.png", 4: tiny})
    first = pictures.show(0)
    assert first.startswith('<span class="entity"><img src="data:image/webp;base64,')
    assert 'width="48" height="12"' in first
    assert first.striptags() == graph.entity_names[0]
    assert pictures.show(0) is first
    assert not any("<img" in pictures.show(number) for number in (1, 2, 3))
    assert pictures.show(2).striptags() == graph.entity_names[2]
    assert "<img" in pictures.show(4)
    assert "<img" not in pictures.show(9)
    assert pictures.unreadable == 3
