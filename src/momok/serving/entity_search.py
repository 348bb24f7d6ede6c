"""Finding entities by what people type: any script, without marks, with mistakes.

All names (display names, labels, and columns of further names) lie in an SQLite table in memory
with a full-text index of trigrams, entities with many facts first. A search looks for the whole
name, beginnings of names, beginnings of words, then anywhere (scripts without blanks between words
need that). Where nothing is found, names that share trigrams are compared by rapidfuzz.

A million names take some 100 MB and fifteen seconds to index. In the index a name begins and ends
with two line breaks and words are two blanks apart, so that even one letter makes a trigram there.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz

from momok.graph import MultimodalGraph

_NAME_COLUMN = re.compile(r"name|alias|title|label", re.IGNORECASE)
_LONGEST = 300  # characters of a name that are searched
_LONG_LABEL = 300  # characters of a label in an address; 9 times as many bytes at the worst
_EDGE, _GAP = "\n\n", "  "  # around a name, between its words
_IGNORED = ("Mn", "Cf", "Cs")  # marks, invisible characters, half characters

_COMPARED = 300  # names that rapidfuzz compares
_COMPARED_LENGTH = 80  # characters whose trigrams propose names
_MAX_TRIGRAMS = 100  # in one query; SQLite takes 256
_SHARING = 1_000_000  # rows that may be read for that, of each trigram the best-known entities
_LIKENESS = 62.0  # of 100, under which a name is not what was meant

_FIND = "SELECT entity, column FROM names WHERE {} instr(folded, ?) > 0 ORDER BY rowid LIMIT ?"
_WITH_TRIGRAM = "SELECT rowid AS row FROM names WHERE names MATCH ? ORDER BY rowid LIMIT ?"
_MOST_SHARED = (
    "SELECT entity, column FROM (SELECT row, count(*) AS shared FROM ({}) GROUP BY row "
    "ORDER BY shared DESC, row LIMIT ?) JOIN names ON names.rowid = row ORDER BY shared DESC, row"
)


@dataclass(frozen=True)
class Hit:
    """An entity that was found.

    Attributes:
        entity: its id.
        text: the name that matched.
        exact: whether the whole name is what was typed.
        near: whether it is only like what was typed.
    """

    entity: int
    text: str
    exact: bool = False
    near: bool = False


def fold(text: str) -> str:
    """A text as it is compared: compatible forms, case, marks and runs of blanks made equal.

    >>> fold("  Ｓara   DÄBRITZ ")
    'sara dabritz'
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("\0", "")
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in parts if unicodedata.category(c) not in _IGNORED)
    return " ".join(text.split())


def make_reference(label: str) -> str:
    """How a label is written in an address: itself, or its digest where it is long."""
    if len(label) <= _LONG_LABEL:
        return label
    return "sha256-" + hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()


