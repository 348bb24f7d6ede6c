"""Relations whose tails are numbers, dates or texts and no things: found, and made what heads have.

RDF tells literals from things; tables of facts do not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from momok.graph.sources.columns import simplify_name
from momok.graph.sources.entity_table import TEXTS
from momok.graph.sources.raw import RawGraph, drop_facts, find_relations
from momok.graph.sources.values import is_code, parse_values
from momok.graph.text_files import Finding
from momok.graph.triples import Triples

_NUMBER = re.compile(r"[+-]?\d[\d.,: /-]*(?:[eE][+-]?\d+)?(?:T[\d:.Z+-]+)?|\"[^\"]*\"(?:\^\^|@).*")
_TEXT = re.compile(r"(?:\S+\s+){6,}\S+")  # seven words or more
_ENOUGH = 8  # facts that say something about their relation
_SHARE = 0.95  # of the tails
_SAMPLE = 1000  # tails that are looked at


def find_literal_relations(facts: Triples, labels: Sequence[str]) -> dict[int, str]:
    """Find relations whose tails are nearly all numbers or texts, and heads of nothing.

    Args:
        facts: distinct facts ``[n, 3]``.

    Returns:
        by relation, what its tails are, in words: how many, and one of them.
    """
    if not len(facts):
        return {}
    is_head = np.bincount(facts[:, 0], minlength=len(labels)) > 0
    ordered = facts[np.argsort(facts[:, 1], kind="stable")]
    kinds, starts = np.unique(ordered[:, 1], return_index=True)
    found = {}
    for relation, own in zip(kinds.tolist(), np.split(ordered, starts[1:]), strict=True):
        tails = np.unique(own[:, 2])
        if len(own) < _ENOUGH or is_head[tails].any() or _NUMBER.fullmatch(labels[own[0, 0]]):
            continue
        sample = [labels[i] for i in tails[:: len(tails) // _SAMPLE + 1]]
        if np.mean([bool(_NUMBER.fullmatch(x) or _TEXT.fullmatch(x)) for x in sample]) >= _SHARE:
            found[relation] = f"{len(tails):,} tails, such as {sample[0]}"
    return found


def report_literals(raw: RawGraph) -> RawGraph:
    """Note relations whose tails are numbers or texts, and the option that takes them as such."""
    facts = np.unique(np.concatenate(list(raw.triples.values())), axis=0)
    found = find_literal_relations(facts, raw.entities)
    if not found:
        return raw
    count = int(np.isin(facts[:, 1], list(found)).sum())
    names = {relation: raw.relations[relation] for relation in found}
    options = " ".join(f"--literals {shlex.quote(name)}" for name in names.values())
    message = (
        f"{count:,} facts are of relations whose tails look like numbers or texts and are taken "
        f"for entities; {options} makes them what their heads have"
    )
    examples = tuple(f"{names[relation]}: {what}" for relation, what in found.items())
    finding = Finding("literal-tails", len(found), message, examples)
    return replace(raw, findings=[*raw.findings, finding])


def take_literals(raw: RawGraph, relations: Iterable[str]) -> RawGraph:
    """Make the tails of relations what their heads have: numbers, dates as decimal years, or texts.

    Where a head has several, the first counts.

    Raises:
        DataError: there is no such relation.
    """
    places = find_relations(raw, relations, "--literals")
    facts = np.concatenate(list(raw.triples.values()))
    for relation in places:
        own = facts[facts[:, 1] == relation]
        heads = [raw.entities[i] for i in own[:, 0]]
        tails = [raw.entities[i] for i in own[:, 2]]
        pairs = dict(zip(reversed(heads), reversed(tails), strict=True))
        name = raw.relation_names.get(raw.relations[relation]) or raw.relations[relation]
        raw = _add(raw, name, pairs)
        note = f"{name}: {len(pairs):,} tails are taken as {_describe(raw, name)}"
        if len(pairs) < len(own):
            note += f"; {len(own) - len(pairs):,} are left out, as their heads have one already"
        raw = replace(raw, notes=[*raw.notes, note])
    return drop_facts(raw, places)


def _add(raw: RawGraph, name: str, pairs: dict[str, str]) -> RawGraph:
    """Add the values of a relation by label."""
    texts = pl.Series(list(pairs.values()), dtype=pl.String).str.strip_chars()
    values = None if is_code(name, texts) else parse_values(texts)
    if values is not None:
        known = {
            label: value
            for label, value in zip(pairs, values.to_list(), strict=True)
            if value is not None
        }
        return replace(raw, numbers={**raw.numbers, name: known})
    plain = simplify_name(name)
    if plain in TEXTS["description"]:
        return replace(raw, descriptions={**pairs, **raw.descriptions})
    if plain in TEXTS["name"]:
        return replace(raw, names={**pairs, **raw.names})
    return replace(raw, attributes={**raw.attributes, name: pairs})


def _describe(raw: RawGraph, name: str) -> str:
    if name in raw.numbers:
        return "numbers of the heads"
    if name in raw.attributes:
        fields = shlex.quote(f"name,description,{name}")
        return f"texts of the heads, which momok encode GRAPH text --fields {fields} encodes"
    return f"{simplify_name(name)}s of the heads"
