"""English and native names from CLDR, through Babel."""

from __future__ import annotations

from functools import cache
from typing import Any

from babel import Locale, UnknownLocaleError

# CLDR's names carry "SAR China", and SAR is a currency code: GeoNames' plain names stand in.
# "US" is a country code too, so it is written out. Three languages have the name of their country,
# and CLDR's names of two scripts need the word that follows them.
NAME_EXCEPTIONS = {
    "country:HK": "Hong Kong",
    "country:MO": "Macao",
    "currency:USD": "United States Dollar",
    "language:na": "Nauru language",
    "language:tkl": "Tokelau language",
    "language:tvl": "Tuvalu language",
    "script:Cans": "Unified Canadian Aboriginal Syllabics",
    "script:Hans": "Simplified Han script",
    "script:Rohg": "Hanifi Rohingya script",
}


@cache
def load_locale(language: str, script: str | None = None) -> Locale | None:
    """The locale of a language, None where CLDR has none."""
    try:
        return Locale(language, script=script)
    except UnknownLocaleError:
        return Locale(language) if script and load_locale(language) else None


def english(kind: str, code: str) -> str | None:
    """CLDR's English name of a code; `kind` is territories, languages, scripts or currencies."""
    table: Any = getattr(Locale("en"), kind)
    name = table.get(code)
    return str(name) if name else None


def native(kind: str, code: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    """The distinct names of a code in the given languages, those without one left out.

    English is left out too: its names are in the column of English names, with the exceptions.
    """
    found: dict[str, None] = {}
    for language in languages:
        if language == "en":
            continue
        locale = load_locale(language)
        name = getattr(locale, kind).get(code) if locale else None
        if name and name != code:
            found[str(name)] = None
    return tuple(found)


def zone_city(zone: str, language: str) -> str | None:
    """CLDR's name of the city that a time zone is named after, in that language."""
    locale = load_locale(language)
    entry: Any = locale.time_zones.get(zone, {}) if locale else {}
    name = entry.get("city")
    return str(name) if name else None


def metazone_name(metazone: str) -> str | None:
    """CLDR's English name of a group of time zones with one clock ("Gulf Standard Time")."""
    long_names: Any = Locale("en").meta_zones.get(metazone, {}).get("long", {})
    name = long_names.get("generic") or long_names.get("standard")
    return str(name) if name else None
