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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars

from momok.errors import ConfigError
from momok.graph.iris import DEFAULT_BASE, check_base, make_iri

SCHEMA = polars.Schema(
    {
        "rank": polars.Int64(),
        **dict.fromkeys(
            ("relation", "relation_name", "head", "head_name", "tail", "tail_name"),
            polars.String(),
        ),
        **dict.fromkeys(("probability", "score", "tail_answer", "head_answer"), polars.Float64()),
    }
)
FORMATS = (".parquet", ".csv", ".jsonl", ".nt")

RdfForm = Literal["star", "rdf12", "reification"]

FORMULA = r"^[=+\-@\t\r']"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD = "http://www.w3.org/2001/XMLSchema#"


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
        if self.rdf not in get_args(RdfForm):
            raise ConfigError(f"rdf = {self.rdf!r}: expected one of {', '.join(get_args(RdfForm))}")
        check_base(self.base_iri)


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


def write_facts(
    path: Path, ending: str, blocks: Iterable[polars.DataFrame], options: FileOptions
) -> None:
    """Write blocks of facts into a file of one of the formats, each as it comes.

    Raises:
        OSError: the disk refused; the file is incomplete.
    """
    try:
        if ending == ".parquet":
            _write_parquet(path, blocks)
            return
        with path.open("wb") as file:
            if ending == ".csv":
                SCHEMA.to_frame().write_csv(file)  # the names of the columns
            for block in blocks:
                if ending == ".csv":
                    disarm_formulas(block).write_csv(file, include_header=False)
                elif ending == ".jsonl":
                    block.write_ndjson(file)
                else:
                    file.writelines(line.encode() for line in _encode_triples(block, options))
    except polars.exceptions.PolarsError as error:
        raise OSError(str(error).partition("\n")[0]) from error


def disarm_formulas(frame: polars.DataFrame) -> polars.DataFrame:
    """Put an apostrophe before texts that spreadsheets would run."""
    return frame.with_columns(polars.col(polars.String).str.replace(FORMULA, "'$0"))


def _write_parquet(path: Path, blocks: Iterable[polars.DataFrame]) -> None:
    """Blocks become files beside ``path`` first, which polars then streams into one."""
    parts: list[Path] = []
    for number, block in enumerate(blocks):
        parts.append(path.with_name(f"{path.name}.{number}"))
        block.write_parquet(parts[-1])
    if parts:
        polars.scan_parquet(parts, glob=False).sink_parquet(path, maintain_order=True)
    else:
        SCHEMA.to_frame().write_parquet(path)
    for part in parts:
        part.unlink()


def _encode_triples(block: polars.DataFrame, options: FileOptions) -> Iterator[str]:
    # A vocabulary of our own, wherever the labels are put.
    names = {name: f"<{DEFAULT_BASE}{name}>" for name in ("probability", "score")}
    for rank, head, relation, tail, *numbers in block.select(
        "rank", "head", "relation", "tail", *names
    ).iter_rows():
        triple = (
            f"<{make_iri(head, 'entity', options.base_iri)}>",
            f"<{make_iri(relation, 'relation', options.base_iri)}>",
            f"<{make_iri(tail, 'entity', options.base_iri)}>",
        )
        subject = f"_:fact{rank}"
        if options.rdf == "star":
            subject = f"<< {' '.join(triple)} >>"
        elif options.rdf == "rdf12":
            yield f"{subject} <{RDF}reifies> <<( {' '.join(triple)} )>> .\n"
        else:
            yield f"{subject} <{RDF}type> <{RDF}Statement> .\n"
            for role, term in zip(("subject", "predicate", "object"), triple, strict=True):
                yield f"{subject} <{RDF}{role}> {term} .\n"
        for name, number in zip(names.values(), numbers, strict=True):
            if number is not None:
                yield f'{subject} {name} "{number!r}"^^<{XSD}double> .\n'
