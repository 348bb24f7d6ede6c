"""Opening pictures of unknown origin: nothing is run, nothing huge is unpacked."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from momok.encoders.pretrained import import_extra
from momok.graph.picture_limits import MAX_BYTES, MAX_PIXELS, list_formats

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = ["PictureError", "open_picture"]

_BACKGROUND = (255, 255, 255)


class PictureError(Exception):
    """A picture cannot be used; the message says why, in a few words."""


def open_picture(path: Path, root: Path) -> Picture:
    """Open a picture as RGB, upright; transparent parts become white, of several frames the first.

    Args:
        path: the file.
        root: the folder that it must lie in, links resolved.

    Raises:
        PictureError: it is missing, no regular file, outside the folder, in no known format,
            truncated or corrupt, or larger than ``MAX_PIXELS`` or ``MAX_BYTES``.
    """
    library = import_extra("PIL.Image", package="pillow", extra="image", purpose="reading pictures")
    operations = import_extra(
        "PIL.ImageOps", package="pillow", extra="image", purpose="reading pictures"
    )
    _check_file(path, root)
    try:
        with library.open(path, formats=list_formats()) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureError(f"{picture.width:,} x {picture.height:,} pixels, too many")
            picture.load()
            return _make_rgb(operations.exif_transpose(picture))
    except PictureError:
        raise
    except MemoryError:
        raise PictureError("does not fit into memory") from None
    except (library.DecompressionBombError, library.DecompressionBombWarning):
        raise PictureError(f"more than {MAX_PIXELS:,} pixels, too many") from None
    except library.UnidentifiedImageError:
        raise PictureError("in no picture format that can be read") from None
    except Exception as error:  # decoders of broken files raise whatever they meet
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PictureError(f"corrupt or truncated: {said[:200]}") from error


def _check_file(path: Path, root: Path) -> None:
    real = Path(os.path.realpath(path))  # Path.resolve fails on a loop of links
    if not real.is_relative_to(os.path.realpath(root)):
        raise PictureError("outside the folder of the graph")
    try:
        status = real.stat()
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise PictureError("no file but a folder, pipe or device")
    if status.st_size > MAX_BYTES:
        raise PictureError(f"{status.st_size >> 20:,} MB, too many")


def _make_rgb(picture: Picture) -> Picture:
    """Convert to RGB; values of 16 bits are scaled, not cut off."""
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")
    if "A" in picture.getbands() or "transparency" in picture.info:
        from PIL import Image

        layered = picture.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (*_BACKGROUND, 255))
        picture = Image.alpha_composite(ground, layered)
    return picture.convert("RGB")
