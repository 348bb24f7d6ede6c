"""Labels to ids: facts as columns of texts become facts as numbers, without a loop over facts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from momok.graph.sources.frames import pl
from momok.graph.triples import Triples

__all__ = ["encode_facts", "translate_ids"]


def encode_facts(
    head: pl.Series, relation: pl.Series, tail: pl.Series
) -> tuple[list[str], list[str], Triples]:
    """Number the labels in order of first appearance, those of heads before those of tails.

    Args:
        head: the head labels of n facts, none null.
        relation: their relation labels.
        tail: their tail labels.

    Returns:
        The labels of the entities, those of the relations, and the facts ``[n, 3]``.
    """
    triples = np.empty((len(head), 3), dtype=np.int64)
    ends = pl.concat([head.alias("label"), tail.alias("label")])
    entities, ids = _number(ends)
    triples[:, 0], triples[:, 2] = ids[: len(head)], ids[len(head) :]
    del ends, ids
    relations, triples[:, 1] = _number(relation.alias("label"))
    return entities, relations, triples


def _number(labels: pl.Series) -> tuple[list[str], NDArray[np.uint32]]:
    distinct = labels.unique(maintain_order=True)
    numbered = pl.DataFrame({"label": distinct}).with_row_index("id")
    found = labels.to_frame().join(numbered, on="label", how="left", maintain_order="left")
    ids: NDArray[np.uint32] = found["id"].to_numpy()
    return distinct.to_list(), ids


def translate_ids(labels: Iterable[str], known: dict[str, int]) -> NDArray[np.int64]:
    """Give for the labels of one vocabulary their ids in another, which learns the new ones."""
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)
