"""Fusions: how the vectors of the modalities become one joint vector.

A fusion is one class and one entry in ``FUSIONS``.

Shapes: n rows, M modalities, G branches, d_m width of modality m, d joint width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from momok.model.noise import Noise
from momok.model.precision import at_least_float32

Vectors = Sequence[Tensor | None]  # one [n, d_m] per modality; None where there is none at all


class Fusion(nn.Module):
    """What a fusion is: subclasses give ``forward``, and ``draw_noise`` where they are random.

    Args:
        widths: d_m of each modality, in order.
        width: d, of the fused vector.
        branches: G, where the fusion has any.
        dropout: probability of dropping a cell of the input.
        generator: of the initial weights.
    """

    def forward(self, vectors: Vectors, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Fuse one vector per modality into one.

        Returns:
            The fused vectors [n, d], and the attention over the modalities [G, n, M] if there is
            any (zero for a modality without vectors).
        """
        raise NotImplementedError

    def draw_noise(self, rows: int, noise: Noise) -> list[Tensor]:  # noqa: ARG002
        """What ``forward`` would draw for this many rows, in order."""
        return []


class ModalityFusion(Fusion):
    """MuJoD: attention over modalities, in several branches.

    Source: Zhang et al. 2025 (arXiv:2405.16869), section 3.2: per branch i,
    ``u_m = ReLU(A_im dropout(x_m) + a_im)``, ``alpha = softmax_m(w . u_m)``,
    ``sum_m alpha_m u_m``; the branches are summed.
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
        if self.dropout == 0.0:
            return []
        device = self.attention.device
        shapes = [(self.branches, rows, weight.shape[1]) for weight in self.weights]
        return [noise.draw(shape, device) for shape in shapes]

    def forward(self, vectors: Vectors, noise: Noise) -> tuple[Tensor, Tensor | None]:
        seen = []
        scale = noise.scale(self.dropout, self.attention.device)
        for x, weight, bias in zip(vectors, self.weights, self.biases, strict=True):
            if x is None:
                continue
            inputs = noise.masked(x.unsqueeze(0).expand(self.branches, -1, -1), self.dropout)
            product = torch.baddbmm(bias.unsqueeze(1), inputs, weight * scale)
            seen.append(product.relu_())  # [G, n, d]
        logits = torch.stack([u @ self.attention for u in seen], dim=2)  # [G, n, M]
        alpha = torch.softmax(at_least_float32(logits), dim=2)
        shares = alpha.to(seen[0].dtype).unsqueeze(3)  # [G, n, M, 1]
        fused = seen[0] * shares[:, :, 0]
        for m, u in enumerate(seen[1:], start=1):
            fused = torch.addcmul(fused, u, shares[:, :, m])
        if len(seen) < len(vectors):  # attention has a column for every modality
            there = [m for m, x in enumerate(vectors) if x is not None]
            full = alpha.new_zeros(*alpha.shape[:2], len(vectors))
            full[:, :, there] = alpha
            alpha = full
        return fused.sum(dim=0), alpha


class Concatenation(Fusion):
    """A linear map of all modalities side by side: early fusion."""

    def __init__(
        self,
        widths: Sequence[int],
        width: int,
        *,
        branches: int = 2,  # noqa: ARG002
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.weights = nn.ParameterList(torch.empty(d_m, width) for d_m in widths)
        with torch.no_grad():  # the default of a linear layer over all of them
            bound = 1.0 / math.sqrt(sum(widths))
            for weight in self.weights:
                weight.uniform_(-bound, bound, generator=generator)

    def forward(self, vectors: Vectors, noise: Noise) -> tuple[Tensor, Tensor | None]:
        parts = [
            noise.dropout(x, self.dropout) @ weight
            for x, weight in zip(vectors, self.weights, strict=True)
            if x is not None
        ]
        return torch.stack(parts).sum(dim=0), None

    def draw_noise(self, rows: int, noise: Noise) -> list[Tensor]:
        if self.dropout == 0.0:
            return []
        return [noise.draw((rows, weight.shape[0]), weight.device) for weight in self.weights]


class Average(Concatenation):
    """The mean over the modalities of a linear map of each."""

    def forward(self, vectors: Vectors, noise: Noise) -> tuple[Tensor, Tensor | None]:
        total, weights = super().forward(vectors, noise)
        return total / sum(x is not None for x in vectors), weights


FUSIONS: dict[str, type[Fusion]] = {
    "mujod": ModalityFusion,
    "concat": Concatenation,
    "mean": Average,
}
"""By the value of ``model.fusion``."""
