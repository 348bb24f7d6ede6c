"""From files of facts to facts of ids, with every fault counted and placed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from momok.arrays import Ints
from momok.errors import FormatError
from momok.graph.graph import SPLIT_NAMES, SplitName
from momok.graph.names import Vocabulary, suggest_near_misses
from momok.graph.text_files import FindingLog, read_line_frame
from momok.graph.triples import Triples, encode_triples, first_occurrences, is_member, mark_unseen

LABELS = ("head", "relation", "tail")

Layout: TypeAlias = Callable[[pl.Expr], pl.Expr]
"""Makes lists of labels of the lines of a file."""


@dataclass(frozen=True)
class FactFile:
    """The well-formed lines of one file of facts.

    Attributes:
        facts: columns ``line`` (from 1), ``head``, ``relation``, ``tail``: labels.
    """

    path: Path
    facts: pl.DataFrame


def split_momok_lines(line: pl.Expr) -> pl.Expr:
    """Take lines apart at tabs; a label that is empty is none."""
    return line.str.split("\t").list.filter(pl.element() != "")


def split_benchmark_lines(line: pl.Expr) -> pl.Expr:
    """Take lines apart at tabs, or at blanks where they have no tab.

    A lone dot at the end, blanks around labels and angle brackets are no part of a label.
    """
    line = line.str.replace(r"[ \t]+\.?[ \t]*$", "")
    with_tabs = line.str.contains("\t", literal=True)
    line = pl.when(with_tabs).then(line).otherwise(line.str.replace_all(" ", "\t", literal=True))
    label = pl.element().str.strip_chars(" ")
    bare = label.str.replace(r"^<(.+)>$", "${1}")
    return line.str.split("\t").list.eval(bare.filter(label != ""))


def read_facts(path: Path, layout: Layout, log: FindingLog) -> FactFile:
    """Read a file of facts.

    Raises:
        FormatError: it is not UTF-8; or a line has not three labels and reading is strict.
    """
    lines = read_line_frame(path).select("line", labels=layout(pl.col("text")))
    count = pl.col("labels").list.len()
    malformed = lines.filter((count != 3) & (count != 0))
    places = (
        f"{path.name}:{line}: {len(labels)} labels, expected head, relation and tail: "
        f"{' | '.join(labels)[:120]!r}"
        for line, labels in malformed.iter_rows()
    )
    message = f"lines of {path.name} are malformed and left out"
    log.reject("malformed", message, places, len(malformed))
    columns = {name: pl.col("labels").list.get(place) for place, name in enumerate(LABELS)}
    return FactFile(path, lines.filter(count == 3).select("line", **columns))


def list_relations(files: Iterable[FactFile]) -> tuple[str, ...]:
    """List the relations of facts in order of their first appearance."""
    found = pl.concat([file.facts["relation"] for file in files])
    return tuple(found.unique(maintain_order=True).to_list())


@dataclass(frozen=True)
class _IndexedSplit:
    """Facts ``[n, 3]`` of one file, their keys ``[n]`` and lines ``[n]``."""

    path: Path
    triples: Triples
    keys: Ints
    line_numbers: Ints

    def place(self, row: int | np.integer[Any]) -> str:
        return f"{self.path.name}:{self.line_numbers[row]}"


def index_splits(
    files: Mapping[SplitName, FactFile],
    entities: Vocabulary,
    relations: Vocabulary,
    log: FindingLog,
) -> dict[SplitName, Triples]:
    """Turn labels to ids and drop what cannot be used or says nothing new.

    Args:
        log: told of unknown labels, repeated facts, facts shared by splits, and facts with an
            entity that train never shows.

    Returns:
        The distinct facts ``[n, 3]`` of each split in the order of the file.

    Raises:
        FormatError: a split is left without a fact; or a label is unknown and reading is strict.
    """
    numbered = _find_ids([files[split] for split in SPLIT_NAMES], entities, relations)
    indexed = {
        split: _drop_duplicates(_drop_unknown(files[split], ids, entities, relations, log), log)
        for split, ids in zip(SPLIT_NAMES, numbered, strict=True)
    }
    for split, facts in indexed.items():
        if not len(facts.triples):
            name = facts.path.name
            causes = [f"{f.message}; {f.examples[0]}" for f in log.findings if name in f.message]
            because = f" ({causes[0]})" if causes else ""
            raise FormatError(
                f"{facts.path}: the {split} split is empty; it needs at least one fact{because}"
            )
    _report_overlaps(indexed, log)
    for split in ("valid", "test"):
        part, train = indexed[split], indexed["train"].triples
        unseen = np.flatnonzero(mark_unseen(train, part.triples, len(entities)))
        log.report(
            "unseen-entity",
            f"facts of {part.path.name} have an entity that is in no train fact",
            (part.place(row) for row in unseen),
            len(unseen),
        )
    return {split: facts.triples for split, facts in indexed.items()}


def index_facts(
    file: FactFile, entities: Vocabulary, relations: Vocabulary, log: FindingLog
) -> Triples:
    """Turn labels to ids ``[n, 3]`` and drop what is unknown or repeated; ``log`` is told."""
    [ids] = _find_ids([file], entities, relations)
    return _drop_duplicates(_drop_unknown(file, ids, entities, relations, log), log).triples


def _find_ids(
    files: Sequence[FactFile], entities: Vocabulary, relations: Vocabulary
) -> list[Triples]:
    """Find the ids of the labels of each file ``[n, 3]``, -1 for a label that is not listed."""
    facts = pl.concat([file.facts for file in files])

    def find(labels: pl.Series, vocabulary: Vocabulary) -> Ints:
        known = pl.Series(vocabulary.labels, dtype=pl.String)
        ids = np.arange(len(known))
        return labels.replace_strict(known, ids, default=-1, return_dtype=pl.Int64).to_numpy()

    # Heads and tails of all files at once: every call makes a hash table of the vocabulary.
    ends = find(pl.concat([facts["head"], facts["tail"]]), entities)
    parts = [ends[: len(facts)], find(facts["relation"], relations), ends[len(facts) :]]
    bounds = np.cumsum([len(file.facts) for file in files])[:-1]
    return np.split(np.stack(parts, axis=1), bounds)


def _drop_unknown(
    file: FactFile, triples: Triples, entities: Vocabulary, relations: Vocabulary, log: FindingLog
) -> _IndexedSplit:
    line_numbers = file.facts["line"].to_numpy()
    known = (triples >= 0).all(axis=1)
    if not known.all():
        unknown = np.flatnonzero(~known)
        log.reject(
            "unknown-label",
            f"lines of {file.path.name} have a label that the graph does not list; left out",
            _describe_unknown(file, unknown, entities, relations),
            len(unknown),
        )
        triples, line_numbers = triples[known], line_numbers[known]
    keys = encode_triples(triples, len(entities), len(relations))
    return _IndexedSplit(file.path, triples, keys, line_numbers)


def _describe_unknown(
    file: FactFile, rows: Ints, entities: Vocabulary, relations: Vocabulary
) -> Iterator[str]:
    for row in rows.tolist():
        line, *labels = file.facts.row(row)
        kinds = (("entity", entities), ("relation", relations), ("entity", entities))
        label, kind, known = next(
            (label, kind, known)
            for label, (kind, known) in zip(labels, kinds, strict=True)
            if label not in known
        )
        meant = suggest_near_misses(label, known.labels)
        yield f"{file.path.name}:{line}: unknown {kind} {label!r}{meant}"


def _drop_duplicates(facts: _IndexedSplit, log: FindingLog) -> _IndexedSplit:
    kept, first = first_occurrences(facts.keys)
    if len(kept) == len(facts.keys):
        return facts
    repeated = np.flatnonzero(first != np.arange(len(first)))
    log.report(
        "duplicate",
        f"lines of {facts.path.name} repeat a fact; each fact is kept once",
        (
            f"{facts.place(row)}: the fact of line {facts.line_numbers[first[row]]}"
            for row in repeated
        ),
        len(repeated),
    )
    return _IndexedSplit(
        facts.path, facts.triples[kept], facts.keys[kept], facts.line_numbers[kept]
    )


def _report_overlaps(indexed: Mapping[SplitName, _IndexedSplit], log: FindingLog) -> None:
    pairs: tuple[tuple[SplitName, SplitName], ...] = (
        ("valid", "train"),
        ("test", "train"),
        ("valid", "test"),
    )
    for split, other in pairs:
        facts, others = indexed[split], indexed[other]
        shared = np.flatnonzero(is_member(facts.keys, others.keys))
        places = (
            f"{facts.place(row)}: the fact of "
            f"{others.place(np.flatnonzero(others.keys == facts.keys[row])[0])}"
            for row in shared
        )
        message = f"facts of {facts.path.name} are also in {others.path.name}"
        log.report("overlap", message, places, len(shared))
