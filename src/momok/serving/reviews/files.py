"""Decisions as files, written and read again: TSV, CSV, JSON lines, N-Triples.

The first three have the columns ``COLUMNS``, with a header. Tabs and line breaks in texts become
blanks in TSV. CSV is what spreadsheets open: a text that they would run as a formula gets an
apostrophe in front, which reading takes off. JSON lines have all texts as they are.

N-Triples describe every decision as an ``rdf:Statement`` with its state, and assert the facts that
were accepted, so that a triple store that loads the file has these and no others. Labels are put
in IRIs as ``momok predict-missing`` does.

A file of plain facts, in any format that ``momok data build`` reads, is read as accepted facts.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import TypeAdapter, ValidationError

from momok.config import describe_problem
from momok.errors import ConfigError, FormatError
from momok.extras import import_extra
from momok.graph.iris import DEFAULT_BASE, make_iri, read_iri
from momok.graph.names import flatten
from momok.graph.sources.reading import SourceOptions, read_facts_file
from momok.graph.text_files import read_text
from momok.prediction.missing.files import FORMULA, RDF, XSD
from momok.serving.reviews.records import Fact, Review, hash_fact, read_time
from momok.serving.schemas import check_address, check_text
from momok.storage import parse_json

FileFormat = Literal["tsv", "csv", "jsonl", "ntriples"]
Names: TypeAlias = Callable[[Fact], tuple[str, str, str]]
"""Names of head, relation and tail, to be read by people."""

_TEXTS = ("reason", "right_tail", "reviewer", "changed", "ordering", "note", "source")
_NAMES = ("head_name", "relation_name", "tail_name")
COLUMNS = ("head", "relation", "tail", "state", "probability", "along", "settled", *_TEXTS, *_NAMES)
_KNOWN = frozenset(COLUMNS) - frozenset(_NAMES)
_REVIEW = TypeAdapter(Review)
_DECISION = f"{DEFAULT_BASE}decision/"
_BOOLEAN = dict.fromkeys(("along", "settled"), "boolean")
_KINDS: tuple[Literal["entity", "relation"], ...] = ("entity", "relation", "entity")
_KIND_OF = dict(zip(COLUMNS[:3], _KINDS, strict=True))
_PARTS = {"subject": "head", "predicate": "relation", "object": "tail"}
_ARMED = re.compile(r"^'(?=[=+\-@\t\r'])")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class _Form(NamedTuple):
    """How a file of a format is called and written."""

    media_type: str
    ending: str
    header: str
    encode: Callable[[dict[str, Any]], str]


# -- written -----------------------------------------------------------------------------------


def encode_reviews(
    reviews: Iterable[Review], form: FileFormat, names: Names | None = None
) -> Iterator[str]:
    """The text of a file of decisions, piece by piece; the header also where there are none."""
    written = FORMATS[form]
    if written.header:
        yield written.header
    for review in reviews:
        row = {name: getattr(review, name) for name in COLUMNS if name in _KNOWN}
        named = ("", "", "") if names is None else names(review.fact)
        yield written.encode(row | dict(zip(_NAMES, named, strict=True)))


def choose_format(path: Path) -> FileFormat | None:
    """The format of a file of decisions by its ending; None for another."""
    ending = path.suffix.lower().removeprefix(".")
    return next((name for name, form in FORMATS.items() if form.ending == ending), None)


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    return "" if value is None else str(value)


def _encode_tsv(row: dict[str, Any]) -> str:
    return "\t".join(flatten(_to_text(value)) for value in row.values()) + "\n"


def _encode_csv(row: dict[str, Any]) -> str:
    line = io.StringIO()
    cells = (re.sub(FORMULA, r"'\g<0>", _to_text(value)) for value in row.values())
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _encode_json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _encode_triples(row: dict[str, Any]) -> str:
    fact = row["head"], row["relation"], row["tail"]
    terms = [f"<{make_iri(x, kind)}>" for x, kind in zip(fact, _KINDS, strict=True)]
    subject = f"<{_DECISION}{hash_fact(fact)}>"
    lines = [" ".join(terms)] if row["state"] == "accepted" else []
    lines.append(f"{subject} <{RDF}type> <{RDF}Statement>")
    parts = zip(("subject", "predicate", "object"), terms, strict=True)
    lines += [f"{subject} <{RDF}{part}> {term}" for part, term in parts]
    for name in COLUMNS[3 : -len(_NAMES)]:
        if text := _to_text(row[name]):
            kind = {"probability": "double", "changed": "dateTime", **_BOOLEAN}.get(name)
            typed = f"^^<{XSD}{kind}>" if kind else ""
            escaped = "".join(_ESCAPES.get(x, x) for x in text)
            lines.append(f'{subject} <{DEFAULT_BASE}{name}> "{escaped}"{typed}')
    return "".join(f"{line} .\n" for line in lines)


FORMATS: dict[FileFormat, _Form] = {
    "tsv": _Form("text/tab-separated-values", "tsv", "\t".join(COLUMNS) + "\n", _encode_tsv),
    "csv": _Form("text/csv", "csv", ",".join(COLUMNS) + "\n", _encode_csv),
    "jsonl": _Form("application/x-ndjson", "jsonl", "", _encode_json),
    "ntriples": _Form("application/n-triples", "nt", "", _encode_triples),
}


# -- read --------------------------------------------------------------------------------------


def read_reviews(path: Path) -> list[Review]:
    """Read a file of decisions, or one of facts, which are then accepted ones.

    Raises:
        DataError: it is missing or cannot be read.
        FormatError: it is malformed, or says two things of one fact.
    """
    form = choose_format(path)
    if form is not None and path.is_file():
        text = read_text(path)
        if form not in ("tsv", "csv") or _has_header(text, form):
            return parse_reviews(text, form, str(path))
    raw = read_facts_file(path, SourceOptions())
    facts = (
        _from_iris((raw.entities[head], raw.relations[relation], raw.entities[tail]))
        for triples in raw.triples.values()
        for head, relation, tail in triples.tolist()
    )
    return [
        Review(head=h, relation=r, tail=t, state="accepted") for h, r, t in dict.fromkeys(facts)
    ]


def parse_reviews(text: str, form: FileFormat, where: str) -> list[Review]:
    """Read the text of a file of decisions; ``where`` names it in errors.

    Raises:
        FormatError: it is malformed, or says two things of one fact.
    """
    rows = {"jsonl": _parse_json, "ntriples": _parse_triples}.get(form)
    numbered = _parse_table(text, form, where) if rows is None else rows(text, where)
    found: dict[Fact, tuple[int, Review]] = {}
    for number, row in numbered:
        review = _check(row, f"{where}:{number}")
        first, before = found.setdefault(review.fact, (number, review))
        if before.state != review.state:
            raise FormatError(
                f"{where}:{number}: this fact is {review.state}, and {before.state} in line "
                f"{first}; leave one of the two"
            )
    return [review for _, review in found.values()]


def _check(row: Mapping[str, Any], where: str) -> Review:
    given = {
        name: value for name, value in row.items() if name in _KNOWN and value not in ("", None)
    }
    missing = [name for name in COLUMNS[:4] if name not in given]
    if missing:
        raise FormatError(f"{where}: no {' and no '.join(missing)}; every decision has one")
    try:
        review = _REVIEW.validate_python(given)
    except ValidationError as error:
        raise FormatError(f"{where}: {describe_problem(error.errors()[0])}") from None
    for name in (*COLUMNS[:3], *_TEXTS):
        try:
            (check_address if name == "source" else check_text)(getattr(review, name))
        except ValueError as error:
            raise FormatError(f"{where}: {name}: {error}") from None
    if review.probability is not None and not 0 <= review.probability <= 1:
        raise FormatError(f"{where}: probability = {review.probability}: expected 0 to 1")
    if review.state == "open":
        raise FormatError(f"{where}: state 'open' is no decision; leave the line out")
    try:
        return replace(review, changed=read_time(review.changed) if review.changed else "")
    except ConfigError as error:
        raise FormatError(f"{where}: changed = {error}") from None


def _split_header(text: str, form: FileFormat) -> tuple[list[str], str]:
    """The cells of the first line, and what separates them: spreadsheets may write semicolons."""
    first = text.partition("\n")[0].rstrip("\r")
    delimiter = "\t" if form == "tsv" else ";" if ";" in first and "," not in first else ","
    return [cell.strip('"') for cell in first.split(delimiter)], delimiter


def _has_header(text: str, form: FileFormat) -> bool:
    return {*COLUMNS[:4]} <= {*_split_header(text, form)[0]}


def _parse_table(text: str, form: FileFormat, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    header, delimiter = _split_header(text, form)
    if not _has_header(text, form):
        raise FormatError(
            f"{where}:1: expected a header with the columns {', '.join(COLUMNS[:4])} (others that "
            f"are read: {', '.join(COLUMNS[4 : -len(_NAMES)])})"
        )
    quoting: Any = csv.QUOTE_NONE if form == "tsv" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    try:
        for number, cells in enumerate(reader, start=1):
            if number == 1 or not any(cells):
                continue
            if len(cells) != len(header):
                raise FormatError(
                    f"{where}:{reader.line_num}: {len(cells)} columns, expected {len(header)} as "
                    "in the header"
                )
            texts = cells if form == "tsv" else [_ARMED.sub("", cell) for cell in cells]
            yield reader.line_num, dict(zip(header, texts, strict=True))
    except csv.Error as error:
        raise FormatError(f"{where}:{reader.line_num}: is not CSV: {error}") from None


def _parse_json(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise FormatError(f"{where}:{number}: is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise FormatError(f"{where}:{number}: expected a JSON object")
        yield number, row


def _parse_triples(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Decisions as they are described; facts that are asserted and not described are accepted."""
    pyoxigraph = import_extra("pyoxigraph", "data", "reading N-Triples")
    described: dict[str, tuple[int, dict[str, Any]]] = {}
    asserted: dict[Fact, int] = {}
    try:
        for number, triple in enumerate(
            pyoxigraph.parse(text.encode(), format=pyoxigraph.RdfFormat.N_TRIPLES), start=1
        ):
            subject, name, value = (
                getattr(term, "value", "")
                for term in (triple.subject, triple.predicate, triple.object)
            )
            if subject.startswith(_DECISION):
                key = _PARTS.get(name.removeprefix(RDF)) or name.removeprefix(DEFAULT_BASE)
                row = described.setdefault(subject, (number, {}))[1]
                row[key] = read_iri(value, _KIND_OF[key]) if key in _KIND_OF else value
            elif isinstance(triple.object, pyoxigraph.NamedNode):
                asserted.setdefault(_from_iris((subject, name, value)), number)
    except SyntaxError as error:
        raise FormatError(f"{where}: is not N-Triples: {error}") from None
    yield from described.values()
    stated = {tuple(row.get(part) for part in COLUMNS[:3]) for _, row in described.values()}
    for fact, number in asserted.items():
        if fact not in stated:
            yield number, dict(zip(COLUMNS, (*fact, "accepted"), strict=False))


def _from_iris(fact: Fact) -> Fact:
    head, relation, tail = map(read_iri, fact, _KINDS)
    return head, relation, tail
