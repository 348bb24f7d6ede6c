"""Any vision model of transformers: CLIP, SigLIP, DINOv2, ViT, BEiT and others.

Option ``pooling``: ``auto`` (default) takes what the model was trained to compare pictures by: the
projected picture vector of a model of pictures and texts (CLIP, SigLIP), the mean of the patches
for BEiT, which has no trained first token, and the first token of others (ViT, DINOv2). ``cls``,
``mean`` (patches alone where there is a first token) and ``pooler`` choose one.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from momok.encoders.encoder import EncoderContext, FloatMatrix, Kind
from momok.encoders.pretrained import find_model, hash_files, load_model, name_model
from momok.encoders.registry import EncoderSpec
from momok.errors import FeatureError
from momok.extras import import_extra

if TYPE_CHECKING:
    from PIL.Image import Image

VisionPooling = Literal["auto", "cls", "mean", "pooler"]
_POOLINGS: tuple[VisionPooling, ...] = ("auto", "cls", "mean", "pooler")
_MEAN_BY_DEFAULT = ("beit", "data2vec-vision")  # their papers pool the patches


class VisionEncoder:
    """Encodes pictures with the preprocessing that is saved beside the model."""

    kind: Kind = "image"

    def __init__(self, spec: EncoderSpec, context: EncoderContext) -> None:
        spec.check_options("pooling")
        library = import_extra("transformers", "vision", f"encoder {spec.text!r}")
        pooling = spec.choose("pooling", _POOLINGS)
        folder = find_model(spec, context, example="facebook/dinov2-base")
        if not (folder / "preprocessor_config.json").is_file():
            raise FeatureError(
                f"{folder}: has no preprocessor_config.json, which says how the model wants its "
                f"pictures; save the image processor beside the model"
            )
        self._device = context.torch_device()
        # The processor on Pillow and NumPy: the other needs torchvision and rounds otherwise.
        self._processor = library.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, backend="pil"
        )
        unused = () if pooling == "pooler" else ("pooler",)
        model = load_model(library.AutoModel, folder, unused=unused)
        self._model = model.to(self._device)
        self._pooling = _settle_pooling(pooling, model, spec)
        self.name = f"transformers {name_model(spec)}"
        self.version = version("transformers")
        self.weights = hash_files(folder)
        self.settings: dict[str, Any] = {
            "pooling": self._pooling,
            "processor": type(self._processor).__name__,
        }
        self.width = self._measure_width()

    def encode(self, batch: Sequence[Image]) -> FloatMatrix:
        """Encode b RGB pictures: ``[b, d]``."""
        if not batch:
            return np.empty((0, self.width), dtype=np.float32)
        pixels = self._processor(images=list(batch), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            pooled = self._pool(pixels.to(self._device)).float()
        vectors: FloatMatrix = pooled.cpu().numpy()
        return vectors

    def _pool(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pictures ``[b, 3, h, w]`` to vectors ``[b, d]``."""
        if self._pooling == "projection":
            projected = self._model.get_image_features(pixel_values=pixels)
            return getattr(projected, "pooler_output", projected)  # type: ignore[no-any-return]
        vision = getattr(self._model, "vision_model", self._model)
        output = vision(pixel_values=pixels)
        states: torch.Tensor = output.last_hidden_state
        if self._pooling == "pooler":
            pooled: torch.Tensor = output.pooler_output
            return pooled.flatten(1)
        if states.ndim == 4:  # convolutional: [b, d, h, w]
            return states.mean(dim=(2, 3))
        if self._pooling == "cls":
            return states[:, 0]
        return states[:, _count_special(vision) :].mean(dim=1)

    def _measure_width(self) -> int:
        from PIL import Image

        self.width = 0
        return int(self.encode([Image.new("RGB", (32, 32))]).shape[1])


def _settle_pooling(pooling: VisionPooling, model: Any, spec: EncoderSpec) -> str:
    """Turn ``auto`` into what suits the model, and refuse what it does not have."""
    vision = getattr(model, "vision_model", model)
    if pooling == "auto":
        if hasattr(model, "get_image_features"):
            return "projection"
        by_mean = model.config.model_type in _MEAN_BY_DEFAULT or not _count_special(vision)
        return "mean" if by_mean else "cls"
    if pooling == "cls" and not _count_special(vision):
        raise FeatureError(
            f"encoder {spec.text!r}: {model.config.model_type} has no first token that stands for "
            f"the picture; choose pooling=mean or pooling=pooler"
        )
    return pooling


def _count_special(vision: Any) -> int:
    """Count the tokens before those of the patches: the first one, and registers."""
    embeddings = getattr(vision, "embeddings", None)
    names = ("cls_token", "class_embedding")
    if not any(getattr(embeddings, name, None) is not None for name in names):
        return 0
    return 1 + int(getattr(vision.config, "num_register_tokens", 0) or 0)
