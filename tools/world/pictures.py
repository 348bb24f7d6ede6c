"""Renders the flags small and describes each by its edges and its colours."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from world.sources import Sources

WIDTH, HEIGHT = 64, 48
MOST_COLOURS = 64

# Histogram of oriented gradients: 4 x 3 cells of 16 pixels, 8 directions = 96 numbers.
CELL, DIRECTIONS = 16, 8
# CIELAB histogram of the whole flag: 4 x 5 x 5 = 100 numbers.
LAB_BINS = (4, 5, 5)
LAB_RANGES = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))


def render_flags(sources: Sources, codes: list[str], folder: Path) -> dict[str, str]:
    """Write one PNG per distinct flag; returns country code -> file name.

    Countries with pixel-for-pixel the same flag share the file of the first code that has it,
    in the order given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file_of: dict[bytes, str] = {}
    found = {}
    for code in codes:
        png = _render(sources.flag_svg(code))
        if png not in file_of:
            file_of[png] = f"{code.lower()}.png"
            (folder / file_of[png]).write_bytes(png)
        found[code] = file_of[png]
    return found


def _render(svg: Path) -> bytes:
    """An opaque palette PNG of 64 x 48 pixels."""
    resvg: Any = importlib.import_module("resvg_py")
    drawn = resvg.svg_to_bytes(
        svg_string=svg.read_text(encoding="utf-8"),
        width=WIDTH,
        height=HEIGHT,
        background="#ffffff",
        skip_system_fonts=True,
    )
    picture = Image.open(io.BytesIO(bytes(drawn))).convert("RGB")
    small = picture.quantize(
        MOST_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    out = io.BytesIO()
    small.save(out, format="PNG", optimize=True)
    return out.getvalue()


def describe_flags(folder: Path, names: list[str]) -> NDArray[np.float32]:
    """One row of 196 numbers per picture file: 96 of shape, then 100 of colour, each block unit."""
    return np.stack([_describe(folder / name) for name in names])


def _describe(path: Path) -> NDArray[np.float32]:
    feature: Any = importlib.import_module("skimage.feature")
    color: Any = importlib.import_module("skimage.color")
    rgb = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64) / 255.0  # [48, 64, 3]
    shape = feature.hog(
        rgb,
        orientations=DIRECTIONS,
        pixels_per_cell=(CELL, CELL),
        cells_per_block=(1, 1),
        channel_axis=-1,
    )
    lab = color.rgb2lab(rgb).reshape(-1, 3)
    counts, _ = np.histogramdd(lab, bins=LAB_BINS, range=LAB_RANGES)
    colours = np.sqrt(counts.ravel() / len(lab))  # Hellinger: small emblems still count
    blocks = [block / max(float(np.linalg.norm(block)), 1e-12) for block in (shape, colours)]
    return np.concatenate(blocks).astype(np.float32)
