"""Pictures of entities: read from the graph's folder only, decoded and written anew.

What is served is never the file itself but what Pillow makes of it: of a fixed type, of bounded
size, without metadata. A file that is no picture, is too large or leads out of the folder (also
by a link made after the graph was read) is not served.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image

from momok.graph.catalog import find_entry, find_folder
from momok.graph.pictures import PictureError, open_picture
from momok.prediction import Predictor
from momok.serving.cache import AnswerCache

__all__ = ["MEDIA_TYPE", "SIZES", "PictureShelf"]

MEDIA_TYPE = "image/webp"
SIZES = (96, 320, 800)
"""Longest sides in pixels that can be asked for."""

# Less than what is learned from: strangers ask for these, several at once.
_MAX_BYTES = 32 << 20
_MAX_PIXELS = 50_000_000
_KEPT_BYTES = 24 << 20
_AT_ONCE = threading.Semaphore(2)  # decoded pictures held in memory


class PictureShelf:
    """The pictures of a graph.

    Args:
        root: the graph's folder; nothing outside it is read.
        paths: entity id to file.
    """

    def __init__(self, root: Path | None, paths: Mapping[int, Path]) -> None:
        self._root = root
        self._paths = dict(paths) if root is not None else {}
        self._made = AnswerCache(_KEPT_BYTES)

    @staticmethod
    def open(predictor: Predictor) -> PictureShelf:
        """The pictures of the graph that a run was trained on, if it is there."""
        source = predictor.scorer.source
        place = source.state.location
        entry = find_entry(place) if place else None
        root = find_folder(entry) if entry is not None else Path(place) if place else None
        return PictureShelf(root, source.pictures)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, entity: object) -> bool:
        return entity in self._paths

    def render(self, entity: int, size: int) -> tuple[bytes, str] | None:
        """A picture as WebP with its longest side at most ``size``, and a tag of its content.

        None where there is none that can be shown.
        """
        path = self._paths.get(entity)
        if path is None or size not in SIZES:
            return None
        made = self._made.get((entity, size))
        if made is None:
            made = self._make(path, size)
            if made is None:
                return None
            self._made.put((entity, size), made)
        return made, hashlib.sha256(made).hexdigest()[:24]

    def _make(self, path: Path, size: int) -> bytes | None:
        with _AT_ONCE:
            try:
                picture = open_picture(
                    path,
                    self._root,
                    side=2 * size,
                    transparency=True,
                    max_pixels=_MAX_PIXELS,
                    max_bytes=_MAX_BYTES,
                )
            except PictureError:
                return None
            picture.thumbnail((size, size), Image.Resampling.LANCZOS)
            picture.info = {}
            made = BytesIO()
            picture.save(made, "WEBP", quality=86, method=3)
            return made.getvalue()
