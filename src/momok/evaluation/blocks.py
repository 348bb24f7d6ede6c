"""Queries whose answers are to be ranked, cut into blocks.

Notation: U distinct queries, b of them in a block, A answers to rank (a query may have several),
a of them in a block, N candidates, d width of a head's vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints
from momok.evaluation.pooling import Terms
from momok.evaluation.scoring import HeadVectors


@dataclass(frozen=True)
class RankedQueries:
    """Encoded queries and which of their answers to rank.

    ``vectors`` {head: [U, d]}, in any floating type. ``answers`` [A]: candidate ids, and
    ``answer_rows`` [A]: the queries they answer. ``known``: the answers (rows, ids) that count in
    no rank, as FactIndex.lookup returns them. ``terms``: of the queries, for the pooled answer.
    ``excluded``: the side of each query [U], 0 or 1, and the candidates that count in no rank of
    the queries of a side, and are the answer of none [2, all candidates].
    """

    vectors: HeadVectors
    answers: Ints
    answer_rows: Ints
    known: tuple[Ints, Ints]
    terms: Terms | None = None
    excluded: tuple[Ints, Tensor] | None = None


@dataclass(frozen=True)
class Block:
    """Some queries, their answers to rank and their known answers; rows are local to the block."""

    queries: Tensor  # [b] rows of the query vectors
    num_single: int  # answer i belongs to row i for i < num_single
    answer_ids: Ints  # [a] where the ranks belong in the result
    answer_rows: Tensor  # [a]
    here: Tensor  # [p] which of the answers are among these candidates: all but for a part
    answer_cells: Tensor  # [p] their positions in the flat block of scores
    known_cells: Tensor  # positions of known answers in it
    excluded: Tensor | None  # [b, N] further candidates that count in no rank


def plan_blocks(
    queries: RankedQueries, *, rows: int, first: int, num_candidates: int, device: torch.device
) -> Iterator[Block]:
    """Cut the queries into blocks of ``rows``, those with one answer first: they need no row
    gathered. The candidates are ``num_candidates`` from the id ``first`` on."""

    def move(values: Ints) -> Tensor:
        return torch.from_numpy(values).to(device)

    part = slice(first, first + num_candidates)
    num_queries = len(next(iter(queries.vectors.values())))
    known_rows, known_columns = queries.known[0], queries.known[1] - first
    inside = (known_columns >= 0) & (known_columns < num_candidates)
    known_rows, known_columns = known_rows[inside], known_columns[inside]
    columns = queries.answers - first
    present = (columns >= 0) & (columns < num_candidates)
    single = np.bincount(queries.answer_rows, minlength=num_queries) == 1
    order = np.argsort(~single, kind="stable")
    place = np.argsort(order)
    of_answers, ids = _sort_by_row(place[queries.answer_rows])
    known_rows, known_ids = _sort_by_row(place[known_rows])
    for start in range(0, num_queries, rows):
        chosen = order[start : start + rows]
        mine = slice(*np.searchsorted(of_answers, [start, start + len(chosen)]))
        theirs = slice(*np.searchsorted(known_rows, [start, start + len(chosen)]))
        local = of_answers[mine] - start
        known_cells = (known_rows[theirs] - start) * num_candidates
        here = np.flatnonzero(present[ids[mine]])
        cells = local[here] * num_candidates + columns[ids[mine]][here]
        excluded = None
        if queries.excluded is not None:
            sides, masks = queries.excluded
            excluded = masks[:, part][move(sides[chosen])]
        yield Block(
            queries=move(chosen),
            num_single=int(single[chosen].sum()),
            answer_ids=ids[mine],
            answer_rows=move(local),
            here=move(here),
            answer_cells=move(cells),
            known_cells=move(known_cells + known_columns[known_ids[theirs]]),
            excluded=excluded,
        )


def _sort_by_row(rows: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(rows, kind="stable")
    return rows[order], order
