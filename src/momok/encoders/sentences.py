"""Any sentence-transformers model (Reimers & Gurevych, arXiv:1908.10084)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from momok.encoders.contract import EncoderContext, FloatMatrix, Kind
from momok.encoders.specs import EncoderSpec
from momok.encoders.weights import find_model, hash_files, import_extra, name_model
from momok.encoders.whole_models import quiet

__all__ = ["SentenceEncoder", "build"]


class SentenceEncoder:
    """Encodes texts with the pooling that the model was trained with."""

    kind: Kind = "text"

    def __init__(self, spec: EncoderSpec, context: EncoderContext) -> None:
        library: Any = import_extra(
            "sentence_transformers",
            package="sentence-transformers",
            extra="text",
            purpose=f"encoder {spec.text!r}",
        )
        folder = find_model(spec, context, example="all-MiniLM-L6-v2")
        with quiet():
            self._model = library.SentenceTransformer(
                str(folder),
                device=str(context.torch_device()),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        self.name = f"sentence-transformers {name_model(spec)}"
        self.version = version("sentence-transformers")
        self.weights = hash_files(folder)
        self.width = len(self._encode(["width"])[0])
        self.settings: dict[str, Any] = {"max_tokens": self._model.max_seq_length}

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """Encode b texts: ``[b, d]``."""
        if not batch:
            return np.empty((0, self.width), dtype=np.float32)
        return self._encode(list(batch))

    def _encode(self, texts: list[str]) -> FloatMatrix:
        vectors = self._model.encode(
            texts, batch_size=len(texts), convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


def build(spec: EncoderSpec, context: EncoderContext) -> SentenceEncoder:
    """Build the encoder ``sentence-transformers:MODEL``."""
    spec.check_options()
    return SentenceEncoder(spec, context)
