"""Any sentence-transformers model (Reimers & Gurevych, arXiv:1908.10084)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from momok.encoders.encoder import EncoderContext, FloatMatrix, Kind
from momok.encoders.pretrained import (
    find_model,
    hash_files,
    load_model,
    name_model,
    silence_library,
)
from momok.encoders.registry import EncoderSpec
from momok.errors import FeatureError
from momok.extras import import_extra


class SentenceEncoder:
    """Encodes texts with the pooling that the model was trained with."""

    kind: Kind = "text"

    def __init__(self, spec: EncoderSpec, context: EncoderContext) -> None:
        spec.check_options()
        library = import_extra(
            "sentence_transformers", "text", f"encoder {spec.text!r}", "sentence-transformers"
        )
        folder = find_model(spec, context, example="all-MiniLM-L6-v2")
        _check_weights(folder)
        with silence_library():
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


def _check_weights(folder: Path) -> None:
    """Look at a model's parts before the library does, which opens pickles and makes up weights.

    Raises:
        FeatureError: a part has its weights as a pickle alone, or its transformer lacks some.
    """
    from transformers import AutoModel

    parts = folder / "modules.json"
    modules = json.loads(parts.read_bytes()) if parts.is_file() else [{"path": ""}]
    for module in modules:
        part = folder / module["path"]
        pickled = part / "pytorch_model.bin"
        if pickled.is_file() and not any(part.glob("*.safetensors")):
            raise FeatureError(
                f"{pickled}: is a pickle, which can run code and is not opened, and there are no "
                f"safetensors beside it: save the model again with save_pretrained(folder)"
            )
        plain = module.get("type", ".Transformer").endswith(".Transformer")
        if plain and (part / "config.json").is_file():
            load_model(AutoModel, part, unused=("pooler", "decoder", "lm_head"))
