"""Pictures for tests."""

from __future__ import annotations

import numpy as np
from PIL import Image


def draw_picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A picture of coloured blocks with some noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (5, 5, 3)).repeat(20, 0).repeat(20, 1)[:height, :width]
    noisy = np.clip(blocks + rng.integers(-9, 10, (height, width, 3)), 0, 255)
    return Image.fromarray(noisy.astype(np.uint8))
