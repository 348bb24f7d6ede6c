"""MuJoD: the fusion of modalities into one joint vector.

Source: Zhang et al. 2025 (arXiv:2405.16869), section 3.2: per branch i,
``u_m = ReLU(A_im dropout(x_m) + a_im)``, ``alpha = softmax_m(w . u_m)``, ``sum_m alpha_m u_m``;
the branches are summed.

Shapes: n rows, M modalities, G branches, d_m width of modality m, d joint width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from momok.model.noise import Noise
from momok.model.precision import at_least_float32

__all__ = ["ModalityFusion"]


class ModalityFusion(nn.Module):
    """Attention over modalities, in several branches.

    Args:
        widths: d_m of each modality, in order.
        width: d, of the fused vector.
        branches: G.
        dropout: probability of dropping a cell of each branch's input.
    """

    def __init__(
        self,
        widths: Sequence[int],
        width: int,
        *,
        branches: int = 2,
        dropout: float = 0.2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.branches = branches
        self.weights = nn.ParameterList(torch.empty(branches, d_m, width) for d_m in widths)
        self.biases = nn.ParameterList(torch.empty(branches, width) for _ in widths)
        self.attention = nn.Parameter(torch.empty(width))  # w, shared by the branches
        with torch.no_grad():  # the defaults of a linear layer: U(-1/sqrt(in), 1/sqrt(in))
            for d_m, weight, bias in zip(widths, self.weights, self.biases, strict=True):
                bound = 1.0 / math.sqrt(d_m)
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)
            bound = 1.0 / math.sqrt(width)
            self.attention.uniform_(-bound, bound, generator=generator)

    def draw_noise(self, rows: int, noise: Noise) -> list[Tensor]:
        """What ``forward`` would draw for this many rows, in order."""
        if self.dropout == 0.0:
            return []
        device = self.attention.device
        shapes = [(self.branches, rows, weight.shape[1]) for weight in self.weights]
        return [noise.draw(shape, device) for shape in shapes]

    def forward(
        self,
        vectors: Sequence[Tensor],
        noise: Noise,
        absent: Sequence[Tensor | None] = (),
    ) -> tuple[Tensor, Tensor]:
        """Fuse one vector per modality into one.

        Args:
            vectors: M tensors [n, d_m].
            absent: which rows [n] of a modality get no attention; None or nothing given: all get
                it. A row without any modality is fused as if it had all.

        Returns:
            The fused vectors [n, d] and the attention over modalities [G, n, M].
        """
        seen = []
        scale = noise.scale(self.dropout, self.attention.device)
        for x, weight, bias in zip(vectors, self.weights, self.biases, strict=True):
            inputs = noise.masked(x.unsqueeze(0).expand(self.branches, -1, -1), self.dropout)
            product = torch.baddbmm(bias.unsqueeze(1), inputs, weight * scale)
            seen.append(product.relu_())  # [G, n, d]
        logits = torch.stack([u @ self.attention for u in seen], dim=2)  # [G, n, M]
        logits = at_least_float32(logits)
        if any(mask is not None for mask in absent):
            logits = logits.masked_fill(_leave_out(absent, logits), -torch.inf)
        alpha = torch.softmax(logits, dim=2)
        shares = alpha.to(seen[0].dtype).unsqueeze(3)  # [G, n, M, 1]
        fused = seen[0] * shares[:, :, 0]
        for m, u in enumerate(seen[1:], start=1):
            fused = torch.addcmul(fused, u, shares[:, :, m])
        return fused.sum(dim=0), alpha


def _leave_out(absent: Sequence[Tensor | None], logits: Tensor) -> Tensor:
    """[n, M] what gets no attention, never a whole row."""
    nothing = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
    masks = torch.stack([nothing if mask is None else mask for mask in absent], dim=1)
    return masks & ~masks.all(dim=1, keepdim=True)
