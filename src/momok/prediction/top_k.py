"""The best candidates of queries, in blocks of bounded memory.

Shapes: B queries, N candidates, d width of a head, k answers wanted.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints
from momok.evaluation.pooling import MEAN, Pooling, Terms
from momok.evaluation.scoring import BlockScorer, HeadVectors, full_precision

NOTHING = -1  # stands in the place of an answer that does not exist

_HIDDEN = torch.iinfo(torch.int64).min  # sorts below every score
_BYTES_PER_CELL = 28  # scores, their sum, bits (4 bytes each), sort keys, a copy (int64)
_MIN_COLUMNS = 1024


def find_best(
    queries: HeadVectors,
    candidates: HeadVectors,
    k: int,
    *,
    hidden: tuple[Ints, Ints],
    memory_budget: int,
    among: Ints | None = None,
    pooling: Pooling = MEAN,
    terms: Terms | None = None,
) -> Tensor:
    """Find the k candidates with the highest answer.

    Scores are float32. Of equal ones the lower id comes first, so that the result does not depend
    on the blocks in which it is computed.

    Args:
        queries, candidates: vectors per head, [B, d] and [N, d].
        k: how many.
        hidden: (rows, ids) of candidates to leave out.
        memory_budget: bytes of the buffers; the result is not in it.
        among: ids of the candidates that are looked at, ascending; all of them for None.
        pooling: how the heads become the answer.
        terms: of the queries, for it.

    Returns:
        [B, min(k, n)] ids, best first, of the n candidates that are looked at; ``NOTHING`` where
        too many of them are hidden.
    """
    sample = next(iter(candidates.values()))
    device, rows = sample.device, len(next(iter(queries.values())))
    ids = torch.arange(len(sample), device=device)
    if among is not None:
        ids = torch.from_numpy(among).to(device)
        candidates = {head: vectors[ids] for head, vectors in candidates.items()}
        shown = np.isin(hidden[1], among)
        hidden = hidden[0][shown], np.searchsorted(among, hidden[1][shown])
        terms = None if terms is None else terms.restrict(ids)
    count = len(ids)
    columns = max(memory_budget // (_BYTES_PER_CELL * max(rows, 1)), _MIN_COLUMNS)
    hidden_rows, hidden_places = (torch.from_numpy(part).to(device) for part in hidden)
    best = torch.empty((rows, 0), dtype=torch.int64, device=device)
    scorer = BlockScorer(pooling)
    with full_precision():
        for start in range(0, count, columns):
            block = {head: c[start : start + columns] for head, c in candidates.items()}
            # Keys sort like (score, then lower place first): the bits of floats, read as whole
            # numbers, sort like the floats, once negative ones have the sign of a whole number.
            bits = scorer.score(queries, block, terms=terms, first=start).view(torch.int32)
            bits = torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
            places = torch.arange(start, start + bits.shape[1], device=device)
            keys = (bits.long() << 32) | (count - 1 - places)
            inside = (hidden_places >= start) & (hidden_places < start + columns)
            keys[hidden_rows[inside], hidden_places[inside] - start] = _HIDDEN
            keys = keys.topk(min(k, keys.shape[1]), dim=1).values
            best = torch.cat([best, keys], dim=1)
            best = best.topk(min(k, best.shape[1]), dim=1).values
    places = count - 1 - (best & (2**32 - 1))
    return torch.where(best == _HIDDEN, NOTHING, ids[places.clamp(min=0)] if count else places)
