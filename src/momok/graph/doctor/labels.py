"""Labels that may mean the same thing, and labels that are not what they look like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

from momok.graph.doctor.diagnosis import MAX_EXAMPLES, Ailment, say_count
from momok.graph.graph import MultimodalGraph
from momok.progress import Progress

__all__ = ["check_labels", "group_collisions"]

_INVISIBLE = re.compile(
    # Control characters, zero-width and directional marks, soft hyphen, byte-order mark.
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_BLANKS = re.compile(r"[\s_]+")
_SCHEME = re.compile(r"^https?://(www\.)?", re.IGNORECASE)


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
    told: set[tuple[int, ...]] = set()
    forms = list(labels)
    for kind, normalise, _ in _FORMS:
        forms = [normalise(form) for form in forms]
        if len(set(forms)) == len(forms):
            continue
        by_form: dict[str, list[int]] = {}
        for position, form in enumerate(forms):
            by_form.setdefault(form, []).append(position)
        found = [tuple(ids) for ids in by_form.values() if len(ids) > 1]
        groups[kind] = [ids for ids in found if ids not in told]
        told.update(groups[kind])
    return {kind: found for kind, found in groups.items() if found}


def check_labels(graph: MultimodalGraph, progress: Progress) -> Iterator[Ailment]:
    """Examine the labels of entities and relations, and the names that people search by."""
    for done, (unit, labels) in enumerate(
        (("entities", graph.entities.labels), ("relations", graph.relations.labels))
    ):
        progress("checking labels", done, 3)
        yield from _check_collisions(unit, labels)
        yield from _check_invisible(unit, labels)
    progress("checking labels", 2, 3)
    yield from _check_names(graph)
    progress("checking labels", 3, 3)


def _check_collisions(unit: str, labels: Sequence[str]) -> Iterator[Ailment]:
    said = {kind: text for kind, _, text in _FORMS}
    for kind, groups in group_collisions(labels).items():
        count = sum(map(len, groups))
        yield Ailment(
            check="labels",
            kind=f"{kind}-collision",
            severity="note" if kind == "case" else "warning",
            count=count,
            unit=unit,
            total=len(labels),
            message=(
                f"{count:,} labels of {unit} in {say_count(len(groups), 'group')} are the same "
                f"{said[kind]}"
            ),
            effect=(
                f"if they mean one thing, its facts are split over several {unit}, and right "
                f"answers count as wrong"
            ),
            examples=tuple(" = ".join(labels[i] for i in ids[:3]) for ids in groups[:MAX_EXAMPLES]),
            remedy=f"give each thing one label in all files; leave {unit} that differ in truth",
        )


def _check_invisible(unit: str, labels: Sequence[str]) -> Iterator[Ailment]:
    # isprintable is false for all of _INVISIBLE and cheap; blanks of other widths are no matter.
    found = [label for label in labels if not label.isprintable() and _INVISIBLE.search(label)]
    if found:
        yield Ailment(
            check="labels",
            kind="invisible-characters",
            severity="warning",
            count=len(found),
            unit=unit,
            total=len(labels),
            message=f"{len(found):,} labels of {unit} hold control or invisible characters",
            effect="who types the label as it looks does not find it; joins with other data fail",
            examples=tuple(found[:MAX_EXAMPLES]),
            remedy="take the characters out of all files",
        )


def _check_names(graph: MultimodalGraph) -> Iterator[Ailment]:
    by_name: dict[str, int] = {}
    for name in graph.entity_names:
        folded = name.casefold()
        by_name[folded] = by_name.get(folded, 0) + 1
    shared = {name: count for name, count in by_name.items() if count > 1}
    if not shared:
        return
    count = sum(shared.values())
    most = sorted(shared, key=lambda name: -shared[name])[:MAX_EXAMPLES]
    yield Ailment(
        check="labels",
        kind="shared-name",
        severity="note",
        count=count,
        unit="entities",
        total=graph.num_entities,
        message=(
            f"{count:,} entities share their display name with another "
            f"({say_count(len(shared), 'name')})"
        ),
        effect="momok predict asks for the label where a name is not enough; no effect on results",
        examples=tuple(f"{name} ({shared[name]:,} entities)" for name in most),
        remedy="make the names tell them apart, as in 'Paris (Texas)'",
    )
