"""Files of new facts: Parquet, CSV, JSON lines, N-Triples, written in blocks.

Columns of the first three: ``rank`` (from 1, over the whole file), ``relation``, ``relation_name``,
``head``, ``head_name``, ``tail``, ``tail_name``, ``probability`` (empty in a run that is not
calibrated), ``score``, ``tail_answer``, ``head_answer``.

CSV is what spreadsheets open, and they run a cell that begins with ``=``, ``+``, ``-``, ``@``, a
tab or a carriage return as a formula. Such a text gets an apostrophe in front, as does one that
begins with an apostrophe: taking one off gives the label back. Parquet and JSON lines have labels
as they are.

N-Triples has IRIs. A label that is an absolute IRI already is taken as it is; others are
percent-encoded under a base. A fact is not asserted, only spoken of: as a quoted triple (RDF-star),
as a triple term (RDF 1.2), or as an ``rdf:Statement`` (reification, which every reader has).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args
from urllib.parse import quote

from momok.errors import ConfigError, MissingExtraError

__all__ = [
    "COLUMNS",
    "DEFAULT_BASE",
    "FORMATS",
    "FactRows",
    "FileOptions",
    "RdfForm",
    "choose_format",
    "require_format",
    "to_iri",
    "write_facts",
]

COLUMNS = (
    "rank", "relation", "relation_name", "head", "head_name", "tail", "tail_name",
    "probability", "score", "tail_answer", "head_answer",
)  # fmt: skip
DEFAULT_BASE = "urn:momok:"
FORMATS = (".parquet", ".csv", ".jsonl", ".nt")

RdfForm = Literal["star", "rdf12", "reification"]

FactRows = dict[str, list[Any]]
"""A block of facts: per column of ``COLUMNS`` its values."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_TEXTS = ("relation", "relation_name", "head", "head_name", "tail", "tail_name")
# An absolute IRI that can stand in N-Triples: a hierarchical one or a URN, without the characters
# that IRIREF excludes. A label like "city:FR/Paris" has a colon too, but names no known scheme.
_IRI = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|urn:)[^\x00-\x20<>\"{}|^`\\]+")
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XSD = "http://www.w3.org/2001/XMLSchema#"


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How N-Triples are written.

    Attributes:
        rdf: how a fact is spoken of: ``star`` (a quoted triple), ``rdf12`` (``rdf:reifies`` a
            triple term) or ``reification`` (an ``rdf:Statement``).
        base_iri: what labels that are no IRIs are put under.

    Raises:
        ConfigError: another form, or the base is no absolute IRI that something can follow.
    """

    rdf: RdfForm = "star"
    base_iri: str = DEFAULT_BASE

    def __post_init__(self) -> None:
        """Check both."""
        if self.rdf not in get_args(RdfForm):
            raise ConfigError(f"rdf = {self.rdf!r}: expected one of {', '.join(get_args(RdfForm))}")
        if not _IRI.fullmatch(self.base_iri) or self.base_iri[-1] not in "/#:":
            raise ConfigError(
                f"base IRI {self.base_iri!r}: expected an absolute one that ends with /, # or :, "
                f"as https://example.org/ or {DEFAULT_BASE}"
            )


def choose_format(path: Path) -> str:
    """The format of a file by its ending.

    Raises:
        ConfigError: none of ours.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        found = f"ending {ending!r}" if ending else "no ending"
        raise ConfigError(
            f"{path}: {found}; new facts are written as {', '.join(FORMATS)}, by the ending"
        )
    return ending


