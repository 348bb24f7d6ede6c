"""Tables that are no text tables: Parquet, Arrow and JSON, and tuples as Python prints them.

Files that are easily taken for tables and are none are refused by name.
"""

from __future__ import annotations

import ast
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import polars as pl

from momok.errors import FormatError, first_line
from momok.graph.sources.compressed import (
    is_container,
    list_members,
    name_content,
    open_source,
    read_content,
)
from momok.graph.sources.raw import TableOptions
from momok.graph.sources.text_tables import LINE, Rows, read_text_content, read_text_table
from momok.graph.text_files import FindingLog, decode_text

_BOM = b"\xef\xbb\xbf"
_START = 1 << 12  # bytes that tell JSON
_PARQUET, _ARROW = (".parquet", ".pq"), (".arrow", ".feather", ".ipc")
_BEGINNING = re.compile(rb"\s*[\[({]\s*[\[({\"']")
_LINE_END = re.compile(rb"(^\s*[\[{(]|[\[\](){}],?)\s*$")
_JSON_LD = re.compile(rb'"@(context|id|graph|type|value)"')


_AS_CSV = "save it as CSV in UTF-8"
_PARTS_OF_ARCHIVES = (
    ("xl/", f"an Excel workbook; {_AS_CSV}, a sheet a file"),
    ("word/", f"a Word document; {_AS_CSV}"),
    ("content.xml", f"an OpenDocument file; {_AS_CSV}, a sheet a file"),
)
_TERMS = r"[\[({][^\[\](){}\t\"']*,[^\[\](){}\t\"']*[\])}]|\w+\([^()\t]*,[^()\t]*\)"
_BEGINNINGS = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        (rb"\xd0\xcf\x11\xe0", f"an Excel workbook of the old kind; {_AS_CSV}"),
        (rb"SQLite format 3\0", f"an SQLite database; {_AS_CSV}, a table a file"),
        (rb"\x80[\x02-\x05]", f"a pickle of Python, which may run anything; {_AS_CSV}"),
        (rb"\x93NUMPY", f"an array of NumPy; {_AS_CSV}"),
        (rb"\x89HDF", f"an HDF5 file; {_AS_CSV}"),
        (rb"%PDF", f"a PDF; {_AS_CSV}"),
        (rb"\s*<(!doctype\s+)?html", f"a page of HTML; {_AS_CSV}"),
        (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(graphml|gexf)\b", f"GraphML or GEXF; {_AS_CSV}"),
        (rb"\s*<\?xml", f"XML; {_AS_CSV}, or as RDF with the suffix .rdf"),
        (rb"\s*(creator\b.*\s+)?graph\s*\[", f"GML; {_AS_CSV}"),
        (rb"\s*(strict\s+)?(di)?graph\b[^{\n]*\{", f"a graph of Graphviz; {_AS_CSV}"),
        (rb"\s*\*vertices\b", f"a Pajek network; {_AS_CSV}"),
        (
            rb"\s*(insert\s+into|create\s+(table|\()|merge\s*\()",
            f"a script for a database; {_AS_CSV}",
        ),
        (rb"[^\n]*\|[^\n]*\n[ |]*:?--[ :|-]*\|[ :|-]*\n", f"a table in Markdown; {_AS_CSV}"),
        (rb"\s*(---\s*\n)?(\s*- +[\[{][^\n]*[\]}]\s*(\n|$)){2,}", f"YAML; {_AS_CSV}, or as JSON"),
        (rb"\s*@?prefix\s+\w*:\s*<", "Turtle or SPARQL; give Turtle the suffix .ttl"),
        (
            rf"(\s*({_TERMS})\s*[.,;]*\s*(\n|$)){{3,}}".encode(),
            "a list of terms in brackets; write them without, or quoted as JSON",
        ),
    )
)


def read_rows(path: Path, log: FindingLog, options: TableOptions, *, least: int) -> Rows:
    """Read Parquet, Arrow, JSON, lines of JSON or a text table (see ``read_text_table``).

    Cells may be null, but for those of a text table.

    Raises:
        FormatError: it is corrupt, has no row or too few columns, or holds lists and other things
            that are no text; or it is of a format that is easily taken for a table.
    """
    refuse_other_formats(path)
    suffix = Path(name_content(path)).suffix.lower()
    if suffix in (*_PARQUET, *_ARROW):
        frame = _read_binary(path, is_parquet=suffix in _PARQUET)
        names, form = list(frame.columns), "Parquet" if suffix in _PARQUET else "Arrow"
        frame.columns = list(map(str, range(len(names))))
        return Rows(frame.with_row_index(LINE, offset=1), names, form)
    return (
        _read_json(path, options.encoding)
        if is_json_table(path, options.encoding)
        else read_text_table(path, log, options, least=least)
    )


