"""Text tables (CSV, TSV and their kin) to columns, with the line of every row.

Lines are split by one vectorised pass, in which quoted fields (RFC 4180) take a second, slower
one. Every row keeps its line number, so that what is wrong with it can be said with its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from momok.errors import FormatError
from momok.graph.findings import FindingLog
from momok.graph.sources.compressed import read_content
from momok.graph.sources.dialect import (
    BLANKS,
    Dialect,
    guess_delimiter,
    measure_width,
    take_sample,
)

LINE = "line"  # the column of line numbers
LINE_TEXT = "text"  # and that of what stands there
_BOM = b"\xef\xbb\xbf"
_TOLERATED = 0.5  # of the lines may be malformed; with more, the delimiter is wrong


@dataclass(frozen=True)
class TextTable:
    """The well-formed rows of a text table.

    Attributes:
        frame: columns ``0`` to ``width - 1`` of texts without nulls, and ``line``, from 1.
        dialect: how it is written.
    """

    frame: pl.DataFrame
    dialect: Dialect


def read_text_table(
    path: Path,
    log: FindingLog,
    *,
    least: int,
    delimiter: str | None = None,
    quotes: bool | None = None,
) -> TextTable:
    """Read a text table; its header, if it has one, is the first row.

    Args:
        path: the file, plain or compressed, in UTF-8.
        log: told of lines that have another number of columns than most.
        least: how many columns are needed.
        delimiter: what separates columns; guessed where it is None.
        quotes: whether quotes around fields are taken off; guessed where it is None.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is empty, no text in UTF-8, or has too few columns; a quote is never
            closed; most lines have another number of columns; or reading is strict and one has.
    """
    lines = read_text_lines(path)
    sample = take_sample(lines[LINE_TEXT])
    place = f"{path}:{lines[LINE][0]}"
    if delimiter is None:
        delimiter, width = guess_delimiter(sample, least, place)
    else:
        width, _ = measure_width(sample, delimiter)
        if width < least:
            raise FormatError(
                f"{place}: {delimiter!r} separates it into {width} columns, at least {least} are "
                f"needed: {sample[0][:120]!r}"
            )
    if quotes is not False:
        quotes = _is_quoted(lines[LINE_TEXT], delimiter, quotes)
    dialect = Dialect(delimiter, width, quotes)
    frame = _split(_join_records(lines, path, delimiter) if quotes else lines, dialect)
    return TextTable(_drop_malformed(frame, path, dialect, log), dialect)


def read_text_lines(path: Path) -> pl.DataFrame:
    """Read the lines that are not blank: columns ``line``, the number from 1, and ``text``.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is empty or no text in UTF-8.
    """
    content = read_content(path)
    _check_text(content, path)
    try:
        text = pl.read_lines(content.removeprefix(_BOM), name=LINE_TEXT)[LINE_TEXT]
    except pl.exceptions.PolarsError:
        raise FormatError(_say_not_utf8(content, path)) from None
    del content
    lines = pl.DataFrame({LINE_TEXT: text}).with_row_index(LINE, offset=1)
    lines = lines.filter(pl.col(LINE_TEXT).str.contains(r"[^ \t\r]"))
    if not len(lines):
        raise FormatError(f"{path}: holds nothing but blank lines")
    return lines


def _check_text(content: bytes, path: Path) -> None:
    if not content.strip():
        raise FormatError(f"{path}: is empty")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FormatError(f"{path}:1: is UTF-16; save the file as UTF-8")
    if b"\0" in content[:4096]:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise FormatError(f"{path}:{line}: byte 0x00: this is no text; expected UTF-8")
    if b"\r" in content[:4096] and b"\n" not in content:
        raise FormatError(
            f"{path}:1: lines end with carriage returns alone; save the file with line feeds"
        )


def _say_not_utf8(content: bytes, path: Path) -> str:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        return f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
    return f"{path}: cannot be read as lines of text"


def _is_quoted(text: pl.Series, delimiter: str, given: bool | None) -> bool:
    """Tell whether quotes stand around fields.

    Tab separated files often hold quotes that mean themselves (``12" single``): there all fields
    that begin with a quote must be quoted well.
    """
    if delimiter == BLANKS:
        return False
    with_quotes = text.filter(text.str.contains(f'(?:^|{re.escape(delimiter)})"'))
    if given or not len(with_quotes) or delimiter != "\t":
        return bool(len(with_quotes))
    field = _field_pattern(delimiter)
    return bool(with_quotes.str.contains(f"^{field}(?:{delimiter}{field})*$").all())


def _field_pattern(delimiter: str) -> str:
    bare = f'[^"\\n{re.escape(delimiter)}][^\\n{re.escape(delimiter)}]*'
    return f'(?:"(?:[^"]|"")*"|{bare}|)'


def _join_records(lines: pl.DataFrame, path: Path, delimiter: str) -> pl.DataFrame:
    """Join the lines over which a quoted field goes on; the number is that of the first."""
    text, edge = pl.col(LINE_TEXT), re.escape(delimiter)
    odd = text.str.count_matches('"', literal=True) % 2 == 1
    # A lone quote inside a field (12" single) opens and closes nothing.
    opens = text.str.contains(f'(?:^|{edge})"(?:[^"]|"")*$')
    closes = text.str.contains(f'^(?:[^"]|"")*"(?:{edge}|$)')
    turns = (odd & (opens | closes)).cum_sum()
    record = (turns.shift(1, fill_value=0) % 2 == 0).cum_sum()
    lines = lines.with_columns(record=record, turns=turns)
    if lines["turns"][-1] % 2:
        start = lines.filter(pl.col("record") == pl.col("record").last())[LINE][0]
        raise FormatError(
            f"{path}:{start}: a quote is opened here and never closed; close it, or say "
            f"--no-quotes where quotes mean themselves"
        )
    if lines["record"][-1] == len(lines):
        return lines.select(LINE, LINE_TEXT)
    return lines.group_by("record", maintain_order=True).agg(
        pl.col(LINE).first(), text.str.join("\n")
    )


def _split(lines: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    """Split lines to columns ``0`` to ``width``; the last is null unless there are too many."""
    text = lines[LINE_TEXT]
    if dialect.quotes:
        quoted = text.str.contains('"', literal=True)
        parts = [
            _split_plain(lines.filter(~quoted), dialect),
            _split_quoted(lines.filter(quoted), dialect),
        ]
        return pl.concat(parts).sort(LINE)
    if dialect.delimiter == BLANKS:
        # One blank between columns, and no dot at the end, which many published files have.
        even = text.str.strip_chars(" \t\r").str.replace_all(r"[ \t]+", " ")
        lines = lines.with_columns(even.str.strip_suffix(" .").alias(LINE_TEXT))
    return _split_plain(lines, dialect)


def _split_plain(lines: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    pieces = lines[LINE_TEXT].str.split_exact(dialect.delimiter, dialect.width).struct.unnest()
    return pieces.rename(dict(zip(pieces.columns, _columns(dialect), strict=True))).with_columns(
        lines[LINE]
    )


def _split_quoted(lines: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    edge = dialect.delimiter
    text = edge + lines[LINE_TEXT]
    pieces = text.str.extract_all(re.escape(edge) + _field_pattern(edge))
    # What the pattern leaves over (text behind a closing quote) makes the row malformed.
    covered = pieces.list.eval(pl.element().str.len_bytes()).list.sum() == text.str.len_bytes()
    columns = {}
    for position, name in enumerate(_columns(dialect)):
        field = pl.col("pieces").list.get(position, null_on_oob=True).str.slice(1)
        bare = field.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"')
        inside = pl.when(field.str.starts_with('"')).then(bare).otherwise(field)
        columns[name] = pl.when(pl.col("covered")).then(inside)
    frame = pl.DataFrame({"pieces": pieces, "covered": covered, LINE: lines[LINE]})
    return frame.select(**columns, line=pl.col(LINE))


def _columns(dialect: Dialect) -> list[str]:
    return [str(position) for position in range(dialect.width + 1)]


def _drop_malformed(
    frame: pl.DataFrame, path: Path, dialect: Dialect, log: FindingLog
) -> pl.DataFrame:
    last, extra = str(dialect.width - 1), str(dialect.width)
    good = pl.col(last).is_not_null() & pl.col(extra).is_null()
    bad = frame.filter(~good)
    if len(bad):
        places = [
            f"{path.name}:{line}: expected {dialect.width} columns, found {_say_found(row)}"
            for line, row in zip(
                bad[LINE].head(5).to_list(), bad.drop(LINE).head(5).rows(), strict=True
            )
        ]
        if len(bad) > _TOLERATED * len(frame):
            raise FormatError(
                f"{path.parent / places[0]}; {len(bad):,} of {len(frame):,} lines are like it: "
                f"is the delimiter {dialect.delimiter!r} right? give --delimiter"
            )
        log.reject(
            "malformed", f"lines of {path.name} are malformed and left out", places, len(bad)
        )
        frame = frame.filter(good)
    return frame.drop(extra)


def _say_found(row: tuple[str | None, ...]) -> str:
    fields = [field for field in row if field is not None]
    if not fields:
        return "a quote in the middle of a field"
    found = "more" if len(fields) == len(row) else str(len(fields))
    return f"{found}: {' | '.join(fields)[:120]!r}"
