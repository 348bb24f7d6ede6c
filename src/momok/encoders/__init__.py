"""Texts, pictures and numbers of a graph's entities as features.

``contract`` says what an encoder is, ``registry`` which there are; ``driver`` does everything else:
batches, masks, files, going on after a kill. ``api.encode_modality`` is the one call.
"""

from momok.encoders.api import encode_modality
from momok.encoders.encode import Encoding
from momok.encoders.encoder import KINDS, Encoder, EncoderContext, Kind, NumberTable
from momok.encoders.entities import Problem
from momok.encoders.registry import BUILT_IN, DEFAULT_SPECS, EncoderEntry, build_encoder
from momok.encoders.specs import EncoderSpec, parse_spec

__all__ = [
    "BUILT_IN",
    "DEFAULT_SPECS",
    "KINDS",
    "Encoder",
    "EncoderContext",
    "EncoderEntry",
    "EncoderSpec",
    "Encoding",
    "Kind",
    "NumberTable",
    "Problem",
    "build_encoder",
    "encode_modality",
    "parse_spec",
]
