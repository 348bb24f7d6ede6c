"""Numbers, dates and escapes of RDF literals."""

from __future__ import annotations

import datetime

import polars as pl
import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph.sources.rdf_collect import compute_decimal_years, parse_literals, unescape

XSD = "http://www.w3.org/2001/XMLSchema#"


@given(st.lists(st.dates(), min_size=1))
def test_decimal_years_agree_with_the_calendar(dates: list[datetime.date]) -> None:
    found = compute_decimal_years(pl.Series([date.isoformat() for date in dates]))
    for date, value in zip(dates, found, strict=True):
        start, end = datetime.date(date.year, 1, 1), datetime.date(date.year, 12, 31)
        share = (date - start).days / ((end - start).days + 1)
        assert value == pytest.approx(date.year + share, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "datatype", "expected"),
    [
        ("42", "integer", 42.0),
        (" +4.50 ", "decimal", 4.5),
        ("-1.5E3", "double", -1500.0),
        ("INF", "double", None),
        ("NaN", "float", None),
        ("1e999", "double", None),
        ("9" * 400, "integer", None),
        ("twelve", "integer", None),
        ("", "integer", None),
        ("1990-07-02T23:59:59Z", "dateTime", 1990 + 182 / 365),
        ("1990-07-02+02:00", "date", 1990 + 182 / 365),
        ("1990-07", "gYearMonth", 1990 + 181 / 365),
        ("1990", "gYear", 1990.0),
        ("1990-05:00", "gYear", 1990.0),
        ("-13800000000", "gYear", -13.8e9),
        ("1990-00-00T00:00:00Z", "dateTime", 1990.0),
        ("1990-13-01", "date", None),
        ("1990-01-32", "date", None),
        ("1990-02-29", "date", None),
        ("1992-02-29", "date", 1992 + 59 / 366),
        ("9" * 30 + "-01-01", "date", None),
        ("soon", "date", None),
    ],
)
def test_literals_as_numbers(text: str, datatype: str, expected: float | None) -> None:
    value = parse_literals(pl.Series([text]), pl.Series([XSD + datatype]))[0]
    assert value is None if expected is None else value == pytest.approx(expected, abs=1e-9)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_escapes_are_undone(text: str) -> None:
    written = str(ox.Literal(text))
    assert unescape(written[1:-1]) == text
