"""How numbers, names and texts are written into a page."""

from __future__ import annotations

import re
import statistics
from typing import Any

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from momok.reporting.report import formatting
from momok.reporting.report.formatting import Value


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_fit_for_a_page(text: str) -> None:
    cleaned = formatting.clean(text)
    cleaned.encode("utf-8")
    escaped = cleaned.replace("&", "&amp;").replace("<", "&lt;")
    document = f"<!DOCTYPE html><title>t</title><p>{escaped}</p>"
    html5lib.HTMLParser(strict=True).parse(document)
    assert formatting.clean(cleaned) == cleaned
    assert len(formatting.shorten(text, 20)) <= 20


def test_texts_keep_what_names_need() -> None:
    for name in ("中文", "العربية", "👩‍🚀", "Zoë", "हिन्दी"):
        assert formatting.clean(name) == name
    assert formatting.clean("a\tb\n c\x07") == "a b c\\x07"
    assert formatting.shorten("abcdefghij-klmnopqrst", 11) == "abcde…pqrst"


@given(st.lists(st.text(max_size=8), max_size=4))
def test_sources_lead_back(path: list[str]) -> None:
    stored: Any = 7
    for step in reversed(path):
        stored = {step: stored}
    found = Value(stored, "a.json#")
    for step in path:
        found = found[step]
    assert found.value == 7
    assert Value(stored, "a.json#").find(*path) == found
    steps = found.source.removeprefix("a.json#").split("/")[1:]  # RFC 6901
    assert [step.replace("~1", "/").replace("~0", "~") for step in steps] == path


def _text(shown: Markup) -> str:
    return shown.striptags()


def test_numbers_are_written_as_people_read_them() -> None:
    assert _text(formatting.percent(0.34520516)) == "34.52"
    assert formatting.percent(None) is formatting.percent(float("nan")) is formatting.NONE
    assert formatting.percent(0.3452) == '<data value="0.3452">34.52</data>'
    assert _text(formatting.signed(-0.0123)) == "−1.23"
    assert _text(formatting.signed(-0.00001)) == "0.00"
    assert _text(formatting.count(12345)) == "12,345"
    assert [_text(formatting.rank(x)) for x in (3.0, 3.5, 1801.2793)] == ["3", "3.5", "1,801.3"]
    shown = [_text(formatting.seconds(x)) for x in (0.834, 12.64, 250, 7500)]
    assert shown == ["0.83 s", "12.6 s", "4 min 10 s", "2 h 05 min"]
    assert formatting.list_in_words(["a", "b", "c"]) == "a, b and c"
    assert formatting.list_in_words([1]) == "1"


def test_a_number_says_where_it_was_read() -> None:
    shown = formatting.percent(Value({"a/b": 0.5}, "results/test.json#")["a/b"])
    assert shown == '<data value="0.5" data-source="results/test.json#/a~1b">50.00</data>'


def test_mean_and_standard_deviation() -> None:
    values = [0.1, 0.25, 0.4]
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    found = re.findall('value="([^"]+)"', formatting.spread(values, formatting.percent))
    assert [float(value) for value in found] == pytest.approx([mean, deviation])
    assert formatting.spread([0.3], formatting.percent) == formatting.percent(0.3)
    assert formatting.spread([], formatting.percent) is formatting.NONE


def test_whatever_is_written_is_escaped() -> None:
    hostile = '<script>"\x07'
    for shown in (
        *(formatting.name(hostile), formatting.name("a", hostile), formatting.code(hostile)),
        *(
            formatting.badge(hostile),
            formatting.hint("a", hostile),
            formatting.write("{}", hostile),
        ),
        *(formatting.show_setting(Value(value, "")) for value in (hostile, [hostile])),
    ):
        assert "<script" not in shown
        assert "\x07" not in shown
        assert "&lt;script&gt;&#34;\\x07" in shown
