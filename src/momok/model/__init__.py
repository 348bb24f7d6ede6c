"""The model: sizes and tensors in, vectors out. No data set, no path, no command line."""

from momok.model.decoders import DECODERS, Decoder
from momok.model.disentanglement import ClubNetworks
from momok.model.fusions import FUSIONS, Fusion
from momok.model.grouped_product import group_by_relation
from momok.model.momok import MoMoK
from momok.model.noise import DrawnNoise
from momok.model.spec import JOINT, MoMoKSpec
from momok.model.tables import MissingPolicy, ModalitySpec
from momok.model.towers import Candidates, Queries

__all__ = [
    "DECODERS",
    "FUSIONS",
    "JOINT",
    "Candidates",
    "ClubNetworks",
    "Decoder",
    "DrawnNoise",
    "Fusion",
    "MissingPolicy",
    "MoMoK",
    "MoMoKSpec",
    "ModalitySpec",
    "Queries",
    "group_by_relation",
]
