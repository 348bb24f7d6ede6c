"""Tables (CSV, TSV and their kin) to columns of texts, with the line of every row.

Lines are split by one vectorised pass, or where fields are quoted (RFC 4180) by the module csv,
which takes twice as long. Every row keeps its line number, so that what is wrong with it can be
reported with its place.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from momok.errors import FormatError
from momok.graph.sources.compressed import read_content
from momok.graph.sources.raw import TableOptions
from momok.graph.text_files import FindingLog, split_lines

LINE = " line"  # the column of line numbers: names of columns have no blanks around them
LINE_TEXT = "text"  # and that of what stands there
BLANKS = " "  # as a delimiter: one or several
_BOM = b"\xef\xbb\xbf"
_SAMPLE_LINES, _SAMPLE_WIDTH = 200, 1 << 12  # characters of lines that tell the delimiter
_DELIMITERS = ("\t", ",", ";", "|")  # in the order of preference; blanks where none fits
_DELIMITER_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", BLANKS: "blanks"}
_LONGEST_FIELD = 1 << 24  # characters, where fields are quoted
_QUOTED_SHARE = 0.9  # of the first lines that have a field in single quotes, which then are quotes
_NEEDED_SHARE = 0.5  # of the lines that must have the usual number of columns


@dataclass(frozen=True)
class Rows:
    """The well-formed rows of a table.

    Attributes:
        frame: columns ``0`` to ``width - 1`` of texts, and ``line``, from 1.
        names: of the columns; None where the first row may name them.
        form: what the file is, for people.
    """

    frame: pl.DataFrame
    names: list[str] | None
    form: str


class _Dialect(NamedTuple):
    """How quoted fields are written, and how many columns there are."""

    delimiter: str
    quote: str
    width: int

    def read(self, lines: Iterable[str]) -> Any:  # the type of csv's readers has no name
        escape = "\\" if self.quote == "'" else None
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, escapechar=escape, strict=True
        )

    def part(self, lines: Sequence[str]) -> tuple[list[list[str]], bool]:
        """Split each line of a record by itself, and tell whether they are rows and no record.

        That is so if most of them, the first and the last have the right number of columns.
        """
        rows = []
        for line in lines:
            text = line.rstrip("\n")
            try:
                row = next(self.read([text]))
            except csv.Error:
                row = []
            rows.append(row if len(row) == self.width else text.split(self.delimiter))
        good = [len(row) == self.width for row in rows]
        return rows, good[0] and good[-1] and sum(good) >= len(good) / 2


def read_text_table(path: Path, log: FindingLog, options: TableOptions, *, least: int) -> Rows:
    """Read a text table, whose cells are no nulls; its header, if it has one, is the first row.

    Args:
        log: told of lines that have another number of columns than most, and of quotes that are
            closed lines later, over lines that are rows by themselves.
        least: how many columns are needed.

    Raises:
        FormatError: it is empty, no text in the encoding, or has too few columns; a quote is never
            closed; most lines have another number of columns; or reading is strict and one has, or
            a quote swallows lines.
    """
    lines = read_text_lines(path, options.encoding)
    if options.quotes is not False:
        lines = lines.with_columns(_straighten_quotes(lines[LINE_TEXT]))
    sample = lines[LINE_TEXT].head(_SAMPLE_LINES).str.head(_SAMPLE_WIDTH).to_list()
    place = f"{path}:{lines[LINE][0]}"
    quote = '"' if options.quotes is False else _find_quote(sample)
    delimiter, width = _find_delimiter(sample, options.delimiter, least, place, quote)
    is_quoted = _are_quoted(lines[LINE_TEXT], delimiter, options.quotes, quote)
    if is_quoted:
        frame = _split_quoted(
            lines, path, _Dialect(delimiter, quote, width), None if options.quotes else log
        )
    else:
        frame = _split_plain(lines, delimiter, width)
    frame = _complete_header(frame)
    form = f"columns separated by {_DELIMITER_NAMES.get(delimiter, repr(delimiter))}"
    form += ", quotes around fields taken off" * is_quoted
    return Rows(_drop_malformed(frame, path, delimiter, log), None, form)


def read_text_lines(path: Path, encoding: str | None = None) -> pl.DataFrame:
    """Read the lines that are not blank: columns ``line``, the number from 1, and ``text``."""
    content = read_text_content(path, encoding)
    if not content.strip():
        raise FormatError(f"{path}: is empty")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FormatError(f"{path}:1: is UTF-16; save the file as UTF-8, or give --encoding utf-16")
    if b"\0" in content[:4096]:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise FormatError(f"{path}:{line}: byte 0x00: this is no text; expected UTF-8")
    if b"\r" in content[:4096] and b"\n" not in content:
        raise FormatError(
            f"{path}:1: lines end with carriage returns alone; save the file with line feeds"
        )
    try:
        lines = split_lines(content, path).rename({"line": LINE, "text": LINE_TEXT})
    except FormatError as error:
        raise FormatError(f"{error}, or name its encoding, as in --encoding cp1252") from None
    lines = lines.filter(pl.col(LINE_TEXT).str.contains(r"[^ \t\r]"))
    if not len(lines):
        raise FormatError(f"{path}: holds nothing but blank lines")
    return lines


def read_text_content(path: Path, encoding: str | None = None) -> bytes:
    """Read a text, which is in UTF-8 or the encoding given, as UTF-8 without byte order mark."""
    content = read_content(path)
    if encoding is not None:
        try:
            content = content.decode(encoding).encode()
        except UnicodeError as error:
            raise FormatError(f"{path}: is no text in {encoding}: {error}") from None
    return content.removeprefix(_BOM)


def _straighten_quotes(text: pl.Series) -> pl.Series:
    """Write typographic quotes as straight ones, if nearly all lines have a field in them."""
    begin, end = "[\u201c\u201d\u201e\u00ab\u00bb]", "[\u201c\u201d\u00ab\u00bb]"  # “ ” „ « »
    before, after = r"(^|[\t,;|])", r"([\t,;|\r]|$)"
    first = text.head(_SAMPLE_LINES)
    if first.str.contains(f"{before}{begin}[^\t]*{end}{after}").mean() < _QUOTED_SHARE:  # type: ignore[operator]
        return text
    return text.str.replace_all(before + begin, '${1}"').str.replace_all(end + after, '"${1}')


def _find_quote(sample: Sequence[str]) -> str:
    """Tell whether fields stand in single quotes: most of the first lines have one that does."""
    field = r"(?:^|[\t,;|])'(?:[^'\\]|''|\\.)*'(?=[\t,;|\r]|$)"
    count = sum(re.search(field, line) is not None for line in sample)
    return "'" if count >= _QUOTED_SHARE * len(sample) else '"'


def _find_delimiter(
    sample: Sequence[str], given: str | None, least: int, place: str, quote: str
) -> tuple[str, int]:
    """Find the delimiter and the number of columns by the first lines.

    Of the delimiters that give at least the columns needed, the one that gives the same number on
    most lines wins; blanks are tried only when no other fits.
    """
    if given is not None:
        width, _ = _measure_width(sample, given, quote)
        if width >= least:
            return given, width
        raise FormatError(
            f"{place}: {given!r} separates it into {width} columns, at least {least} are needed: "
            f"{sample[0][:120]!r}"
        )
    best, most = None, 0.0
    for delimiter in _DELIMITERS:
        width, share = _measure_width(sample, delimiter, quote)
        if width >= least and share > most:
            best, most = (delimiter, width), share
    if best is not None and most >= _NEEDED_SHARE:
        return best
    width, share = _measure_width(sample, BLANKS, quote)
    if width == least and share >= _NEEDED_SHARE:
        return BLANKS, width
    raise FormatError(
        f"{place}: neither tabs, commas, semicolons, bars nor blanks separate it into "
        f"{least} columns or more: {sample[0][:120]!r}; give --delimiter"
        + ", or --relation TEXT for pairs of entities that all have the same"
        * (least == 3)
    )


def _measure_width(sample: Sequence[str], delimiter: str, quote: str) -> tuple[int, float]:
    """Find the most frequent number of columns, and the share of the lines that have it.

    Quoted fields, which may hold delimiters and line breaks, are counted as blank.
    """
    if delimiter == BLANKS:
        widths = [len(line.removesuffix(" .").split()) for line in sample]
    else:
        edge = re.escape(delimiter)
        # Possessive: hostile text costs no backtracking.
        quoted = rf"(?<![^{edge}\n]){quote}(?:[^{quote}]|{quote * 2})*+{quote}(?=[{edge}\r\n]|$)"
        lines = re.sub(quoted, "", "\n".join(sample)).split("\n")
        widths = [line.count(delimiter) + 1 for line in lines]
    width, count = max(Counter(widths).items(), key=lambda item: (item[1], item[0]))
    return width, count / len(widths)


def _are_quoted(text: pl.Series, delimiter: str, given: bool | None, quote: str) -> bool:
    """Tell whether quotes stand around fields.

    Tab separated files often hold quotes that mean themselves (``12" single``): there all fields
    that begin with a quote must be quoted well.
    """
    if delimiter == BLANKS or given is False:
        return False
    if quote == "'":
        return True
    edge = re.escape(delimiter)
    suspects = text.filter(text.str.contains(f'(?:^|{edge})"'))
    if given or delimiter != "\t" or not len(suspects):
        return len(suspects) > 0
    field = f'(?:"(?:[^"]|"")*"|[^"\\n{edge}][^\\n{edge}]*|)'
    return bool(suspects.str.contains(f"^{field}(?:{edge}{field})*$").all())


def _split_plain(lines: pl.DataFrame, delimiter: str, width: int) -> pl.DataFrame:
    """Split lines to columns ``0`` to ``width``; the last is null unless there are too many."""
    text = lines[LINE_TEXT]
    if delimiter == BLANKS:
        # One blank between columns, and no dot at the end, which many published files have.
        even = text.str.strip_chars(" \t\r").str.replace_all(r"[ \t]+", " ")
        text = even.str.strip_suffix(" .")
    fields = text.str.split_exact(delimiter, width).struct.unnest()
    fields.columns = list(map(str, range(width + 1)))
    return fields.with_columns(lines[LINE])


def _split_quoted(
    lines: pl.DataFrame, path: Path, dialect: _Dialect, log: FindingLog | None
) -> pl.DataFrame:
    """Split records with quoted fields to the same columns; what is malformed has nulls alone.

    Without a log every quote is taken for one.
    """
    csv.field_size_limit(_LONGEST_FIELD)  # csv's own limit is for the whole process, too
    numbers, rows = lines[LINE].to_list(), []
    # Carriage returns within lines, which csv takes for line ends, become blanks.
    texts = [text.rstrip("\r").replace("\r", " ") + "\n" for text in lines[LINE_TEXT]]
    swallowed: list[str] = []
    reader = dialect.read(texts)
    while (start := reader.line_num) < len(numbers):
        try:
            fields = next(reader)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise FormatError(
                    f"{path}:{numbers[start]}: a quote is opened here and never closed; close it, "
                    f"or say --no-quotes where quotes mean themselves"
                ) from None
            fields = []
        end = reader.line_num
        records, are_rows = [fields], False
        if end > start + 1 and log is not None:
            alone, are_rows = dialect.part(texts[start:end])
            records = alone if are_rows or not fields else records
        if are_rows:
            here, there = numbers[start], numbers[end - 1]
            swallowed.append(
                f"{path.name}:{here}: quote opened at line {here} closes at {there}: "
                f"{there - here} lines in one field"
            )
        for number, record in zip(numbers[start:end], records, strict=False):
            padding = [None] * (dialect.width + 1 - len(record))
            rows.append((*record[: dialect.width + 1], *padding, number))
    message = (
        f"quotes of {path.name} are closed lines later, over lines that are rows; read as rows"
    )
    if log is not None:
        log.reject("stray-quote", message, swallowed, len(swallowed))
    columns = dict.fromkeys(map(str, range(dialect.width + 1)), pl.String)
    return pl.DataFrame(rows, schema=columns | {LINE: lines.schema[LINE]}, orient="row")


def _complete_header(frame: pl.DataFrame) -> pl.DataFrame:
    """Give the column of row numbers its place in a header that leaves it out, as R writes it."""
    *columns, _ = (name for name in frame.columns if name != LINE)
    header, rest = frame[0, columns].row(0), frame[1:, columns]
    is_short = header[-1] is None and None not in header[:-1]
    if not is_short or not len(rest) or rest[0, columns[-1]] is None:
        return frame
    numbers = rest[columns[0]].drop_nulls()
    if not numbers.str.contains(r"^\d+$").all() or not numbers.is_unique().all():
        return frame
    moved = {name: pl.lit(cell) for name, cell in zip(columns, ("", *header[:-1]), strict=True)}
    return pl.concat([frame[:1].with_columns(**moved), frame[1:]])


def _drop_malformed(
    frame: pl.DataFrame, path: Path, delimiter: str, log: FindingLog
) -> pl.DataFrame:
    *columns, extra = (name for name in frame.columns if name != LINE)
    is_good = pl.col(columns[-1]).is_not_null() & pl.col(extra).is_null()
    bad = frame.filter(~is_good)
    if len(bad):
        places = []
        for line, *fields in bad.head(5).select(LINE, *columns, extra).rows():
            found = [field for field in fields if field is not None]
            count = "more" if len(found) > len(columns) else len(found)
            shown = f"{count}: {' | '.join(found)[:120]!r}"
            places.append(
                f"{path.name}:{line}: expected {len(columns)} columns, found "
                f"{shown if found else 'a quote in the middle of a field'}"
            )
        if len(bad) > (1 - _NEEDED_SHARE) * len(frame):
            raise FormatError(
                f"{path.parent / places[0]}; {len(bad):,} of {len(frame):,} lines are like it: "
                f"is the delimiter {delimiter!r} right? give --delimiter"
            )
        message = f"lines of {path.name} are malformed and left out"
        log.reject("malformed", message, places, len(bad))
        frame = frame.filter(is_good)
    return frame.drop(extra)
