"""What a picture may be: formats and sizes, for all who open one."""

from __future__ import annotations

from functools import cache

__all__ = ["MAX_BYTES", "MAX_PIXELS", "list_formats"]

# A picture of more is refused: 256 MiB as RGB, Pillow's own limit for a warning. A small file can
# claim any size (decompression bomb).
MAX_PIXELS = 89_478_485
MAX_BYTES = 256 << 20

# Pictures of pixels only: Pillow hands others (EPS, WMF) to programs of the system.
_FORMATS = (
    *("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "TGA"),
    *("JPEG2000", "AVIF"),
)


@cache
def list_formats() -> tuple[str, ...]:
    """List the formats of pictures of pixels that this Pillow can open."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)
