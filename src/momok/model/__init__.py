"""The model: sizes and tensors in, vectors out. No data set, no path, no command line."""

from momok.model.disentanglement import ClubNetworks
from momok.model.grouped_product import group_by_relation
from momok.model.momok import JOINT, Candidates, MoMoK, MoMoKSpec, Queries
from momok.model.noise import DrawnNoise
from momok.model.tables import MissingPolicy, ModalitySpec

__all__ = [
    "JOINT",
    "Candidates",
    "ClubNetworks",
    "DrawnNoise",
    "MissingPolicy",
    "MoMoK",
    "MoMoKSpec",
    "ModalitySpec",
    "Queries",
    "group_by_relation",
]
