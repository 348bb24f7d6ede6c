"""Renders the flags small and describes each by its edges and its colours."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from momok.encoders import EncoderContext, build_encoder
from world.sources import Sources

WIDTH, HEIGHT = 64, 48
MOST_COLOURS = 64


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
    encoder = build_encoder("image", "descriptor", EncoderContext())
    return encoder.encode([Image.open(folder / name).convert("RGB") for name in names])
