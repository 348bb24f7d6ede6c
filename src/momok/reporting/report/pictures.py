"""Small copies of the pictures of entities, to put into the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from momok.errors import MomokError
from momok.graph import load_graph
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture
from momok.reporting.report.contents import RunContents

__all__ = ["Picture", "Pictures", "find_pictures"]

_SIDE = 96  # pixels: shown at half of that, sharp on dense screens
_QUALITY = 82


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A small picture: its ``data:`` address and its size in pixels of the page."""

    address: Markup
    width: int
    height: int


class Pictures:
    """Gives the picture of an entity decoded and encoded anew.

    Nothing of the file but its pixels gets into the page. Files that are no pictures are counted
    and left out.

    Args:
        files: entity id to picture file.
        note: why there are none, "" where there are.
    """

    def __init__(self, files: Mapping[int, Path], note: str = "") -> None:
        self._files = files
        self._made: dict[int, Picture | None] = {}
        self.note = note
        self.unreadable = 0

    def get(self, entity: int) -> Picture | None:
        """The picture of an entity, or None."""
        if entity not in self._made:
            path = self._files.get(entity)
            made = None if path is None else _encode(path)
            self.unreadable += path is not None and made is None
            self._made[entity] = made
        return self._made[entity]

    def __bool__(self) -> bool:
        return bool(self._files)


def find_pictures(contents: RunContents, wanted: bool) -> Pictures:
    """The pictures of a run's entities, which stay in the folder that its graph was read from."""
    if not wanted:
        return Pictures({}, "Pictures were left out (--no-pictures).")
    source = str(contents.data["source"])
    if not source:
        return Pictures({}, "The graph was made in memory, so there are no pictures.")
    try:
        graph = load_graph(source, split="published")
    except MomokError:
        return Pictures({}, f"Without pictures: the graph's folder {source} cannot be read now.")
    entities = contents.graph.entities
    files = {
        entities.index(label): path
        for entity, path in graph.pictures.items()
        if (label := graph.entities.labels[entity]) in entities
    }
    return Pictures(files, "" if files else "The graph has no pictures.")


def _encode(path: Path) -> Picture | None:
    try:
        with ignore_picture_warnings():
            picture = open_picture(path, side=2 * _SIDE, transparency=True)
    except PictureError:
        return None
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY)
    code = base64.b64encode(buffer.getvalue()).decode()
    return Picture(
        address=Markup(f"data:image/webp;base64,{code}"),  # letters of base64 only
        width=max(picture.width // 2, 1),
        height=max(picture.height // 2, 1),
    )
