"""Labels that may mean the same or are not what they look like; a source that was read wrongly."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

import numpy as np

from momok.arrays import Ints
from momok.graph.doctor.report import Problem, Severity, count_problem, format_count
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.sources.columns import count_known_names
from momok.graph.sources.literals import find_literal_relations
from momok.graph.triples import Triples
from momok.progress import Progress

_INVISIBLE = re.compile(
    # Control characters, zero-width and directional marks, soft hyphen, byte-order mark.
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_BLANKS = re.compile(r"[\s_]+")
_SCHEME = re.compile(r"^https?://(www\.)?", re.IGNORECASE)
_ENOUGH = 8  # facts that say something about their relation
_SHARE = 0.95  # of the tails


def _decode(label: str) -> str:
    return unquote(label, errors="replace") if "%" in label else label


def _compose(label: str) -> str:
    return label if label.isascii() else unicodedata.normalize("NFC", label)


def _unify(label: str) -> str:
    """Without what a reader does not see: compatibility forms, invisible marks, blanks, scheme."""
    if not label.isascii():
        label = unicodedata.normalize("NFKC", label)
    if not label.isprintable() or not label.isascii():
        label = _INVISIBLE.sub("", label)
    label = _BLANKS.sub(" ", label).strip()
    return _SCHEME.sub("", label).rstrip("/") or label


def _fold(label: str) -> str:
    label = label.casefold()
    return label if label.isascii() else unicodedata.normalize("NFKC", label)


# From the surest sign of one thing with two labels to the weakest; each is applied after those
# before it.
_FORMS: tuple[tuple[str, Callable[[str], str], str], ...] = (
    ("escaped", _decode, "but for percent-escapes (%C3%A9 for é)"),
    ("unicode", _compose, "but for the Unicode form (é as one character or two)"),
    ("lookalike", _unify, "to a reader (blanks, underscores, invisible or wide characters, http)"),
    ("case", _fold, "but for case"),
)


def group_collisions(labels: Sequence[str]) -> dict[str, list[tuple[int, ...]]]:
    """Group ids whose labels are equal after normalisation, under the weakest form that shows it.

    A group appears once, under the first form by which all its labels are equal.
    """
    groups: dict[str, list[tuple[int, ...]]] = {}
    shown: set[tuple[int, ...]] = set()
    forms = list(labels)
    for kind, normalise, _ in _FORMS:
        forms = [normalise(form) for form in forms]
        if len(set(forms)) == len(forms):
            continue
        by_form: dict[str, list[int]] = {}
        for position, form in enumerate(forms):
            by_form.setdefault(form, []).append(position)
        found = [tuple(ids) for ids in by_form.values() if len(ids) > 1]
        groups[kind] = [ids for ids in found if ids not in shown]
        shown.update(groups[kind])
    return {kind: found for kind, found in groups.items() if found}


def check_labels(graph: MultimodalGraph, progress: Progress) -> Iterator[Problem]:
    """Check the labels of entities and relations, and the names that people search by."""
    for done, (unit, labels) in enumerate(
        (("entities", graph.entities.labels), ("relations", graph.relations.labels))
    ):
        progress("checking labels", done, 3)
        yield from _check_collisions(unit, labels)
        yield from _check_invisible(unit, labels)
    progress("checking labels", 2, 3)
    yield from _check_names(graph)
    progress("checking labels", 3, 3)


def _check_collisions(unit: str, labels: Sequence[str]) -> Iterator[Problem]:
    described = {kind: text for kind, _, text in _FORMS}
    for kind, groups in group_collisions(labels).items():
        severity: Severity = "note" if kind == "case" else "warning"
        yield from count_problem(
            *("labels", f"{kind}-collision", severity),
            count=sum(map(len, groups)),
            total=len(labels),
            unit=unit,
            what=f"have labels that are the same {described[kind]}: "
            f"{format_count(len(groups), 'group')}",
            effect=(
                f"if they mean one thing, its facts are split over several {unit}, and right "
                f"answers count as wrong"
            ),
            examples=(" = ".join(labels[i] for i in ids[:3]) for ids in groups),
            remedy=f"give each thing one label in all files; leave {unit} that differ in truth",
        )


def _check_invisible(unit: str, labels: Sequence[str]) -> Iterator[Problem]:
    # isprintable is false for all of _INVISIBLE and cheap; blanks of other widths are no matter.
    found = [label for label in labels if not label.isprintable() and _INVISIBLE.search(label)]
    yield from count_problem(
        *("labels", "invisible-characters", "warning"),
        count=len(found),
        total=len(labels),
        unit=unit,
        what="have control or invisible characters in their label",
        effect="who types the label as it looks does not find it; joins with other data fail",
        examples=found,
        remedy="take the characters out of all files",
    )


def _check_names(graph: MultimodalGraph) -> Iterator[Problem]:
    names = Counter(name.casefold() for name in graph.entity_names)
    shared = [(name, count) for name, count in names.most_common() if count > 1]
    yield from count_problem(
        *("labels", "shared-name", "note"),
        count=sum(count for _, count in shared),
        total=graph.num_entities,
        unit="entities",
        what=f"share their display name with another ({format_count(len(shared), 'name')})",
        effect=(
            "momok predict asks for the label where a name is not enough; no effect on results"
        ),
        examples=(f"{name} ({count:,} entities)" for name, count in shared),
        remedy="make the names tell them apart, as in 'Paris (Texas)'",
    )


def check_relations(graph: MultimodalGraph) -> Iterator[Problem]:
    """Find relations to numbers, texts or things that nothing else is about, and mixed columns."""
    facts = np.unique(np.concatenate([graph.facts(split) for split in SPLIT_NAMES]), axis=0)
    degrees = np.bincount(facts[:, [0, 2]].ravel(), minlength=graph.num_entities)
    sizes = np.bincount(facts[:, 1], minlength=graph.num_relations)
    literals, lone = list[tuple[int, str]](), list[tuple[int, str]]()
    values = find_literal_relations(facts, graph.entities.labels)
    for relation in np.flatnonzero(sizes >= _ENOUGH).tolist():
        own = facts[facts[:, 1] == relation]
        name = graph.relations.labels[relation]
        if relation in values:
            literals.append((len(own), f"{name}: {values[relation]}"))
        elif (degrees[own[:, 2]] == 1).mean() >= _SHARE:
            tails = len(np.unique(own[:, 2]))
            lone.append((len(own), f"{name}: {tails:,} tails, each in this one fact"))
    yield from count_problem(
        *("labels", "literal-tails", "warning"),
        count=sum(count for count, _ in literals),
        total=len(facts),
        unit="facts",
        what="are of relations whose tails are numbers or texts and no entities",
        effect="each value is a candidate for every question; what it says is not learned from",
        examples=(example for _, example in sorted(literals, reverse=True)),
        remedy="momok data build --literals RELATION makes them what their heads have",
    )
    yield from count_problem(
        *("labels", "lone-tails", "note"),
        count=sum(count for count, _ in lone),
        total=len(facts),
        unit="facts",
        what="are of relations whose tails are in no other fact",
        effect="nothing can be learned about these tails; no such fact can be predicted",
        examples=(example for _, example in sorted(lone, reverse=True)),
        remedy="momok data build --leave-out RELATION, if they are links, codes or the like",
    )
    yield from _check_mixed_columns(graph, facts, sizes, degrees)


def _check_mixed_columns(
    graph: MultimodalGraph, facts: Triples, sizes: Ints, degrees: Ints
) -> Iterator[Problem]:
    """Find relations that are another column, and headers that became facts."""
    labels = graph.entities.labels
    single = int((sizes == 1).sum())
    if graph.num_relations >= _ENOUGH and single > graph.num_relations / 2:
        yield from count_problem(
            *("labels", "unrepeated-relations", "error"),
            count=single,
            total=graph.num_relations,
            unit="relations",
            what="have one fact alone: is another column the relation?",
            effect="a relation that never comes again cannot be learned",
            examples=(graph.relations.labels[i] for i in np.flatnonzero(sizes == 1)),
            remedy="momok data build --columns HEAD,RELATION,TAIL",
        )
    headers = [
        [labels[h], graph.relations.labels[r], labels[t]]
        for h, r, t in facts[sizes[facts[:, 1]] == 1].tolist()
        if degrees[h] == degrees[t] == 1
    ]
    headers = [names for names in headers if count_known_names(names) >= 2]
    yield from count_problem(
        *("labels", "header-fact", "error"),
        count=len(headers),
        total=len(facts),
        unit="facts",
        what="look like the header of a table",
        effect="the names of columns are entities and a relation",
        examples=(" | ".join(names) for names in headers),
        remedy="momok data build --header",
    )
