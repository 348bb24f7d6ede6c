"""Countries, and everything that hangs on them but is neither a city nor a language."""

from __future__ import annotations

from typing import Any

from world.model import Entity, Fact
from world.names import NAME_EXCEPTIONS, english, metazone_name, native
from world.sources import Sources, load_zone_aliases, load_zone_countries

DISSOLVED = {"AN", "CS"}  # still listed by GeoNames, without flag or territory
# CLDR's overlapping groupings (Sub-Saharan Africa, Latin America, North America) and the world:
# no parents, since the subregions they hold already have their continent.
NOT_PARENTS = {"001", "003", "202", "419"}
ORGANISATIONS = {"EU": "European Union", "EZ": "Eurozone", "UN": "United Nations"}
DAYS = {"mon": "Monday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday"}
CALENDARS = {
    "buddhist": "Buddhist Calendar",
    "chinese": "Chinese Calendar",
    "coptic": "Coptic Calendar",
    "ethiopic": "Ethiopic Calendar",
    "hebrew": "Hebrew Calendar",
    "indian": "Indian National Calendar",
    "islamic": "Hijri Calendar",
    "japanese": "Japanese Calendar",
    "persian": "Persian Calendar",
    "roc": "Minguo Calendar",
}
FIRST_FORMER_YEAR = "1950"


def build_countries(
    geonames: dict[str, Any], languages: dict[str, tuple[str, ...]]
) -> list[Entity]:
    """One entity per country or territory; `languages`: official ones per code, largest first."""
    found = []
    for code in sorted(set(geonames) - DISSOLVED):
        label = f"country:{code}"
        name = NAME_EXCEPTIONS.get(label) or english("territories", code)
        assert name, code
        natives = native("territories", code, languages.get(code, ()))
        found.append(Entity(label=label, type="country", name=name, native_names=natives))
    return found


def build_borders(geonames: dict[str, Any], codes: set[str]) -> list[Fact]:
    """Both directions of every border that GeoNames lists from at least one side."""
    pairs = {
        tuple(sorted((code, neighbour)))
        for code in codes
        for neighbour in geonames[code]["neighbours"].split(",")
        if neighbour in codes and neighbour != code
    }
    return [
        Fact(f"country:{a}", "borders", f"country:{b}")
        for pair in sorted(pairs)
        for a, b in (pair, pair[::-1])
    ]


def build_regions(sources: Sources, codes: set[str]) -> tuple[list[Entity], list[Fact]]:
    """United Nations regions: country -> subregion -> continent; and the organisations."""
    containment = sources.load_cldr("territoryContainment")
    continents = set(containment["001"]["_contains"])
    facts = []
    for parent in sorted(containment):
        children = sorted(containment[parent]["_contains"])
        if parent in ORGANISATIONS:
            label = f"organisation:{parent}"
            facts += [Fact(f"country:{c}", "member_of", label) for c in children if c in codes]
        elif parent not in NOT_PARENTS and "-" not in parent:
            label = f"region:{parent}"
            facts += [Fact(f"country:{c}", "located_in", label) for c in children if c in codes]
            facts += [
                Fact(f"region:{c}", "subregion_of", label)
                for c in children
                if parent in continents and c in containment and c not in NOT_PARENTS
            ]
    regions = sorted({f.tail for f in facts if f.tail.startswith("region:")})
    entities = [
        Entity(label=label, type="region", name=english("territories", label[7:]) or label)
        for label in regions
    ]
    entities += [
        Entity(label=f"organisation:{code}", type="organisation", name=name)
        for code, name in ORGANISATIONS.items()
    ]
    return entities, facts