class EntitySearch:
    """Finds entities and relations of a graph by what people and programs send."""

    def __init__(self, graph: MultimodalGraph) -> None:
        self._graph = graph
        self._long_labels = {
            make_reference(label): label
            for vocabulary in (graph.entities, graph.relations)
            for label in vocabulary.labels
            if len(label) > _LONG_LABEL
        }
        further = [v for key, v in graph.attributes.items() if _NAME_COLUMN.search(key)]
        self._columns = [graph.entity_names, *further, graph.entities.labels]
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(
            "CREATE VIRTUAL TABLE names USING fts5(folded, entity UNINDEXED, column UNINDEXED, "
            "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"
        )
        rows = "INSERT INTO names(folded, entity, column) VALUES (?, ?, ?)"
        with self._database:
            self._database.executemany(rows, self._list_names())

    def find_entity(self, text: str) -> int:
        """The id of an entity by label, reference or display name.

        Raises:
            UnknownLabelError: nothing has this label or name; near misses are suggested.
            AmbiguousNameError: several entities share the name.
        """
        return self._graph.find_entity(self._long_labels.get(text, text), self._suggest)

    def find_relation(self, text: str) -> int:
        """The id of a relation by label, reference or display name; fails as ``find_entity``."""
        return self._graph.find_relation(self._long_labels.get(text, text))

    def find_fact(self, head: str, relation: str, tail: str) -> tuple[int, int, int]:
        """The ids of a fact; fails as ``find_entity``."""
        return self.find_entity(head), self.find_relation(relation), self.find_entity(tail)

    def search(self, text: str, limit: int = 10) -> list[Hit]:
        """The entities whose names have this text, best first; else those with names like it."""
        wanted = _fold_part(text).replace(" ", _GAP)
        if not wanted:
            return []
        found: dict[int, Hit] = {}
        for part in (_EDGE + wanted + _EDGE, _EDGE + wanted, _GAP + wanted, wanted):
            # Of an entity several names may match, and some entities are found already.
            limits = part, 2 * limit * len(self._columns)
            trigrams = " AND ".join(_quote_trigrams(part))
            names = (
                self._query(_FIND.format("names MATCH ? AND"), trigrams, *limits)
                if trigrams
                else self._query(_FIND.format(""), *limits)
            )
            for entity, name in names:
                exact = part.endswith(_EDGE)
                found.setdefault(entity, Hit(entity, name, exact=exact))
                if len(found) == limit:
                    return list(found.values())
        return list(found.values()) or self.search_similar(text, limit)

    def search_similar(self, text: str, limit: int = 10) -> list[Hit]:
        """The entities whose names look like this text, most alike first."""
        wanted = _fold_part(text)
        trigrams = _quote_trigrams(_spread(wanted[:_COMPARED_LENGTH]))
        parts = " UNION ALL ".join([f"SELECT * FROM ({_WITH_TRIGRAM})"] * len(trigrams))
        limit_each = _SHARING // len(trigrams)
        values = (value for trigram in trigrams for value in (trigram, limit_each))
        proposed = self._query(_MOST_SHARED.format(parts), *values, _COMPARED)
        ranked = sorted(
            ((_compare(wanted, fold(name)), -i) for i, (_, name) in enumerate(proposed)),
            reverse=True,
        )
        found: dict[int, Hit] = {}
        for likeness, place in ranked:
            if likeness < _LIKENESS or len(found) == limit:
                break
            entity, name = proposed[-place]
            found.setdefault(entity, Hit(entity, name, near=True))
        return list(found.values())

    def _suggest(self, text: str) -> list[str]:
        return [hit.text for hit in self.search_similar(text, 3)]

    def _query(self, query: str, *values: str | int) -> list[tuple[int, str]]:
        """Entities and names."""
        with self._lock:
            rows = self._database.execute(query, values).fetchall()
        return [(entity, self._columns[column][entity]) for entity, column in rows]

    def _list_names(self) -> Iterator[tuple[str, int, int]]:
        """(name, entity, column), the best-known entities first; a name of an entity once."""
        order = np.argsort(-self._graph.fact_index.degrees, kind="stable")
        for entity in order.tolist():
            names = [column[entity] for column in self._columns]
            for name in dict.fromkeys(filter(None, names)):
                yield _spread(fold(name[:_LONGEST])), entity, names.index(name)


def _fold_part(text: str) -> str:
    return fold(text[: 2 * _LONGEST])[:_LONGEST]


def _spread(folded: str) -> str:
    """A folded name as it stands in the index."""
    return _EDGE + folded.replace(" ", _GAP) + _EDGE


def _quote_trigrams(text: str) -> list[str]:
    """The different trigrams of a text, as SQLite's queries have them; none of a short text."""
    trigrams = {text[i : i + 3].replace('"', '""') for i in range(len(text) - 2)}
    return [f'"{trigram}"' for trigram in sorted(trigrams)[:_MAX_TRIGRAMS]]


def _compare(wanted: str, name: str) -> float:
    """How alike a name is to what was typed, 0 to 100; what was typed may be a part of it."""
    whole = max(fuzz.ratio(wanted, name), 0.95 * fuzz.token_sort_ratio(wanted, name))
    part = 0.9 * fuzz.partial_ratio(wanted, name) if len(name) > len(wanted) else 0.0
    return max(whole, part)
