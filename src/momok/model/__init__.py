"""The model: sizes and tensors in, vectors out. No data set, no path, no command line."""

from momok.model.disentanglement import ClubNetworks
from momok.model.momok import JOINT, Candidates, MoMoK, MoMoKSpec, Queries
from momok.model.tables import MissingPolicy, ModalitySpec

__all__ = [
    "JOINT",
    "Candidates",
    "ClubNetworks",
    "MissingPolicy",
    "MoMoK",
    "MoMoKSpec",
    "ModalitySpec",
    "Queries",
]
