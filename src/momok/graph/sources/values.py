"""Numbers and dates as people write them, read from columns of texts."""

from __future__ import annotations

import re

import polars as pl

from momok.graph.sources.columns import simplify_name
from momok.graph.sources.rdf_collect import compute_decimal_years

NO_VALUES = (  # of R, pandas, SQL, Excel and people
    *("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NaT", "NULL", "null", "(null)", "\\N"),
    *("None", "none", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!"),
    *("-", "--", "\u2013", "\u2014", "?", "."),
)
_NUMERIC_SHARE = 0.95  # of the values that must be numbers for a column of numbers
_CODE = re.compile(  # numbers of which sums and distances mean nothing
    r"(^|_)(id|ids|zip|zip_?code|post_?code|postal_code|plz|code|phone|telephone|tel|fax|isbn|issn|"
    r"issn_l|ean|gtin|upc|sku|barcode|orcid|doi)\d*$"
)
_DATE_FORMS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y"),
)
_DATE = r"^(?:-?\d{1,4}-\d{2}-\d{2}|\d{4}-\d{2})$"
_COMPACT_DATE = r"^(?:1\d|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"
_TIME = r"(?:T|,? )\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?(?: ?[AaPp][Mm])?(?:Z|[+-]\d{2}:?\d{2})?$"
_WITH_YEAR = r"(?:^|\D)\d{4}(?:\D|$)"  # of two digits, the century is not known
_BETWEEN = " '\u2019\u00a0\u202f"  # thousands


def is_code(name: str, texts: pl.Series) -> bool:
    """Tell a column of codes by its name, or by whole numbers that begin with 0."""
    return bool(_CODE.search(simplify_name(name))) or bool(texts.str.contains(r"^0\d+$").any())


def parse_values(texts: pl.Series) -> pl.Series | None:
    """Read numbers, or dates as decimal years; None where most texts are neither.

    What is neither, or not finite, is null.
    """
    values = _unify_numbers(texts).cast(pl.Float64, strict=False)
    is_compact = texts.str.contains(_COMPACT_DATE).all()
    if is_compact or values.is_not_null().sum() < _NUMERIC_SHARE * len(texts):
        dates = _unify_dates(texts)
        years = compute_decimal_years(dates.set(~dates.str.contains(_DATE), None))
        values = years if years.is_not_null().any() else values
    values = values.set(~values.is_finite().fill_null(value=False), None)
    return values if values.is_not_null().sum() >= _NUMERIC_SHARE * len(texts) else None


def _unify_numbers(texts: pl.Series) -> pl.Series:
    """Write numbers with a decimal point and without thousands, if all are of one kind."""
    texts = texts.str.replace("^[\u2212\u2013]", "-")
    for comma, point in ((",", "."), (".", ",")):  # 1,234.5 and 1.234,5
        between = f"[{comma}{_BETWEEN}]"
        number = rf"^[+-]?(?:[1-9]\d{{0,2}}(?:{between}\d{{3}})+|\d+)(?:[{point}]\d+)?$"
        if texts.str.contains(number).all():
            return texts.str.replace_all(between, "").str.replace(point, ".", literal=True)
    return texts


def _unify_dates(texts: pl.Series) -> pl.Series:
    """Write dates as 1990-12-31, if all ways of writing that fit nearly all of them agree."""
    days = texts.str.replace(_TIME, "")
    known = days.set(~days.str.contains(rf"{_WITH_YEAR}|{_COMPACT_DATE}"), None)
    read = [known.str.to_date(form, strict=False) for form in _DATE_FORMS]
    fitting = [d for d in read if d.is_not_null().sum() >= _NUMERIC_SHARE * len(texts)]
    if fitting and all(dates.equals(fitting[0]) for dates in fitting):
        return fitting[0].cast(pl.String)
    return days
