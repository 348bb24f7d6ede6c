"""How labels are shown to people, and what they may have meant when they mistype one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

_LINE_BREAKERS = re.compile(r"[\t\r\n]+")
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
    """Give a name as it is compared: without case, and with accents written in one way."""
    if name.isascii():
        return name.casefold()
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", folded)


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
