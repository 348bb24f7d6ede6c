"""Texts, pictures and numbers of a graph's entities as features.

``encoder`` says what an encoder is, ``registry`` which there are; ``encode`` does everything else:
batches, masks, files, going on after a kill. ``encode_modality`` is the one call.
"""

from momok.encoders.encode import Encoding, encode_modality
from momok.encoders.encoder import Encoder, EncoderContext, Kind, NumberTable
from momok.encoders.inputs import Problem
from momok.encoders.registry import (
    BUILT_IN,
    DEFAULT_SPECS,
    EncoderEntry,
    EncoderSpec,
    build_encoder,
    parse_spec,
)

__all__ = [
    "BUILT_IN",
    "DEFAULT_SPECS",
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
