"""Files that are easily taken for tables and are none: they are refused by name."""

from __future__ import annotations

import re
from pathlib import Path

from momok.errors import FormatError
from momok.graph.sources.compressed import is_container, list_members, open_source

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
        (rb"\s*@?prefix\s+\w*:\s*<", "Turtle or SPARQL; give Turtle the suffix .ttl"),
        (
            rf"(\s*({_TERMS})\s*[.,;]*\s*(\n|$)){{3,}}".encode(),
            "a list of terms in brackets; write them without, or quoted as JSON",
        ),
    )
)


def refuse_other_formats(path: Path) -> None:
    """Refuse a file by its first bytes if it is of a kind that is easily taken for a table.

    Raises:
        DataError: it is missing or cannot be read.
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
