"""Opening pictures of unknown origin: nothing is run, nothing huge is unpacked."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Floats
from momok.extras import import_extra

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# A picture of more is refused: 256 MiB as RGB, Pillow's own limit for a warning. A small file can
# claim any size (decompression bomb).
MAX_PIXELS = 89_478_485
MAX_BYTES = 256 << 20

# Pictures of pixels only: Pillow hands others (EPS, WMF) to programs of the system.
_FORMATS = (
    *("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "TGA"),
    *("JPEG2000", "AVIF"),
)

# Not through a link put there after the place was checked; not from a pipe that never ends.
_OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class PictureError(Exception):
    """A picture cannot be used; the message says why, in a few words."""


class PictureTooLargeError(PictureError):
    """A picture, or its file, is larger than what is opened."""


def open_picture(
    path: Path,
    root: Path | None = None,
    *,
    side: int | None = None,
    transparency: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> Picture:
    """Open a picture as RGB, upright; transparent parts become white, of several frames the first.

    Args:
        root: the folder that it must lie in, links resolved; anywhere where it is left out.
        side: the pixels that are wanted of it: a JPEG may be decoded at a smaller size with
            sides of at least this, which is faster.
        transparency: give RGBA where the picture has transparent parts.

    Raises:
        PictureError: it is missing, no regular file, outside the folder, in no known format,
            truncated or corrupt.
        PictureTooLargeError: it is larger than the limits.
    """
    import_extra("PIL", "image", "reading pictures", package="pillow")
    from PIL import Image, ImageOps, UnidentifiedImageError

    with _open_file(path, root, max_bytes) as file:
        try:
            with Image.open(file, formats=list_formats()) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    raise PictureTooLargeError(f"{width:,} x {height:,} pixels, too many")
                if side is not None:
                    picture.draft("RGB", (side, side))
                picture.load()
                return _convert(ImageOps.exif_transpose(picture), transparency)
        except PictureError:
            raise
        except MemoryError:
            raise PictureTooLargeError("does not fit into memory") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise PictureTooLargeError(f"more than {max_pixels:,} pixels, too many") from None
        except UnidentifiedImageError:
            raise PictureError("in no picture format that can be read") from None
        except Exception as error:  # decoders of broken files raise whatever they meet
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PictureError(f"corrupt or truncated: {reason[:160]}") from error


def encode_thumbnail(
    path: Path,
    root: Path | None = None,
    *,
    side: int,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """Make a picture small enough for a square of ``side`` pixels: WebP without metadata.

    Raises:
        PictureError: as ``open_picture``, whose other arguments it has.
    """
    from PIL import Image

    picture = open_picture(
        path, root, side=2 * side, transparency=True, max_pixels=max_pixels, max_bytes=max_bytes
    )
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.info = {}
    content = BytesIO()
    picture.save(content, "WEBP", quality=86, method=3)
    return content.getvalue()


@contextmanager
def ignore_picture_warnings() -> Iterator[None]:
    """Open pictures without Pillow's warnings of odd metadata and of sizes.

    Enter it around the threads that open pictures, not in them: they share the filters.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def list_formats() -> tuple[str, ...]:
    """List the formats of pictures of pixels that this Pillow can open."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _open_file(path: Path, root: Path | None, max_bytes: int) -> BinaryIO:
    try:
        real = Path(os.path.realpath(path))  # Path.resolve fails on a loop of links
        if root is not None and not real.is_relative_to(os.path.realpath(root)):
            raise PictureError("outside the folder of the graph")
        file = open(real, "rb", opener=lambda name, flags: os.open(name, flags | _OPEN_FLAGS))  # noqa: SIM115
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    except IsADirectoryError:
        raise PictureError("no file but a folder") from None
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot be read: {getattr(error, 'strerror', error)}") from error
    status = os.fstat(file.fileno())
    fault = None
    if not stat.S_ISREG(status.st_mode):
        fault = PictureError("no file but a pipe or device")
    elif status.st_size > max_bytes:
        fault = PictureTooLargeError(f"{status.st_size >> 20:,} MB, too many")
    if fault is not None:
        file.close()
        raise fault
    return file


def _convert(picture: Picture, transparency: bool) -> Picture:
    """Convert to RGB or RGBA; values of 16 bits are scaled, not cut off."""
    from PIL import Image

    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = Image.fromarray(_scale(np.asarray(picture, dtype=np.float64), picture.mode))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    if transparency:
        return layered
    white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered).convert("RGB")


def _scale(values: Floats, mode: str) -> NDArray[np.uint8]:
    """Scale grey values to 0 to 255: integers by the least of 8, 16 and 32 bits that holds them.

    Floating-point numbers are taken as 0 to 1, or where there are others from least to greatest.
    """
    values = np.nan_to_num(values, posinf=0, neginf=0)
    if mode == "F":
        low, high = min(0.0, values.min()), max(1.0, values.max())
        if (low, high) != (0, 1):
            low = values.min()
        return np.asarray((values - low) / (high - low or 1) * 255, dtype=np.uint8)
    bits = 16 if mode != "I" else next(b for b in (8, 16, 32) if values.max() < 2**b)
    return np.asarray(np.clip(values, 0, None) / 2 ** (bits - 8), dtype=np.uint8)
