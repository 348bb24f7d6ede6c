"""A picture's edges and colours, without weights: 196 numbers.

96 of shape: a histogram of oriented gradients (Dalal & Triggs, CVPR 2005), 4 x 3 cells of 16
pixels, 8 directions. 100 of colour: a histogram in CIELAB. Each block has length 1.

The flags of the bundled graph are described by it. It tells drawings, logos, flags and dominant
colours apart; it knows nothing of what a photograph shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from momok.encoders.encoder import EncoderContext, FloatMatrix, Kind
from momok.encoders.registry import EncoderSpec
from momok.extras import import_extra

if TYPE_CHECKING:
    from PIL.Image import Image

_WIDTH, _HEIGHT = 64, 48  # pixels
_CELL, _DIRECTIONS = 16, 8
_LAB_BINS = (4, 5, 5)
_LAB_RANGES = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))
_NUMBERS = (_WIDTH // _CELL) * (_HEIGHT // _CELL) * _DIRECTIONS + 4 * 5 * 5


class DescriptorEncoder:
    """Describes pictures, scaled to 64 x 48 pixels."""

    kind: Kind = "image"
    name = "scikit-image HOG + CIELAB histogram"
    weights = ""
    width = _NUMBERS

    def __init__(self, spec: EncoderSpec, _context: EncoderContext) -> None:
        spec.check_options()
        needed_by = "image", f"encoder {spec.text!r}", "scikit-image"
        self._feature: Any = import_extra("skimage.feature", *needed_by)
        self._color: Any = import_extra("skimage.color", *needed_by)
        self.version = version("scikit-image")
        self.settings: dict[str, Any] = {
            "hog": "4x3 cells, 8 directions",
            "lab_bins": list(_LAB_BINS),
            "picture": f"{_WIDTH}x{_HEIGHT} RGB",
            "blocks": "each scaled to length 1",
        }

    def encode(self, batch: Sequence[Image]) -> FloatMatrix:
        """Encode b RGB pictures: ``[b, 196]``."""
        rows = np.empty((len(batch), _NUMBERS), dtype=np.float32)
        for row, picture in zip(rows, batch, strict=True):
            row[:] = self._describe(picture)
        return rows

    def _describe(self, picture: Image) -> FloatMatrix:
        from PIL.Image import Resampling

        if picture.size != (_WIDTH, _HEIGHT):
            picture = picture.resize((_WIDTH, _HEIGHT), Resampling.LANCZOS)
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
