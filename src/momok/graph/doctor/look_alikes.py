"""One look at a picture: can it be decoded within bounds, and what does it look like from afar?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from momok.errors import MissingExtraError
from momok.graph.picture_limits import MAX_BYTES, MAX_PIXELS, list_formats

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Look", "look_at", "silence_decoders"]

_NO_COLOURS = np.zeros((8, 8, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Look:
    """What a look at a picture gave.

    Attributes:
        fault: why it cannot be used, "" where it can.
        message: the decoder's word on the fault.
        outline: 64 bits, one per pair of neighbours of a 9 x 8 grey picture: set where the
            brightness falls from left to right (the "difference hash").
        colours: the picture at 8 x 8, RGB.
    """

    fault: Literal["", "undecodable", "too-large"] = ""
    message: str = ""
    outline: int = 0
    colours: NDArray[np.uint8] = field(default_factory=lambda: _NO_COLOURS)


@contextmanager
def silence_decoders() -> Iterator[None]:
    """Decode without warnings; what matters of them is in each ``Look``.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise MissingExtraError("Pillow", "image", "looking at pictures") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def look_at(path: Path) -> Look:
    """Decode a picture within bounds of memory; every fault is told, none is raised."""
    from PIL import Image

    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            return Look("too-large", f"{size >> 20:,} MB")
        with Image.open(path, formats=list_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                return Look("too-large", f"{width:,} x {height:,} pixels")
            image.draft("RGB", (64, 64))  # JPEGs are then decoded at an eighth, all of the file
            return _summarise(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Look("too-large", str(error))
    except Exception as error:  # decoders of hostile files raise nearly anything
        said = " ".join(str(error).split()).replace(f" {str(path)!r}", "")
        return Look("undecodable", said[:160] or type(error).__name__)


def _summarise(image: Image) -> Look:
    from PIL import Image

    if image.mode not in ("RGB", "L"):  # transparent parts are seen on white
        opaque = image.convert("RGBA")
        image = Image.new("RGB", opaque.size, "white")
        image.paste(opaque, mask=opaque.getchannel("A"))
    small = image.convert("RGB").resize((32, 32), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    falls = (grey[:, 1:] < grey[:, :-1]).ravel()
    outline = int.from_bytes(np.packbits(falls).tobytes(), "big")
    colours = np.asarray(small.resize((8, 8), Image.Resampling.BOX), dtype=np.uint8)
    return Look(outline=outline, colours=colours)