def build_currencies(
    sources: Sources, codes: set[str], languages: dict[str, tuple[str, ...]]
) -> tuple[list[Entity], list[Fact]]:
    """Tender now, and tender that ended since 1950, from CLDR's currency history."""
    history = sources.load_cldr("currencyData")["region"]
    facts: set[Fact] = set()
    for country in sorted(codes & set(history)):
        for code, period in (item for entry in history[country] for item in entry.items()):
            if period.get("_tender") == "false" or not english("currencies", code):
                continue
            if "_to" not in period:
                facts.add(Fact(f"country:{country}", "currency", f"currency:{code}"))
            elif period["_to"] >= FIRST_FORMER_YEAR:
                facts.add(Fact(f"country:{country}", "former_currency", f"currency:{code}"))
    # A currency that came back is current, and only that.
    facts -= {Fact(f.head, "former_currency", f.tail) for f in facts if f.relation == "currency"}
    users: dict[str, list[str]] = {}
    for fact in sorted(facts):
        users.setdefault(fact.tail, []).append(fact.head[8:])
    entities = []
    for label in sorted(users):
        name = NAME_EXCEPTIONS.get(label) or english("currencies", label[9:])
        # A native name only where one country uses it: the euro has no native language.
        spoken = languages.get(users[label][0], ())[:1] if len(users[label]) == 1 else ()
        natives = native("currencies", label[9:], spoken)
        entities.append(
            Entity(label=label, type="currency", name=name or label, native_names=natives)
        )
    return entities, sorted(facts)


def build_time_zones(
    sources: Sources, codes: set[str], kept: set[str]
) -> tuple[list[Entity], list[Fact]]:
    """The zones of a country that are in `kept`, and its first zone where none is."""
    zones: dict[str, list[str]] = {}
    for country, zone in load_zone_countries():
        if country in codes:
            zones.setdefault(country, []).append(zone)
    facts = [
        Fact(f"country:{country}", "country_timezone", f"timezone:{zone}")
        for country in sorted(zones)
        for zone in ([z for z in zones[country] if z in kept] or zones[country][:1])
    ]
    metazones = _load_metazones(sources)
    names = {}
    for label in sorted({fact.tail for fact in facts}):
        metazone = metazones.get(label[9:])
        name = metazone_name(metazone) if metazone else None
        if metazone and name:
            names[metazone] = name
            facts.append(Fact(label, "observes_time", f"metazone:{metazone}"))
    entities = [
        Entity(label=label, type="time zone", name=label[9:].replace("_", " "))
        for label in sorted({f.tail for f in facts if f.relation == "country_timezone"})
    ]
    entities += [
        Entity(label=f"metazone:{code}", type="metazone", name=names[code])
        for code in sorted(names)
    ]
    return entities, facts


def _load_metazones(sources: Sources) -> dict[str, str]:
    """Zone name -> the metazone in force; CLDR keeps older zone names, so links are followed."""
    current: dict[str, str] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, list):
            last = node[-1]["usesMetazone"]
            if "_to" not in last:
                current["/".join(path)] = last["_mzone"]
            return
        for key, child in node.items():
            walk(child, (*path, key))

    walk(sources.load_cldr("metaZones")["metazoneInfo"]["timezone"], ())
    for alias, target in load_zone_aliases().items():
        if alias in current:
            current.setdefault(target, current[alias])
        elif target in current:
            current[alias] = current[target]
    return current


def build_customs(sources: Sources, codes: set[str]) -> tuple[list[Entity], list[Fact]]:
    """The first day of the week where CLDR states one, and calendars besides the Gregorian."""
    facts = [
        Fact(f"country:{country}", "week_starts_on", f"day:{day}")
        for country, day in sorted(sources.load_cldr("weekData")["firstDay"].items())
        if country in codes and day in DAYS
    ]
    facts += [
        Fact(f"country:{country}", "calendar", f"calendar:{calendar}")
        for country, calendars in sorted(sources.load_cldr("calendarPreferenceData").items())
        for calendar in sorted(set(calendars) & set(CALENDARS))
        if country in codes
    ]
    used = {fact.tail for fact in facts}
    named = [("day", DAYS), ("calendar", CALENDARS)]
    entities = [
        Entity(label=f"{kind}:{code}", type=kind, name=name)
        for kind, table in named
        for code, name in table.items()
        if f"{kind}:{code}" in used
    ]
    return entities, facts
