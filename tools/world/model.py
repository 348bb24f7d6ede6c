"""The two record types that every part of the build passes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One entity: a stable label, its type, its English name and its names in other languages."""

    label: str
    type: str
    name: str
    native_names: tuple[str, ...] = ()
    """Names in the languages of the place itself, the main language first; may be empty."""

    @property
    def texts(self) -> tuple[str, ...]:
        """All distinct names, the English one first."""
        return tuple(dict.fromkeys((self.name, *self.native_names)))


@dataclass(frozen=True, order=True)
class Fact:
    """One fact, by labels."""

    head: str
    relation: str
    tail: str


RELATIONS: dict[str, str] = {
    "borders": "borders",
    "calendar": "calendar besides the Gregorian",
    "capital": "capital",
    "city_in": "city in",
    "city_timezone": "time zone of the city",
    "country_timezone": "time zone of the country",
    "currency": "currency",
    "former_currency": "former currency",
    "language_family": "language family",
    "language_script": "written in",
    "located_in": "located in",
    "member_of": "member of",
    "near_city": "near",
    "observes_time": "observes",
    "official_language": "official language",
    "regional_language": "language with regional or minority status",
    "script_origin": "script comes from",
    "spoken_language": "language spoken without official status",
    "subfamily_of": "branch of",
    "subregion_of": "part of",
    "week_starts_on": "week starts on",
}
"""Relation label -> display name."""
