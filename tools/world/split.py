"""Splits facts into train, valid and test so that no held-out fact can be read off train."""

from __future__ import annotations

import random
from collections import Counter

from world.model import Fact

SEED = 20240516
HELD_OUT = 0.10  # of every relation, once for valid and once for test
LEAST_FACTS = 20  # a relation with fewer stays whole in train
SYMMETRIC = ("borders", "near_city")


def split_facts(facts: list[Fact]) -> dict[str, list[Fact]]:
    """Facts by split. Bound facts travel together; every entity and relation stays in train."""
    groups = _bind(facts)
    random.Random(SEED).shuffle(groups)
    sizes = Counter(fact.relation for fact in facts)
    in_train = Counter(entity for fact in facts for entity in (fact.head, fact.tail))
    split = {"train": list[Fact](), "valid": list[Fact](), "test": list[Fact]()}
    taken: dict[str, Counter[str]] = {"valid": Counter(), "test": Counter()}
    pinned = _find_pinned(facts)
    for group in groups:
        relations = Counter(fact.relation for fact in group)
        uses = Counter(entity for fact in group for entity in (fact.head, fact.tail))
        free = all(sizes[relation] >= LEAST_FACTS for relation in relations)
        free = free and not pinned.intersection(group)
        free = free and all(in_train[entity] > count for entity, count in uses.items())
        # The emptier of the two held-out splits first, so that neither starves.
        order = sorted(taken, key=lambda name: (taken[name][group[0].relation], name))
        chosen = "train"
        for name in order if free else ():
            if all(taken[name][r] + n <= HELD_OUT * sizes[r] + 1 for r, n in relations.items()):
                chosen = name
                taken[name] += relations
                in_train -= uses
                break
        split[chosen] += group
    return {name: sorted(rows) for name, rows in split.items()}


def _bind(facts: list[Fact]) -> list[list[Fact]]:
    """Groups of facts that must share a split, since one of them gives the others away."""
    city_country = {f.head: f.tail for f in facts if f.relation == "city_in"}
    city_country |= {f.tail: f.head for f in facts if f.relation == "capital"}
    cities_of: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        if fact.relation == "city_timezone":
            cities_of.setdefault((city_country[fact.head], fact.tail), []).append(fact.head)
    euro = {f.head for f in facts if f.tail == "organisation:EZ"}
    groups: dict[tuple[str, ...], list[Fact]] = {}
    for fact in sorted(facts):
        groups.setdefault(_find_key(fact, cities_of, euro), []).append(fact)
    return [groups[key] for key in sorted(groups)]


def _find_key(
    fact: Fact, cities_of: dict[tuple[str, str], list[str]], euro: set[str]
) -> tuple[str, ...]:
    """The name of the group a fact belongs to."""
    if fact.relation in SYMMETRIC:  # one direction is the other
        return (fact.relation, *sorted((fact.head, fact.tail)))
    if fact.relation in ("city_in", "city_timezone"):  # a city's zone gives its country away
        return ("place", fact.head)
    if fact.relation == "capital":
        return ("place", fact.tail)
    if fact.relation == "country_timezone":  # and the only city of a zone links zone and country
        cities = cities_of.get((fact.head, fact.tail), [])
        if len(cities) == 1:
            return ("place", cities[0])
    # Eurozone implies the euro and the European Union, which implies the United Nations.
    if fact.relation == "member_of" or (fact.tail == "currency:EUR" and fact.head in euro):
        return ("member", fact.head)
    return (fact.head, fact.relation, fact.tail)


def _find_pinned(facts: list[Fact]) -> set[Fact]:
    """Country time zones that several cities link: some of those cities are always in train."""
    city_country = {f.head: f.tail for f in facts if f.relation == "city_in"}
    city_country |= {f.tail: f.head for f in facts if f.relation == "capital"}
    linked = Counter((city_country[f.head], f.tail) for f in facts if f.relation == "city_timezone")
    return {f for f in facts if f.relation == "country_timezone" and linked[f.head, f.tail] > 1}
