"""Languages, scripts and language families, from CLDR and the IANA subtag registry."""

from __future__ import annotations

from world.model import Entity, Fact
from world.names import NAME_EXCEPTIONS, english, load_locale, native
from world.sources import Sources

LEAST_PERCENT = 1.0
"""A language without official status is "spoken" from this share of a country's population."""

STATUS_RELATION = {
    "official": "official_language",
    "de_facto_official": "official_language",
    "official_regional": "regional_language",
    "official_minority": "regional_language",
    "": "spoken_language",
}
NOT_FAMILIES = {"art", "cpe", "cpf", "cpp", "mul", "sgn"}
"""Groups of the table that are no lines of descent (creoles, signed, artificial, several)."""


def build_language_use(sources: Sources, codes: set[str]) -> tuple[list[Fact], list[str]]:
    """One fact per (country, language), the relation by the language's highest status there.

    Returns the facts, and the pairs "country language" by share of the population (for names).
    """
    rank = list(STATUS_RELATION)
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for country, record in sorted(sources.load_cldr("territoryInfo").items()):
        if country not in codes:
            continue
        for code, use in sorted(record.get("languagePopulation", {}).items()):
            language = code.split("_")[0]  # "sd_Deva": the script has its own relation
            status = use.get("_officialStatus", "")
            percent = float(use["_populationPercent"])
            if english("languages", language) and (status or percent >= LEAST_PERCENT):
                best, share = found.get((country, language), (len(rank), 0.0))
                position = rank.index(status)
                found[country, language] = (min(best, position), max(share, percent))
    facts = [
        Fact(f"country:{c}", STATUS_RELATION[rank[position]], f"language:{lang}")
        for (c, lang), (position, _) in sorted(found.items())
    ]
    official = sorted(
        (c, -share, lang)
        for (c, lang), (position, share) in found.items()
        if STATUS_RELATION[rank[position]] == "official_language"
    )
    return facts, [f"{c} {lang}" for c, _, lang in official]


def group_by_country(pairs: list[str]) -> dict[str, tuple[str, ...]]:
    """Country code -> its official languages, the most spoken first."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        country, language = pair.split(" ")
        found[country] = (*found.get(country, ()), language)
    return found


def build_languages(
    sources: Sources, codes: set[str], countries: set[str]
) -> tuple[list[Entity], list[Fact]]:
    """Entities for the languages given, their scripts and families, and the facts between them."""
    script_facts = _build_scripts(sources, codes, countries)
    family_facts = _build_families(sources, codes)
    entities = [
        Entity(
            label=f"language:{code}",
            type="language",
            name=NAME_EXCEPTIONS.get(f"language:{code}") or english("languages", code) or code,
            native_names=native("languages", code, (code,)),
        )
        for code in sorted(codes)
    ]
    metadata = sources.load_script_metadata()
    for label in sorted({f.tail for f in script_facts if f.relation == "language_script"}):
        script = label[7:]
        language = metadata[script]["likelyLanguage"] if script in metadata else ""
        spoken = (language,) if load_locale(language) else ()
        entities.append(
            Entity(
                label=label,
                type="script",
                name=NAME_EXCEPTIONS.get(label) or f"{english('scripts', script)} script",
                native_names=native("scripts", script, spoken) if script != "Latn" else (),
            )
        )
    family_names = sources.load_family_names()
    families = sorted(
        {e for f in family_facts for e in (f.head, f.tail) if e.startswith("family:")}
    )
    entities += [
        Entity(label=label, type="language family", name=family_names[label[7:]])
        for label in families
    ]
    return entities, script_facts + family_facts


def _build_scripts(sources: Sources, codes: set[str], countries: set[str]) -> list[Fact]:
    """Scripts a language is customarily written in, and the country a script comes from."""
    data = sources.load_cldr("languageData")
    facts = [
        Fact(f"language:{code}", "language_script", f"script:{script}")
        for code in sorted(codes & set(data))
        for script in data[code].get("_scripts", ())
        if english("scripts", script)
    ]
    metadata = sources.load_script_metadata()
    for label in sorted({fact.tail for fact in facts}):
        origin = metadata.get(label[7:], {}).get("originCountry")
        if origin in countries:
            facts.append(Fact(label, "script_origin", f"country:{origin}"))
    return facts


def _build_families(sources: Sources, codes: set[str]) -> list[Fact]:
    """Each language and family under the smallest group that lists it."""
    groups = {
        family: members.split()
        for family, members in sources.load_cldr("languageGroups").items()
        if family not in NOT_FAMILIES
    }
    names = sources.load_family_names()
    groups = {family: members for family, members in groups.items() if family in names}
    parent: dict[str, str] = {}
    for family in sorted(groups, key=lambda family: (-len(groups[family]), family)):
        parent |= {member: family for member in groups[family] if member != family}
    facts = []
    needed = []
    for code in sorted(codes & set(parent)):
        facts.append(Fact(f"language:{code}", "language_family", f"family:{parent[code]}"))
        needed.append(parent[code])
    done: set[str] = set()
    while needed:
        family = needed.pop()
        if family not in done and family in parent:
            up = parent[family]
            facts.append(Fact(f"family:{family}", "subfamily_of", f"family:{up}"))
            needed.append(up)
        done.add(family)
    return sorted(facts)
