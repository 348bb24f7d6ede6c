"""The best candidates of queries, in blocks of bounded memory.

Shapes: B queries, N candidates, d width of a head, k answers wanted, P pairs of query and
candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.model.votes import ABSTAINED

__all__ = ["NOTHING", "find_best", "find_rank", "score_pairs"]

Ints = NDArray[np.int64]

NOTHING = -1  # stands in the place of an answer that does not exist

_BYTES_PER_CELL = 24  # scores, probabilities, their sum (float32), sort keys, a copy (int64)
_MIN_COLUMNS = 1024
_MIN_ROWS = 4  # as in evaluation: products of fewer round equal candidates differently


def find_best(
    query_vectors: Mapping[str, Tensor],
    candidate_vectors: Mapping[str, Tensor],
    k: int,
    *,
    hidden: tuple[Ints, Ints],
    memory_budget: int,
    abstentions: bool = False,
    among: Ints | None = None,
) -> Tensor:
    """Find the k candidates with the highest mean probability over heads.

    Scores are float32. Of equal ones the lower id comes first, so that the result does not depend
    on the blocks in which it is computed.

    Args:
        query_vectors: per head [B, d].
        candidate_vectors: per head [N, d].
        k: how many.
        hidden: (rows, ids) of candidates to leave out, ids in 0..N-1.
        memory_budget: bytes of the buffers; the result, [B, k], is not in it.
        abstentions: whether heads may abstain: then the mean is over those that vote.
        among: ids of the candidates that are looked at, ascending; all of them for None.

    Returns:
        [B, min(k, n)] ids, best first, of the n candidates that are looked at; ``NOTHING`` where
        too many of them are hidden.
    """
    if among is not None:
        chosen = torch.from_numpy(among).to(next(iter(candidate_vectors.values())).device)
        candidate_vectors = {head: c[chosen] for head, c in candidate_vectors.items()}
        shown = np.isin(hidden[1], among)
        hidden = hidden[0][shown], np.searchsorted(among, hidden[1][shown])
    sample = next(iter(candidate_vectors.values()))
    num_candidates, device = len(sample), sample.device
    rows = len(next(iter(query_vectors.values())))
    if rows < _MIN_ROWS:
        query_vectors = {
            head: torch.cat([q, q[:1].expand(_MIN_ROWS - rows, -1)])
            for head, q in query_vectors.items()
        }
    columns = max(memory_budget // (_BYTES_PER_CELL * max(rows, _MIN_ROWS)), _MIN_COLUMNS)
    hidden_rows, hidden_ids = (torch.from_numpy(part).to(device) for part in hidden)
    best = torch.empty((rows, 0), dtype=torch.int64, device=device)
    with full_precision():
        for start in range(0, num_candidates, columns):
            block = {head: c[start : start + columns] for head, c in candidate_vectors.items()}
            total = _add_votes(query_vectors, block, abstentions)[:rows]
            keys = _make_keys(total, start, num_candidates)
            inside = (hidden_ids >= start) & (hidden_ids < start + columns)
            keys[hidden_rows[inside], hidden_ids[inside] - start] = NOTHING
            keys = keys.topk(min(k, keys.shape[1]), dim=1).values
            best = torch.cat([best, keys], dim=1)
            best = best.topk(min(k, best.shape[1]), dim=1).values
    ids = num_candidates - 1 - (best & (2**32 - 1))
    if among is not None:
        ids = chosen[ids.clamp(min=0)]  # those of NOTHING are below zero
    return torch.where(best == NOTHING, NOTHING, ids)


def find_rank(
    query_vectors: Mapping[str, Tensor],
    candidate_vectors: Mapping[str, Tensor],
    answer: int,
    *,
    hidden: Ints,
    memory_budget: int,
    abstentions: bool = False,
) -> int:
    """The place of one candidate by mean probability over heads, from 1; ties do not worsen it.

    Scores are float32, as in ``find_best``.

    Args:
        query_vectors: per head [1, d].
        candidate_vectors: per head [N, d].
        answer: the candidate.
        hidden: ids of candidates to leave out.
        memory_budget: bytes of the buffers, beside one number per candidate.
        abstentions: as in ``find_best``.
    """
    query_vectors = {head: q.expand(_MIN_ROWS, -1) for head, q in query_vectors.items()}
    columns = max(memory_budget // (_BYTES_PER_CELL * _MIN_ROWS), _MIN_COLUMNS)
    blocks = zip(*(torch.split(c, columns) for c in candidate_vectors.values()), strict=True)
    with full_precision():
        scores = torch.cat(
            [
                _add_votes(
                    query_vectors, dict(zip(candidate_vectors, block, strict=True)), abstentions
                )[0]
                for block in blocks
            ]
        )  # [N]
    better = scores > scores[answer]
    better[torch.from_numpy(hidden).to(better.device)] = False
    return 1 + int(better.sum())


def score_pairs(
    query_vectors: Mapping[str, Tensor],
    candidate_vectors: Mapping[str, Tensor],
    rows: Tensor,
    ids: Tensor,
    *,
    memory_budget: int,
) -> dict[str, Tensor]:
    """Score single pairs of query and candidate, in float64.

    Args:
        query_vectors: per head [B, d].
        candidate_vectors: per head [N, d].
        rows: [P] which query.
        ids: [P] which candidate.

    Returns:
        Logits per head [P].
    """
    logits = {}
    for head, queries in query_vectors.items():
        candidates = candidate_vectors[head]
        size = max(memory_budget // (3 * 8 * candidates.shape[1]), 1)
        pieces = [
            torch.linalg.vecdot(queries[r].double(), candidates[c].double())
            for r, c in zip(torch.split(rows, size), torch.split(ids, size), strict=True)
        ]
        logits[head] = torch.cat(pieces)
    return logits


def _add_votes(
    queries: Mapping[str, Tensor], candidates: Mapping[str, Tensor], abstentions: bool
) -> Tensor:
    """What ranks like the answer: the sum over heads of sigmoid(score), [B, n].

    With abstentions the answer itself, the mean over the heads that vote.

    Not torch.sigmoid: on CPU its vector and scalar paths round differently, so that equal scores
    would get unequal probabilities by their position.
    """
    total: Tensor | None = None
    votes: Tensor | None = None
    for head, vectors in queries.items():
        costs = torch.mm(-vectors, candidates[head].T)
        if abstentions:
            voted = (costs < -ABSTAINED / 10).to(costs.dtype)
            votes = voted if votes is None else votes.add_(voted)
        probabilities = costs.exp_().add_(1.0).reciprocal_()
        total = probabilities if total is None else total.add_(probabilities)
    assert total is not None
    return total if votes is None else total.div_(votes.clamp_min_(1.0))


def _make_keys(scores: Tensor, start: int, num_candidates: int) -> Tensor:
    """Whole numbers that sort like (score, then lower id first), all distinct in a row: int64.

    The bits of floats that are not negative, read as whole numbers, sort like the floats.
    """
    ids = torch.arange(start, start + scores.shape[1], device=scores.device)
    return (scores.view(torch.int32).long() << 32) | (num_candidates - 1 - ids)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in true float32: training in this process may have allowed TF32 products."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
