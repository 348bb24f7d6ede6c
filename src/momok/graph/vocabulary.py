"""Labels and their ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from momok.errors import DataError, UnknownLabelError
from momok.graph.names import suggest_near_misses


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """Distinct labels; the position of a label is its id.

    Raises:
        DataError: a label appears twice.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that every label has one id."""
        if len(self.ids) != len(self.labels):
            twice = next(x for i, x in enumerate(self.labels) if self.ids[x] != i)
            raise DataError(f"the label {twice!r} appears twice in a vocabulary")

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Ids by label."""
        return {label: position for position, label in enumerate(self.labels)}

    def index(self, label: str) -> int:
        """Give the id of a label.

        Raises:
            UnknownLabelError: the label is not here; near misses are suggested.
        """
        try:
            return self.ids[label]
        except KeyError:
            raise UnknownLabelError(
                f"there is no label {label!r}" + suggest_near_misses(label, self.labels)
            ) from None

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.labels[:3])) + (", ..." if len(self) > 3 else "")
        return f"<Vocabulary of {len(self):,}: {shown}>"

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.ids
