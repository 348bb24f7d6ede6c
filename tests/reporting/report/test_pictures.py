"""Small copies of pictures, whatever the files are."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from momok.reporting.report.pictures import Pictures
from tests.training.small_training import build_graph


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
