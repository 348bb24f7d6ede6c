"""Labels, their ids, how they are shown to people, and what a mistyped one may have meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from momok.arrays import find_whole_number
from momok.errors import DataError, FormatError, UnknownLabelError
from momok.graph.text_files import read_lines

_LINE_BREAKERS = re.compile(r"[\t\r\n]+")
_WHOLE_NUMBER = re.compile(r"[+-]?\d+")
_MINIMUM_LIKENESS = 60.0  # of rapidfuzz's 100; below it a suggestion misleads more than it helps


def make_readable(label: str) -> str:
    """Make a display name from a label.

    Of a URI the part that names the thing is kept, percent-decoded: all that follows
    ``/resource/`` (DBpedia names may hold a slash: ``HIV/AIDS``), else the last path part or
    fragment. Underscores become blanks. A label of which nothing is left is its own name.
    """
    name = label
    if "://" in label:
        if "/resource/" in label:
            name = label.partition("/resource/")[2]
        else:
            name = label.rstrip("/#").replace("#", "/").rpartition("/")[2]
        if "%" in name:
            name = unquote(name, errors="replace")
    name = flatten(name.replace("_", " ")).strip()
    return name or flatten(label)


def flatten(text: str) -> str:
    """Put a text on one line of one column: tabs and line breaks become blanks."""
    return text if text.isprintable() else _LINE_BREAKERS.sub(" ", text)


def strip_brackets(label: str) -> str:
    """Take the angle brackets off a label: ``<http://x.org/E>`` is ``http://x.org/E``."""
    return label[1:-1] if len(label) > 2 and label[0] == "<" and label[-1] == ">" else label


def fold_name(name: str) -> str:
    """Give a name as it is compared: without case, accents written in one way, single blanks."""
    name = " ".join(name.split())
    if name.isascii():
        return name.casefold()
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", folded)


def group_by_name(names: Iterable[str]) -> dict[str, list[int]]:
    """Give the positions of each name, as it is compared."""
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        groups.setdefault(fold_name(name), []).append(position)
    return groups


def shorten(text: str, length: int = 120) -> str:
    """Cut a text that would make a message long."""
    return text if len(text) <= length else f"{text[:length]}…"


def find_near_misses(text: str, candidates: Iterable[str], limit: int = 3) -> list[str]:
    """Find the candidates that look most like ``text``, best first, each once."""
    from rapidfuzz import fuzz, process, utils

    found = process.extract(
        text,
        list(dict.fromkeys(candidates)),
        scorer=fuzz.WRatio,
        processor=utils.default_process,
        limit=limit,
        score_cutoff=_MINIMUM_LIKENESS,
    )
    return [candidate for candidate, _, _ in found]


def suggest_near_misses(text: str, candidates: Iterable[str]) -> str:
    """Say ``"; did you mean A, B or C?"``, or nothing where nothing is near."""
    return format_suggestion(find_near_misses(text, candidates))


def format_suggestion(near: Sequence[str]) -> str:
    """Say ``"; did you mean A, B or C?"``, or nothing where there are none."""
    if not near:
        return ""
    *others, last = map(shorten, near)
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"; did you mean {listed}?"


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """Distinct labels; the position of a label is its id.

    Raises:
        DataError: a label appears twice.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that every label has one id."""
        if len(self.ids) != len(self.labels):
            twice = next(x for i, x in enumerate(self.labels) if self.ids[x] != i)
            raise DataError(f"the label {twice!r} appears twice in a vocabulary")

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Ids by label."""
        return {label: position for position, label in enumerate(self.labels)}

    @cached_property
    def is_of_numbers(self) -> bool:
        """Whether all labels are whole numbers, so that a number is one of them and no id."""
        return all(map(_WHOLE_NUMBER.fullmatch, self.labels))

    def index(self, label: str) -> int:
        """Give the id of a label.

        Raises:
            UnknownLabelError: the label is not here; near misses are suggested.
        """
        try:
            return self.ids[label]
        except KeyError:
            raise UnknownLabelError(
                f"there is no label {label!r}" + suggest_near_misses(label, self.labels)
            ) from None

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.labels[:3])) + (", ..." if len(self) > 3 else "")
        return f"<Vocabulary of {len(self):,}: {shown}>"

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.ids


def find_number(given: object, vocabulary: Vocabulary, kind: str, graph: str) -> int:
    """Check an id; where labels are numbers, it is one of them.

    Args:
        kind, graph: of what the vocabulary is, for errors.

    Raises:
        UnknownLabelError: it is out of range, or no whole number.
    """
    position = find_whole_number(given)
    if position is None:
        raise UnknownLabelError(f"{given!r}: expected a label, a name or an id of {graph}")
    if vocabulary.is_of_numbers:
        return vocabulary.index(str(position))
    if not 0 <= position < len(vocabulary):
        raise UnknownLabelError(
            f"there is no id {given}: {graph} has {len(vocabulary)} {kind}, from id 0"
        )
    return position


def read_id_list(path: Path) -> tuple[list[str], int | None]:
    """Read a list of labels, each with its id behind it, as ``entity2id.txt``.

    Returns:
        the labels in the order of their ids, which are 0 to n - 1, and the count that may stand in
        the first line.
    """
    lines = read_lines(path)
    has_count = bool(lines) and lines[0].strip().isdecimal()
    rows = []
    for number, line in enumerate(lines[has_count:], 1 + has_count):
        if text := line.strip(" \t\r"):
            label, _, digits = text.rpartition("\t" if "\t" in text else " ")
            rows.append((number, strip_brackets(label.strip(" \t")), digits))
    return order_labels(path, rows), int(lines[0]) if has_count else None


def order_labels(path: Path, rows: Iterable[tuple[int, str, str]]) -> list[str]:
    """Put labels in the order of their ids.

    Args:
        rows: of each label the line, the label and the id.

    Raises:
        FormatError: ids are not 0 to n - 1, or a label has two.
    """
    labels: dict[int, str] = {}
    seen: dict[str, int] = {}
    for number, label, digits in rows:
        place = f"{path}:{number}"
        if not label or not digits.isdecimal():
            found = f"{label} {digits}".strip()[:120]
            raise FormatError(f"{place}: expected a label and its id, found {found!r}")
        if label in seen:
            raise FormatError(
                f"{place}: {label[:120]!r} has an id already, on line {seen[label]}; each label is "
                f"listed once"
            )
        if int(digits) in labels:
            raise FormatError(f"{place}: the id {digits} is that of another label already")
        labels[int(digits)], seen[label] = label, number
    if not labels:
        raise FormatError(f"{path}: lists nothing; expected a label and its id in each line")
    missing = next((i for i in range(len(labels)) if i not in labels), None)
    if missing is not None:
        raise FormatError(
            f"{path}: lists {len(labels):,} labels and none has the id {missing}; ids count 0, 1, "
            f"2, ..."
        )
    return [labels[i] for i in range(len(labels))]