def is_json_table(path: Path, encoding: str | None = None) -> bool:
    """Tell JSON, or tuples of Python, by the first bytes of a file; JSON-LD is RDF and no table."""
    with open_source(path) as file:
        start = file.peek(_START)[:_START]
    if encoding is not None:
        start = start.decode(encoding, "ignore").encode()
    start = start.removeprefix(_BOM)
    first = start.lstrip().partition(b"\n")[0]
    is_json = _BEGINNING.match(start) and (len(start) == _START or _LINE_END.search(first))
    return bool(is_json and b"\t" not in first and not _JSON_LD.search(start))


def _read_binary(path: Path, *, is_parquet: bool) -> pl.DataFrame:
    """Read Parquet or Arrow; every column becomes texts, which may be null."""
    content, kind = read_content(path), "Parquet" if is_parquet else "Arrow"
    if is_parquet and not (content.startswith(b"PAR1") and content.endswith(b"PAR1")):
        raise FormatError(f"{path}: is no Parquet file, or was cut short")
    try:
        read = pl.read_parquet if is_parquet else pl.read_ipc
        frame = read(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise FormatError(f"{path}: is a corrupt {kind} file: {first_line(error)}") from None
    if not len(frame):
        raise FormatError(f"{path}: has columns and no row")
    for name, dtype in frame.schema.items():
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Duration):
            raise FormatError(
                f"{path}: the column {name!r} holds {dtype}; expected texts or numbers"
            )
    return frame.cast(pl.String)


def _read_json(path: Path, encoding: str | None) -> Rows:
    """Read a list of objects or lists, or one of them a line."""
    text = decode_text(read_text_content(path, encoding), path)
    whole = _parse(text)
    parts = whole.items() if isinstance(whole, dict) else ()
    lists = [repr(name) for name, value in parts if isinstance(value, list | dict)]
    if lists:
        raise FormatError(
            f"{path}: is one JSON object, which holds {', '.join(lists)[:120]}; expected a list of "
            f"facts, or a fact a line"
        )
    if isinstance(whole, list | tuple) and all(
        isinstance(row, dict | list | tuple) for row in whole
    ):
        rows = list(enumerate(whole, 1))
    else:
        lines = enumerate(text.split("\n"), 1)
        rows = [(n, _parse(line.rstrip(" \r,"))) for n, line in lines if line.strip(" \r,")]
        bad = next((n for n, row in rows if not isinstance(row, dict | list | tuple)), None)
        if bad is not None:
            raise FormatError(
                f"{path}:{bad}: is JSON in its beginning; expected a list of facts, or one a line, "
                f'as in {{"head": "a", "relation": "r", "tail": "b"}} or ["a", "r", "b"]'
            )
    if not rows:
        raise FormatError(f"{path}: has no row")
    named = isinstance(rows[0][1], dict)
    names = list(dict.fromkeys(key for _, row in rows if isinstance(row, dict) for key in row))
    width = len(names) if named else len(rows[0][1])
    cells = []
    for number, row in rows:
        values = [row.get(name) for name in names] if isinstance(row, dict) else list(row)
        odd = next((value for value in values if isinstance(value, dict | list | tuple)), None)
        if odd is not None or isinstance(row, dict) != named or len(values) != width:
            raise FormatError(
                f"{path}:{number}: expected {width} texts or numbers as in the first, found "
                f"{str(row)[:120]!r}"
            )
        cells.append((number, *(None if value is None else str(value) for value in values)))
    schema = {LINE: pl.Int64, **{str(i): pl.String for i in range(width)}}
    frame = pl.DataFrame(cells, schema=schema, orient="row")
    return Rows(frame, names if named else None, "JSON")


def _parse(text: str) -> Any:
    """Parse JSON, numbers as they are written, or a literal of Python; None if it is neither."""
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def refuse_other_formats(path: Path) -> None:
    """Refuse a file by its first bytes if it is of a kind that is easily taken for a table.

    Raises:
        FormatError: it is.
    """
    if is_container(path):
        members = list_members(path)
        for part, what in _PARTS_OF_ARCHIVES:
            if any(member.startswith(part) for member in members):
                raise FormatError(f"{path}: is {what}")
        return
    with open_source(path) as file:
        start = file.peek(1 << 12)[: 1 << 12].removeprefix(b"\xef\xbb\xbf")
    for beginning, what in _BEGINNINGS:
        if beginning.match(start):
            raise FormatError(f"{path}: is {what}")
