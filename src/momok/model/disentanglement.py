"""ExID: keeping the experts of a modality apart by an upper bound of their mutual information.

Source: Zhang et al. 2025 (arXiv:2405.16869), section 3.3; the bound is CLUB in its sampled
variant, Cheng et al. 2020 (arXiv:2006.12013), algorithm 1.

Shapes: B queries, d width of the modality.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from momok.model.precision import at_least_float32


class _Club(nn.Module):
    """``q(x_j | x_i) = N(mu(x_i), exp lambda(x_i))``: two 2-layer MLPs of hidden width d / 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(width // 2, 1)
        self.mean = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.log_variance = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Tanh()
        )

    def estimate(self, x_i: Tensor, x_j: Tensor, permutation: Tensor) -> Tensor:
        """The bound on the mutual information of two experts' outputs [B, d]: a scalar."""
        mean, precision = self.mean(x_i), torch.exp(-self.log_variance(x_i))
        positive = -(mean - x_j).square() * precision
        negative = -(mean - x_j[permutation]).square() * precision
        bound: Tensor = (positive - negative).sum(dim=1).mean() / 2
        return bound

    def negative_log_likelihood(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """What the networks themselves minimise: a scalar.

        As in the authors' implementation, the normal density's log-variance term is left out.
        """
        mean, precision = self.mean(x_i), torch.exp(-self.log_variance(x_i))
        loss: Tensor = ((mean - x_j).square() * precision / 2).sum(dim=1).mean()
        return loss


class ClubNetworks(nn.Module):
    """One CLUB network per modality.

    Args:
        widths: d of each modality, in order.
        seed: of the initial weights.
    """

    def __init__(self, widths: Sequence[int], *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.networks = nn.ModuleList(_Club(width) for width in widths)

    def estimate(
        self, experts: Sequence[Tensor], pair: tuple[int, int], permutation: Tensor
    ) -> Tensor:
        """The bound averaged over modalities, for one pair of experts.

        Args:
            experts: per modality, the outputs [B, K, d] of all experts for the query entities.
            pair: which two experts.
            permutation: [B], the negative samples.
        """
        estimates = [
            cast(_Club, network).estimate(*_pair(x, pair), permutation)
            for network, x in zip(self.networks, experts, strict=True)
        ]
        return torch.stack(estimates).mean()

    def loss(self, experts: Sequence[Tensor], pair: tuple[int, int]) -> Tensor:
        """The networks' own loss, averaged over modalities, on detached expert outputs."""
        losses = [
            cast(_Club, network).negative_log_likelihood(*_pair(x.detach(), pair))
            for network, x in zip(self.networks, experts, strict=True)
        ]
        return torch.stack(losses).mean()


def _pair(experts: Tensor, pair: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The outputs of two experts: [B, K, d] to two [B, d]."""
    i, j = pair
    return at_least_float32(experts[:, i]), at_least_float32(experts[:, j])
