"""Capitals and big cities from GeoNames, and which of them lie next to each other."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from world.model import Entity, Fact
from world.names import zone_city

LEAST_POPULATION = 500_000
MOST_PER_COUNTRY = 16  # else China and India alone would be a third of the cities
SUBURB_KM = 20.0
"""GeoNames lists boroughs beside their city: a place this near to a bigger one is left out."""

ZONE_POPULATION = 100_000
"""A time zone is kept when a city of this size keeps its time."""

# GeoNames lists a city's names without their languages. A script that one language writes settles
# it; for Chinese and Japanese a legacy character set does.
SCRIPT_OF_LANGUAGE = {
    "am": "ETHIOPIC", "bn": "BENGALI", "dv": "THAANA", "el": "GREEK", "he": "HEBREW",
    "hy": "ARMENIAN", "ka": "GEORGIAN", "km": "KHMER", "ko": "HANGUL", "lo": "LAO",
    "my": "MYANMAR", "si": "SINHALA", "th": "THAI",
}  # fmt: skip
CHARSET_OF_LANGUAGE = {"zh": "gb2312", "ja": "shift_jis"}


@dataclass(frozen=True, kw_only=True)
class City:
    """A row of GeoNames that is in the graph."""

    label: str
    record: dict[str, Any]
    country: str
    is_capital: bool


def choose_cities(
    geonames: dict[str, Any], towns: list[dict[str, Any]], codes: set[str]
) -> tuple[list[City], list[str]]:
    """The capital and the biggest cities of every country; and the countries without capital."""
    by_country: dict[str, list[dict[str, Any]]] = {}
    for town in sorted(towns, key=lambda town: (-town["population"], town["geonameid"])):
        by_country.setdefault(town["countrycode"], []).append(town)
    chosen: list[tuple[str, dict[str, Any], bool]] = []
    missing = []
    for code in sorted(codes):
        local = by_country.get(code, [])
        capital = _find_capital(geonames[code]["capital"], local)
        if capital is None:
            missing.append(code)
        else:
            chosen.append((code, capital, True))
        kept = [capital] if capital else []
        for town in local:
            full = len(kept) > MOST_PER_COUNTRY - (capital is None)
            if full or town["population"] < LEAST_POPULATION:
                break
            if all(_measure_km(town, other) > SUBURB_KM for other in kept):
                kept.append(town)
                chosen.append((code, town, False))
    labels = [f"city:{code}/{town['name']}" for code, town, _ in chosen]
    cities = []
    for label, (code, town, is_capital) in zip(labels, chosen, strict=True):
        unique = label if labels.count(label) == 1 else f"{label}/{town['admin1code']}"
        cities.append(City(label=unique, record=town, country=code, is_capital=is_capital))
    return sorted(cities, key=lambda city: city.label), missing


def _find_capital(name: str, towns: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The biggest town of that name, by its main name first and by its other names second."""
    wanted = _plain(name)
    if not wanted:
        return None
    for town in towns:
        if _plain(town["name"]) == wanted:
            return town
    return next((t for t in towns if wanted in map(_plain, t["alternatenames"])), None)


def _measure_km(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Distance on the globe (haversine, mean radius 6371 km)."""
    lat_a, lat_b = math.radians(a["latitude"]), math.radians(b["latitude"])
    half_lat = (lat_a - lat_b) / 2
    half_lon = math.radians(a["longitude"] - b["longitude"]) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(chord))


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in decomposed if char.isalnum())


def find_kept_zones(towns: list[dict[str, Any]], cities: list[City]) -> set[str]:
    """Time zones that a city of the graph or any large city keeps."""
    kept = {town["timezone"] for town in towns if town["population"] >= ZONE_POPULATION}
    return kept | {city.record["timezone"] for city in cities}


def build_cities(
    cities: list[City], languages: dict[str, tuple[str, ...]]
) -> tuple[list[Entity], list[Fact]]:
    """Entities of the cities, where they are, their time zone and their nearest city."""
    entities = [
        Entity(
            label=city.label,
            type="city",
            name=city.record["name"],
            native_names=_find_native_name(city, languages.get(city.country, ())),
        )
        for city in cities
    ]
    facts = []
    for city in cities:
        country = f"country:{city.country}"
        # A capital has no city_in: the pair would be its capital fact read backwards.
        if city.is_capital:
            facts.append(Fact(country, "capital", city.label))
        else:
            facts.append(Fact(city.label, "city_in", country))
        facts.append(Fact(city.label, "city_timezone", f"timezone:{city.record['timezone']}"))
    return entities, facts + _build_nearest(cities)


def _build_nearest(cities: list[City]) -> list[Fact]:
    """Both directions between every city and the one nearest to it on the globe."""
    degrees = np.array([[c.record["latitude"], c.record["longitude"]] for c in cities])
    lat, lon = np.radians(degrees).T
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    closeness = points @ points.T  # cosine of the angle between two cities, [cities, cities]
    np.fill_diagonal(closeness, -2.0)
    nearest = closeness.argmax(axis=1)
    pairs = {tuple(sorted((row, int(column)))) for row, column in enumerate(nearest)}
    return [
        Fact(cities[a].label, "near_city", cities[b].label)
        for pair in sorted(pairs)
        for a, b in (pair, pair[::-1])
    ]


def _find_native_name(city: City, languages: tuple[str, ...]) -> tuple[str, ...]:
    """The name in the country's main language, where the sources leave no doubt which it is."""
    if not languages:
        return ()
    main = languages[0]
    zone = city.record["timezone"]
    if _plain(zone.split("/")[-1]) == _plain(city.record["name"]):
        name = zone_city(zone, main)
        if name:
            return (name,)
    others = [name for name in city.record["alternatenames"] if _is_written_in(name, main)]
    return (others[0],) if len(others) == 1 else ()


def _is_written_in(name: str, language: str) -> bool:
    letters = [char for char in name if char.isalpha()]
    if not letters:
        return False
    if language in SCRIPT_OF_LANGUAGE:
        script = SCRIPT_OF_LANGUAGE[language]
        return all(unicodedata.name(char, "").startswith(script) for char in letters)
    if language in CHARSET_OF_LANGUAGE:
        try:
            name.encode(CHARSET_OF_LANGUAGE[language])
        except UnicodeEncodeError:
            return False
        return all(unicodedata.name(char, "").startswith("CJK") for char in letters)
    return False
