"""Models of the size of a test, in float64, with weights that hide nothing."""

from __future__ import annotations

from typing import Any

import torch

from momok.model import ModalitySpec, MoMoK, MoMoKSpec


def build_spec(
    widths: dict[str, int] | None = None, *, entities: int = 17, relations: int = 3, **more: Any
) -> MoMoKSpec:
    """Sizes; ``widths`` names the modalities."""
    return MoMoKSpec(
        num_entities=entities,
        num_relations=relations,
        modalities=tuple(
            ModalitySpec(name=name, width=width, table_width=width)
            for name, width in (widths or {"structure": 6, "text": 5}).items()
        ),
        **({"relation_width": 4, "joint_width": 7} | more),
    )


def build_model(spec: MoMoKSpec | None = None, seed: int = 0) -> MoMoK:
    """A model in float64 in evaluation mode, every parameter and statistic away from its start."""
    generator = torch.Generator().manual_seed(seed)
    model = MoMoK(spec or build_spec(), generator=generator).double()
    with torch.no_grad():  # zeros and tiny numbers hide mistakes
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.add_(noise.abs() if name.endswith("running_var") else noise, alpha=0.4)
    return model.eval()
