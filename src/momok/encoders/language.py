"""Any text encoder of transformers, with a pooling of its token vectors.

Options: ``pooling`` mean (default), cls or max; ``max_tokens``, the length at which a text is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch

from momok.encoders.encoder import EncoderContext, FloatMatrix, Kind
from momok.encoders.pretrained import find_model, hash_files, load_model, name_model
from momok.encoders.registry import EncoderSpec
from momok.extras import import_extra

TextPooling = Literal["mean", "cls", "max"]
_POOLINGS: tuple[TextPooling, ...] = ("mean", "cls", "max")
_UNLIMITED = 10**6  # tokenizers without a limit say 10^30
_MOST_TOKENS = 512  # of a text, where the model itself knows no limit


class LanguageEncoder:
    """Encodes texts by pooling the last layer of a transformer; padding does not count."""

    kind: Kind = "text"

    def __init__(self, spec: EncoderSpec, context: EncoderContext) -> None:
        spec.check_options("pooling", "max_tokens")
        library = import_extra("transformers", "text", f"encoder {spec.text!r}")
        self._pooling = spec.choose("pooling", _POOLINGS)
        asked = spec.count("max_tokens", _UNLIMITED)
        folder = find_model(spec, context, example="bert-base-multilingual-cased")
        self._device = context.torch_device()
        self._tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        model = load_model(library.AutoModel, folder, unused=("pooler", "decoder", "lm_head"))
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        self._model = model.to(self._device)
        limit = _find_limit(self._tokenizer, model.config)
        self._max_tokens = min(asked, limit)
        self.name = f"transformers {name_model(spec)}"
        self.version = version("transformers")
        self.weights = hash_files(folder)
        self.settings: dict[str, Any] = {"pooling": self._pooling, "max_tokens": self._max_tokens}
        self.width = self._encode(["width"]).shape[1]

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """Encode b texts: ``[b, d]``."""
        if not batch:
            return np.empty((0, self.width), dtype=np.float32)
        return self._encode(list(batch))

    def _encode(self, texts: list[str]) -> FloatMatrix:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state.float()  # [b, tokens, d]
            pooled = pool_tokens(states, tokens["attention_mask"], self._pooling)
        vectors: FloatMatrix = pooled.cpu().numpy()
        return vectors


def pool_tokens(states: torch.Tensor, mask: torch.Tensor, pooling: TextPooling) -> torch.Tensor:
    """Pool token vectors ``[b, t, d]`` to ``[b, d]``; only tokens with mask ``[b, t]`` 1 count.

    ``cls`` is the first token that counts, which is the first of the text also where padding
    stands on the left.
    """
    counts = mask.unsqueeze(-1).to(states.dtype)  # [b, t, 1]
    if pooling == "mean":
        return (states * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)
    if pooling == "max":
        return states.masked_fill(counts == 0, -torch.inf).amax(dim=1)
    return states[torch.arange(len(states), device=states.device), mask.argmax(dim=1)]


def _find_limit(tokenizer: Any, config: Any) -> int:
    """Find how many tokens the model takes."""
    limit = int(min(tokenizer.model_max_length, _UNLIMITED))
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 2:
        # RoBERTa and its kin keep two positions for padding.
        limit = min(limit, positions - (2 if "roberta" in config.model_type else 0))
    return limit if limit < _UNLIMITED else _MOST_TOKENS
