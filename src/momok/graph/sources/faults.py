"""Statements that cannot be used: counted with their place, or errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from momok.errors import FormatError

_EXAMPLES = 5


@dataclass
class FaultLog:
    """Counts statements that cannot be used and keeps the first few; strict ones stop there.

    Attributes:
        source: what is read, as messages name it.
        strict: the first fault is an error.
        count: how many there were.
        examples: the first few, as ``facts.nt:17: ...``.
        hint: what may be at the root of it all; it ends the message of a fault that is an error.
    """

    source: str
    strict: bool = False
    hint: str = ""
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, line: int | None, message: str) -> None:
        """Count a fault.

        Raises:
            FormatError: reading is strict.
        """
        if self.strict:
            self.fail(line, message)
        self.count += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(self._place(line, message))

    def fail(self, line: int | None, message: str) -> NoReturn:
        """Raise the FormatError of a fault that ends the reading."""
        raise FormatError(self._place(line, message) + self.hint) from None

    def give_up(self, good: int) -> NoReturn:
        """Raise the FormatError of a file in which few statements can be used."""
        raise FormatError(
            f"{self.examples[0]}; {self.count:,} statements so far cannot be used, and {good:,} "
            f"can{self.hint}"
        ) from None

    def _place(self, line: int | None, message: str) -> str:
        where = self.source if line is None else f"{self.source}:{line}"
        return f"{where}: {' '.join(message.split())}"
