"""The pairs of a batch on which a masked head votes: those of which both sides have its modality.

Shapes: B queries of the batch, b of them voted on, n candidates of a block, m of them voted on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from momok.model import MoMoK
from momok.training.candidates import CandidateBlock

__all__ = ["Ballot"]


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """A masked head's part of a batch.

    Args:
        places: [B] the place of a query among the b, -1 for those that are not voted on.
        pairs: how many pairs of a query and one of all entities it votes on, at least one.
    """

    places: Tensor
    pairs: int

    @staticmethod
    def of(model: MoMoK, head: str, voters: Tensor, queries: int) -> Ballot:
        """The ballot of a head that votes on the queries ``voters`` [b] of a batch of B."""
        places = voters.new_full((queries,), -1)
        places[voters] = torch.arange(len(voters), device=voters.device)
        return Ballot(places=places, pairs=max(len(voters) * int(model.present[head].sum()), 1))

    def restrict(self, block: CandidateBlock, votes: Tensor) -> tuple[Tensor, CandidateBlock]:
        """Cut a block down to what is voted on.

        Args:
            votes: [n] on which of its candidates.

        Returns:
            The candidates [m], and the block whose rows and columns count among the b and the m.
        """
        chosen = votes.nonzero().squeeze(1)
        columns = votes.cumsum(0) - 1  # the place of a candidate among the m
        kept = votes[block.columns] & (self.places[block.rows] >= 0)
        return chosen, replace(
            block,
            size=len(chosen),
            rows=self.places[block.rows[kept]],
            columns=columns[block.columns[kept]],
        )