def require_format(ending: str) -> None:
    """Check that what a format needs is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if ending == ".parquet":
        try:
            import polars  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("polars", "data", "writing Parquet") from error


def write_facts(path: Path, ending: str, blocks: Iterable[FactRows], options: FileOptions) -> None:
    """Write blocks of facts into a file of one of the formats, each as it comes.

    Raises:
        OSError: the disk refused; the file is incomplete.
    """
    if ending == ".parquet":
        _write_parquet(path, blocks)
        return
    encode: Callable[[FactRows], Iterator[str]] = {
        ".csv": _encode_csv,
        ".jsonl": _encode_json,
        ".nt": lambda rows: _encode_triples(rows, options),
    }[ending]
    with path.open("wb") as file:
        if ending == ".csv":
            file.write((",".join(COLUMNS) + "\n").encode())
        for rows in blocks:
            for text in encode(rows):
                _write_text(file, text)


def _write_text(file: BinaryIO, text: str) -> None:
    # A label with half a surrogate pair has no UTF-8; \udc80 is how JSON writes it, too.
    file.write(text.encode("utf-8", "backslashreplace"))


def _encode_csv(rows: FactRows) -> Iterator[str]:
    text = io.StringIO()
    columns = [
        [_disarm(value) for value in rows[name]] if name in _TEXTS else rows[name]
        for name in COLUMNS
    ]
    # A carriage return within a cell ends a line for readers, but is no reason to quote for the
    # writer, whose lines end otherwise.
    unusual = any("\r" in value for name in _TEXTS for value in rows[name])
    writer = csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if unusual else csv.QUOTE_MINIMAL
    )
    writer.writerows(zip(*columns, strict=True))
    yield text.getvalue()


def _disarm(text: str) -> str:
    """Keep a spreadsheet from running a text as a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def _encode_json(rows: FactRows) -> Iterator[str]:
    for values in zip(*(rows[name] for name in COLUMNS), strict=True):
        record = dict(zip(COLUMNS, values, strict=True))
        yield json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _encode_triples(rows: FactRows, options: FileOptions) -> Iterator[str]:
    said = {
        name: f"<{DEFAULT_BASE}{name}>" for name in ("probability", "score")
    }  # a vocabulary of our own, wherever the labels are put
    parts = zip(*(rows[n] for n in ("rank", "head", "relation", "tail")), strict=True)
    values = zip(*(rows[name] for name in said), strict=True)
    for (rank, head, relation, tail), numbers in zip(parts, values, strict=True):
        triple = (
            to_iri(head, "entity", options.base_iri),
            to_iri(relation, "relation", options.base_iri),
            to_iri(tail, "entity", options.base_iri),
        )
        subject = f"_:fact{rank}"
        if options.rdf == "star":
            subject = f"<< {' '.join(triple)} >>"
        elif options.rdf == "rdf12":
            yield f"{subject} <{_RDF}reifies> <<( {' '.join(triple)} )>> .\n"
        else:
            yield f"{subject} <{_RDF}type> <{_RDF}Statement> .\n"
            for role, term in zip(("subject", "predicate", "object"), triple, strict=True):
                yield f"{subject} <{_RDF}{role}> {term} .\n"
        for name, number in zip(said.values(), numbers, strict=True):
            if number is not None:
                yield f'{subject} {name} "{number!r}"^^<{_XSD}double> .\n'


def to_iri(label: str, kind: Literal["entity", "relation"], base: str = DEFAULT_BASE) -> str:
    """A label in angle brackets: as it is if it is an IRI, else encoded under ``base``."""
    if _IRI.fullmatch(label):
        return f"<{label}>"
    return f"<{base}{kind}/{quote(label, safe='', errors='surrogatepass')}>"


def _write_parquet(path: Path, blocks: Iterable[FactRows]) -> None:
    """Blocks become files beside ``path`` first, which polars then streams into one."""
    import polars

    schema = {
        name: polars.String
        if name in _TEXTS
        else polars.Int64
        if name == "rank"
        else polars.Float64
        for name in COLUMNS
    }
    parts: list[Path] = []
    try:
        for number, rows in enumerate(blocks):
            part = path.with_name(f"{path.name}.{number}")
            columns = {n: _clean(rows[n]) if n in _TEXTS else rows[n] for n in COLUMNS}
            polars.DataFrame(columns, schema=schema).write_parquet(part)
            parts.append(part)
        if parts:
            polars.scan_parquet(parts, glob=False).sink_parquet(path, maintain_order=True)
        else:
            polars.DataFrame(schema=schema).write_parquet(path)
    except polars.exceptions.PolarsError as error:
        raise OSError(str(error).partition("\n")[0]) from error
    for part in parts:
        part.unlink()


def _clean(texts: Sequence[str]) -> list[str]:
    """As ``_write_text``: Parquet has UTF-8 only."""
    return [text.encode("utf-8", "backslashreplace").decode() for text in texts]
