"""The parts of a page: texts, numbers, figures, settings, pictures."""

from __future__ import annotations

import re
from pathlib import Path

import html5lib
import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from momok.config import resolve_config
from momok.reporting.report import numbers
from momok.reporting.report.inline import embed_figure
from momok.reporting.report.pictures import Pictures
from momok.reporting.report.settings import explain_in_words, flatten_config, list_changes
from momok.reporting.report.theme import DARK, LIGHT, PLOT_VARIABLES, name_head_colours
from momok.reporting.style import FURTHER_COLOURS, HEAD_COLOURS, INK, style
from tests.reporting.report.pages import look_up


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_fit_for_a_page(text: str) -> None:
    cleaned = numbers.clean_text(text)
    cleaned.encode("utf-8")
    escaped = cleaned.replace("&", "&amp;").replace("<", "&lt;")
    document = f"<!DOCTYPE html><title>t</title><p>{escaped}</p>"
    html5lib.HTMLParser(strict=True).parse(document)
    assert numbers.clean_text(cleaned) == cleaned
    assert len(numbers.shorten(text, 20)) <= 20


def test_texts_keep_what_names_need() -> None:
    for name in ("中文", "العربية", "👩‍🚀", "Zoë", "हिन्दी"):
        assert numbers.clean_text(name) == name
    assert numbers.clean_text("a\tb\n c\x07") == "a b c\\x07"
    assert numbers.shorten("abcdefghij-klmnopqrst", 11) == "abcde…pqrst"


@given(st.lists(st.text(max_size=8), max_size=4))
def test_pointers_lead_back(path: list[str]) -> None:
    import json
    import tempfile

    value: object = 7
    for step in reversed(path):
        value = {step: value}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.json").write_text(json.dumps(value), encoding="utf-8")
        assert look_up(numbers.point_to("a.json", *path), {"": Path(folder)}) == 7


def test_numbers_are_written_as_people_read_them() -> None:
    assert numbers.percent(0.34520516).text == "34.52"
    assert numbers.percent(None) is numbers.NONE
    assert numbers.percent(0.3452).machine == "0.3452"
    assert numbers.signed(-0.0123).text == "−1.23"
    assert numbers.signed(-0.00001).text == "0.00"
    assert numbers.count(12345).text == "12,345"
    assert [numbers.rank(x).text for x in (3.0, 3.5, 1801.2793)] == ["3", "3.5", "1,801.3"]
    shown = [numbers.seconds(x).text for x in (0.834, 12.64, 250, 7500)]
    assert shown == ["0.83 s", "12.6 s", "4 min 10 s", "2 h 05 min"]
    assert numbers.list_in_words(["a", "b", "c"]) == "a, b and c"


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
    with matplotlib.rc_context(style(("DejaVu Sans",))):
        svg = embed_figure(_draw(label), "p7", 'a "description" <b>')
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(
        f"<!DOCTYPE html><title>t</title><body>{svg}</body>"
    )
    [element] = [e for e in root.iter() if str(e.tag).endswith("}svg")]
    assert element.attrib["aria-label"] == 'a "description" <b>'
    assert label in [e.text for e in root.iter() if str(e.tag).endswith("}text")]
    assert not list(root.iter("script"))
    assert not any(word in svg for word in ("<metadata", "<style", "xlink", "<!--", "<?xml"))
    assert all(found.startswith("p7-") for found in re.findall(r'id="([^"]+)"', svg))
    assert "var(--ink)" in svg
    assert INK not in svg
    assert "#123456" in svg  # no colour of the house: kept


def test_every_colour_of_the_plots_has_a_dark_one() -> None:
    assert set(LIGHT) - {"head-answer"} >= set(PLOT_VARIABLES.values())
    assert set(DARK) == set(LIGHT)
    assert {*HEAD_COLOURS.values(), *FURTHER_COLOURS} <= set(PLOT_VARIABLES)
    names = name_head_colours(("structure", "sound", "text", "answer"))
    assert names["structure"] == "head-structure"
    assert names["answer"] == "head-answer"
    assert LIGHT[names["sound"]] == FURTHER_COLOURS[0]


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1, definition of contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_its_ground(theme: dict[str, str]) -> None:
    pairs = [("ink", ground) for ground in ("page", "card", "sunken", "fill", "warn-soft")]
    pairs += [("muted", ground) for ground in ("page", "card", "sunken", "accent-soft")]
    pairs += [("accent", ground) for ground in ("card", "accent-soft", "page")]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "warn", "bad")]
    for text, ground in pairs:
        assert _contrast(theme[text], theme[ground]) >= 4.5, (text, ground)


def test_settings_that_differ_from_the_preset() -> None:
    assert list_changes(resolve_config()) == {}
    assert list_changes(resolve_config("paper")) == {}
    config = resolve_config(
        overrides={"training.epochs": 7, "features.width": 32, "modality.image.trainable": False}
    )
    assert list_changes(config) == {
        "training.epochs": (7, 60),
        "features.width": (32, 128),
        "modality.image.trainable": (False, True),
    }
    assert flatten_config(config)["modality.image.width"] == 32


def test_explanations_set_code_apart() -> None:
    parts = explain_in_words("``clean`` mends; ``published`` does not")
    assert [getattr(part, "text", part) for part in parts] == [
        *("clean", " mends; ", "published", " does not")
    ]


def test_pictures_that_are_none_are_counted(tmp_path: Path) -> None:
    good, text, cut, tiny = (tmp_path / name for name in ("good.jpg", "a.png", "b.png", "c.gif"))
    Image.new("RGB", (400, 100), "red").save(good)
    text.write_bytes(b"<svg onload=alert(1)>")
    Image.new("RGB", (90, 90)).save(cut)
    cut.write_bytes(cut.read_bytes()[:70])
    Image.new("P", (1, 1)).save(tiny)
    pictures = Pictures({0: good, 1: text, 2: cut, 3: tmp_path / "gone.png", 4: tiny})
    first = pictures.get(0)
    assert first is not None
    assert (first.width, first.height) == (48, 12)
    assert pictures.get(0) is first
    assert [pictures.get(number) for number in (1, 2, 3)] == [None, None, None]
    assert pictures.get(4) is not None
    assert pictures.get(9) is None
    assert pictures.unreadable == 3
