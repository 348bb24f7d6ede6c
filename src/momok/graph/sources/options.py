"""What a user may say about tables of facts, where guessing is not enough."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TableOptions"]


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How to read tables of facts; what is None is found in the file.

    Attributes:
        columns: the columns of head, relation and tail, by the names in the header or by position
            from 1.
        delimiter: what separates columns, one character.
        header: whether the first line names the columns.
        quotes: whether quotes around a field are not part of it.
        strict: lines that cannot be used are errors.
    """

    columns: tuple[str, str, str] | None = None
    delimiter: str | None = None
    header: bool | None = None
    quotes: bool | None = None
    strict: bool = False
