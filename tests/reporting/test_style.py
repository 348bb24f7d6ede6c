"""How figures look: fonts, colours, axes."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from momok.reporting.style import (
    COLOURS,
    FURTHER_COLOURS,
    HEAD_COLOURS,
    PLOT_VARIABLES,
    choose_colours,
    find_uncovered,
    fit_text,
    list_fonts,
    scale_logarithmically,
)
from tests.reporting.small_evaluation import HEADS

pytestmark = pytest.mark.usefixtures("drawn_in_style")


def test_texts_are_fitted() -> None:
    assert fit_text("two\nlines", 20) == "two lines"
    assert fit_text("abcdefghij-klmnopqrst", 11) == "abcde…pqrst"
    assert fit_text("a\U000e0101\x07b", 20) == "a□□b"
    assert list_fonts()[0] == "DejaVu Sans"
    assert find_uncovered("aя\U000e0101") == {"\U000e0101"}


@pytest.mark.parametrize(
    ("low", "high"), [(0.004, 0.04), (0.011, 0.018), (1, 3000), (2e-5, 0.7), (0.3, 0.3)]
)
@pytest.mark.parametrize("which", ["x", "y"])
def test_a_logarithmic_axis_has_labels_to_read_it_by(which: str, low: float, high: float) -> None:
    figure = Figure()
    axes = figure.subplots()
    _ = axes.plot([low, high], [1, 2]) if which == "x" else axes.plot([1, 2], [low, high])
    scale_logarithmically(axes, which)
    figure.canvas.draw()
    axis = axes.xaxis if which == "x" else axes.yaxis
    least, most = axis.get_view_interval()
    places = axis.get_majorticklocs()
    labels = axis.get_ticklabels()
    seen = [
        label.get_text() for label, at in zip(labels, places, strict=True) if least <= at <= most
    ]
    assert 2 <= len(set(seen)) <= 9


def test_heads_keep_their_colours() -> None:
    first = choose_colours(("structure", "sound", "answer"))
    second = choose_colours(("sound", "text", "structure", "answer"))
    assert first["structure"] == second["structure"]
    assert first["answer"] == second["answer"]
    assert len(set(second.values())) == 4


def test_every_colour_of_the_plots_has_a_dark_one() -> None:
    assert set(COLOURS) >= set(PLOT_VARIABLES.values())
    assert {*HEAD_COLOURS.values(), *FURTHER_COLOURS} <= set(PLOT_VARIABLES)
    names = {head: PLOT_VARIABLES[colour] for head, colour in choose_colours(HEADS).items()}
    assert names == {
        "structure": "head-structure",
        "image": "head-image",
        "joint": "head-joint",
        "answer": "ink",
    }
    assert PLOT_VARIABLES[choose_colours(["sound"])["sound"]] == "series-1"


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1, definition of contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_its_ground(theme: int) -> None:
    pairs = [("ink", ground) for ground in ("page", "card", "sunken", "fill", "warn-soft")]
    pairs += [("muted", ground) for ground in ("page", "card", "sunken", "accent-soft")]
    pairs += [("accent", ground) for ground in ("card", "accent-soft", "page")]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "warn", "bad")]
    for text, ground in pairs:
        assert _contrast(COLOURS[text][theme], COLOURS[ground][theme]) >= 4.5, (text, ground)
