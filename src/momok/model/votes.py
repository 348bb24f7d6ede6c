"""What the vectors of the two towers carry besides: the scores' offset, and heads that abstain.

A score is the dot product of two vectors, and that is all that evaluation, prediction and an index
of neighbours need to know. So whatever else belongs to a score is put into columns of the vectors:

- the offset of all scores (``MoMoKSpec.score_offset``) is a column that is one in queries and the
  offset in candidates;
- under the policy ``masked`` the head of a modality votes on a pair of query and candidate only if
  both have the modality. Where one has not, two columns make the score ``ABSTAINED``. The answer is
  the mean over the heads that vote.

Shapes: n rows, d width of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

__all__ = [
    "ABSTAINED",
    "abstains",
    "average_votes",
    "say_probabilities",
    "widen_candidates",
    "widen_queries",
]

# Its sigmoid is zero in every precision, its square is a float32, and no real score comes near it.
ABSTAINED = -1e18
_LIMIT = ABSTAINED / 10


def widen_queries(
    vectors: Mapping[str, Tensor], votes: Mapping[str, Tensor], *, offset: float
) -> dict[str, Tensor]:
    """Query vectors per head [n, d], ready for those of ``widen_candidates``.

    Args:
        votes: per masked head, which queries [n] it votes on.
        offset: what every score is raised by.
    """
    return {
        head: _widen_query(x, votes.get(head)) if offset or head in votes else x
        for head, x in vectors.items()
    }


def widen_candidates(
    vectors: Mapping[str, Tensor], votes: Mapping[str, Tensor], *, offset: float
) -> dict[str, Tensor]:
    """Candidate vectors per head [n, d], ready for those of ``widen_queries``."""
    return {
        head: x
        if not offset and head not in votes
        else _widen_candidate(x, votes.get(head), offset)
        for head, x in vectors.items()
    }


def _widen_query(x: Tensor, votes: Tensor | None) -> Tensor:
    if votes is None:
        return torch.cat([x, x.new_ones(len(x), 1)], dim=1)
    voted = votes.to(x.dtype).unsqueeze(1)
    return torch.cat([x * voted, voted, (1.0 - voted) * ABSTAINED], dim=1)


def _widen_candidate(x: Tensor, votes: Tensor | None, offset: float) -> Tensor:
    if votes is None:
        return torch.cat([x, x.new_full((len(x), 1), offset)], dim=1)
    voted = votes.to(x.dtype).unsqueeze(1)
    raised = voted * offset + (1.0 - voted) * ABSTAINED
    return torch.cat([x * voted, raised, torch.ones_like(voted)], dim=1)


def abstains(scores: Tensor) -> Tensor:
    """Which scores, of any shape, are none."""
    return scores < _LIMIT


def say_probabilities(scores: Tensor) -> Tensor:
    """What a head says, for scores of any shape: ``sigmoid(score)``, NaN where it abstains."""
    return torch.sigmoid(scores).masked_fill(abstains(scores), torch.nan)


def average_votes(scores: Mapping[str, Tensor] | Iterable[Tensor]) -> Tensor:
    """The answer: the mean of ``sigmoid(score)`` over the heads that vote, zero where none does.

    Args:
        scores: per head, any shape.
    """
    total: Tensor | None = None
    votes: Tensor | None = None
    for head in scores.values() if isinstance(scores, Mapping) else scores:
        part, voted = torch.sigmoid(head), (~abstains(head)).to(head.dtype)
        total = part if total is None else total.add_(part)
        votes = voted if votes is None else votes.add_(voted)
    assert total is not None, "a model has a head"
    assert votes is not None
    return total.div_(votes.clamp_min_(1.0))
