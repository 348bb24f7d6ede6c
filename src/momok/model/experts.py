"""ReMoKE: a bank of modality knowledge experts and its relation-guided gate.

Source: Zhang et al. 2025 (arXiv:2405.16869), section 3.1. The noisy gate is that of Shazeer et
al. 2017, "Outrageously Large Neural Networks", section 2.1, without the top-k cut.

Shapes: n entities, K experts, d width of the modality.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from momok.model.noise import Noise
from momok.model.precision import as_given

_INIT_STD = 0.02  # expert weights, as in the authors' implementation
_NOISE_FLOOR = 0.01  # epsilon of the gate's noise scale, likewise


class ExpertBank(nn.Module):
    """K linear experts with a learned shift each, ``x_k = W_k (dropout(e) - b_k)``, and a gate.

    Args:
        width: d, the width of the entity vectors of this modality.
        experts: K.
        dropout: probability of dropping a cell of the experts' input.
        noisy: whether the gate's logits carry noise in training.
    """

    def __init__(
        self,
        width: int,
        experts: int,
        *,
        dropout: float = 0.0,
        noisy: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(experts, width, width))  # W, [K, out, in]
        self.shift = nn.Parameter(torch.zeros(experts, width))  # b
        self.gate_weight = nn.Parameter(torch.zeros(width, experts))  # U
        self.noise_weight = nn.Parameter(torch.zeros(width, experts)) if noisy else None  # V
        nn.init.normal_(self.weight, std=_INIT_STD, generator=generator)

    @property
    def experts(self) -> int:
        """K, the number of experts."""
        return self.weight.shape[0]

    def gate(self, entities: Tensor, noise: Noise, temperature: Tensor | None = None) -> Tensor:
        """The weight of every expert for every entity.

        Args:
            entities: [n, d].
            temperature: [n], what the logits are divided by (queries); None for candidates.

        Returns:
            [n, K], rows that sum to one, in the precision of the parameters.
        """
        if self.experts == 1:
            return self.gate_weight.new_ones(entities.shape[0], 1)
        with as_given(entities):  # K columns: nothing to gain from a narrow product
            entities = entities.to(self.gate_weight.dtype)  # a projection may have narrowed them
            logits = entities @ self.gate_weight  # [n, K]
            if self.noise_weight is not None and not noise.off:
                scale = F.softplus(entities @ self.noise_weight) + _NOISE_FLOOR
                logits = logits + noise.normal(logits) * scale
            if temperature is not None:
                logits = logits / temperature.unsqueeze(1)
            return torch.softmax(logits, dim=1)

    def draw_noise(self, rows: int, noise: Noise) -> list[Tensor]:
        """What ``gate`` and then ``outputs`` would draw for this many rows, in that order."""
        drawn = []
        if self.experts > 1 and self.noise_weight is not None:
            drawn.append(noise.normal(self.noise_weight.new_empty(rows, self.experts)))
        if self.dropout > 0.0:
            device, width = self.weight.device, self.weight.shape[1]
            drawn.append(noise.draw((rows, width), device))
        return drawn

    def outputs(self, entities: Tensor, noise: Noise) -> Tensor:
        """What every expert says of every entity: [n, d] to [n, K, d].

        ``W_k (e - b_k) = W_k e - W_k b_k``: one product for all experts.
        """
        experts, width, _ = self.weight.shape
        offset = torch.einsum("kij,kj->ki", self.weight, self.shift).flatten()  # [K * d]
        dropped = noise.dropout(entities, self.dropout)
        flat = F.linear(dropped, self.weight.view(experts * width, width), -offset)
        return flat.view(-1, experts, width)

    @staticmethod
    def mix(outputs: Tensor, gate: Tensor) -> Tensor:
        """The entity's vector ``sum_k gate_k x_k``: [n, K, d] and [n, K] to [n, d]."""
        if outputs.shape[1] == 1:
            return outputs.squeeze(1)
        return (outputs * gate.to(outputs.dtype).unsqueeze(2)).sum(dim=1)
