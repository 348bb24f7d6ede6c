"""The sizes and switches of a model.

Shapes: N entities, R relations, K experts per modality, G branches of the joint head.
"""

from __future__ import annotations

from dataclasses import dataclass

from momok.model.decoders import Dropouts
from momok.model.tables import ModalitySpec

JOINT = "joint"  # the name of the joint decision head


@dataclass(frozen=True, kw_only=True)
class MoMoKSpec:
    """Every size and switch of a model; enough to build it empty and fill it from a checkpoint.

    Args:
        num_entities: N.
        num_relations: R, without reciprocals.
        modalities: in order; structure is the one without features.
        decoder: one of ``DECODERS``, for all heads.
        fusion: one of ``FUSIONS``.
        modality_heads: whether every modality has a decision head of its own.
        relation_width: of the relation vectors of the modality heads, where the decoder lets
            them differ from the entities'.
        joint_width: of the joint head; None leaves the joint head out.
        branches: G of the joint head.
        experts: K per modality; with 0 there are no experts, gates or temperatures.
        relation_temperature: whether a query's gate is sharpened or flattened by its relation.
        gate_noise: whether gates are noisy in training.
        expert_dropout, fusion_dropout, decoder_dropouts: probabilities, as in the paper.
        initial_scale: standard deviation of entity and relation vectors; 0 draws as the paper.
        score_offset: what every score is raised by; none in the paper.
        softmax: whether scores are compared within a query alone, as a softmax trains them. Outside
            training they are then log-probabilities among all entities.
        members: M, of every head: models side by side in its vectors, each with the widths given
            here. Its score is the mean of theirs.
    """

    num_entities: int
    num_relations: int
    modalities: tuple[ModalitySpec, ...]
    decoder: str = "tucker"
    fusion: str = "mujod"
    modality_heads: bool = True
    relation_width: int = 256
    joint_width: int | None = 256
    branches: int = 2
    experts: int = 3
    relation_temperature: bool = True
    gate_noise: bool = True
    expert_dropout: float = 0.0
    fusion_dropout: float = 0.2
    decoder_dropouts: Dropouts = (0.3, 0.4, 0.5)
    initial_scale: float = 0.0
    score_offset: float = 0.0
    softmax: bool = False
    members: int = 1

    @property
    def head_widths(self) -> dict[str, int]:
        """Per decision head the width of a member's vectors: modalities in order, then joint."""
        widths = {m.name: m.width for m in self.modalities} if self.modality_heads else {}
        return widths if self.joint_width is None else {**widths, JOINT: self.joint_width}
