"""Numbers and dates of RDF literals."""

from __future__ import annotations

import re

import polars as pl

XSD = "http://www.w3.org/2001/XMLSchema#"
NUMBER_TYPES = frozenset(
    XSD + name
    for name in (
        *("integer", "decimal", "double", "float", "int", "long", "short", "byte"),
        *("nonNegativeInteger", "positiveInteger", "nonPositiveInteger", "negativeInteger"),
        *("unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte"),
    )
)
DATE_TYPES = frozenset(
    XSD + name for name in ("date", "dateTime", "dateTimeStamp", "gYearMonth", "gYear")
)
_YEAR = r"^([+-]?\d+)"
_DATE = _YEAR + r"-(\d{2})(?:-(\d{2}))?"
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days, in a common year
_DAYS_IN = dict(enumerate(_MONTHS, 1))
_DAYS_BEFORE = {month: sum(_MONTHS[: month - 1]) for month in _DAYS_IN}


def parse_literals(texts: pl.Series, datatypes: pl.Series) -> pl.Series:
    """Read literals of ``NUMBER_TYPES`` and ``DATE_TYPES``; null for what is none or not finite."""
    frame = pl.DataFrame({"text": texts, "datatype": datatypes})
    is_date = frame["datatype"].is_in(sorted(DATE_TYPES))
    # The time zone of a year, as in 1990-05:00, is no month.
    year_only = pl.when(pl.col("datatype") == XSD + "gYear")
    dates = year_only.then(pl.col("text").str.extract(_YEAR, 1)).otherwise(pl.col("text"))
    frame = frame.with_columns(date=dates)
    numbers = frame["text"].str.strip_chars().cast(pl.Float64, strict=False)
    values = compute_decimal_years(frame["date"]).zip_with(is_date, numbers)
    return values.set(~values.is_finite().fill_null(value=False), None)


def compute_decimal_years(dates: pl.Series) -> pl.Series:
    """Turn dates to years: 1990-07-02 is 1990.4986 (182 of 365 days), null for what is no date.

    Month and day may be missing or ``00`` (unknown) and count as the first; what follows the day
    is ignored. Years are those of the proleptic Gregorian calendar.
    """
    year = pl.col("date").str.extract(_YEAR).cast(pl.Int64, strict=False)
    month, day = (
        pl.col("date").str.extract(_DATE, group).cast(pl.Int64).fill_null(1).clip(lower_bound=1)
        for group in (2, 3)
    )
    parts = dates.alias("date").to_frame().select(year=year, month=month, day=day)
    leap = (pl.col("year") % 4 == 0) & ((pl.col("year") % 100 != 0) | (pl.col("year") % 400 == 0))
    month, day = pl.col("month"), pl.col("day")
    days = month.replace_strict(_DAYS_BEFORE, default=None) + (leap & (month > 2)) + day - 1
    last = month.replace_strict(_DAYS_IN, default=None) + (leap & (month == 2))
    length = pl.when(leap).then(366).otherwise(365)
    return parts.select(pl.when(day <= last).then(pl.col("year") + days / length)).to_series()


def unescape(text: str) -> str:
    r"""Undo the escapes of N-Quads: ``\n``, ``\"``, ``\u00e9`` and so on."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_undo, text)


def _undo(match: re.Match[str]) -> str:
    short, long, sign = match.groups()
    code = short or long
    return chr(int(code, 16)) if code else _ESCAPED.get(sign, sign)
