"""Texts, pictures and numbers of a graph's entities as features.

``encoder`` says what an encoder is and which there are; ``encode`` does everything else:
batches, masks, files, going on after a kill. ``encode_modality`` is the one call.
"""

from momok.encoders.encode import Encoding, encode_modality
from momok.encoders.encoder import (
    DEFAULT_SPECS,
    ENCODERS,
    Encoder,
    EncoderContext,
    EncoderSpec,
    Kind,
    NumberTable,
    build_encoder,
    parse_spec,
)
from momok.encoders.inputs import Problem

__all__ = [
    "DEFAULT_SPECS",
    "ENCODERS",
    "Encoder",
    "EncoderContext",
    "EncoderSpec",
    "Encoding",
    "Kind",
    "NumberTable",
    "Problem",
    "build_encoder",
    "encode_modality",
    "parse_spec",
]
