"""Small copies of the pictures of entities, to put into the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from momok.errors import MomokError
from momok.graph import MultimodalGraph, load_graph
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import name_entity, write

_SIDE = 96  # pixels: shown at half of that, sharp on dense screens
_QUALITY = 82


class Pictures:
    """Shows entities with their pictures, decoded and encoded anew.

    Nothing of a file but its pixels gets into the page. Files that are no pictures are counted and
    left out.

    Args:
        graph: has the names.
        files: entity id to picture file.
        note: why there are none, "" where there are.
    """

    def __init__(self, graph: MultimodalGraph, files: Mapping[int, Path], note: str = "") -> None:
        self._graph = graph
        self._files = files
        self._shown: dict[int, Markup] = {}
        self.note = note
        self.unreadable = 0

    def show(self, entity: int) -> Markup:
        """The name of an entity, after its picture where it has one."""
        if entity not in self._shown:
            picture = Markup("")
            if entity in self._files:
                alt = f"Picture of {self._graph.entity_names[entity][:80]}"
                picture = encode_picture(self._files[entity], alt)
                self.unreadable += not picture
            name = name_entity(self._graph, entity)
            self._shown[entity] = write('<span class="entity">{}{}</span>', picture, name)
        return self._shown[entity]


def find_pictures(contents: RunContents, *, wanted: bool) -> Pictures:
    """The pictures of a run's entities, which stay in the folder that its graph was read from."""
    source = str(contents.data["source"].value)
    files: dict[int, Path] = {}
    if not wanted:
        note = "Pictures were left out (--no-pictures)."
    elif not source:
        note = "The graph was made in memory, so there are no pictures."
    else:
        try:
            graph = load_graph(source, split="published")
        except MomokError:
            note = f"Without pictures: the graph's folder {source} cannot be read now."
        else:
            entities = contents.graph.entities
            files = {
                entities.index(label): path
                for entity, path in graph.pictures.items()
                if (label := graph.entities.labels[entity]) in entities
            }
            note = "" if files else "The graph has no pictures."
    return Pictures(contents.graph, files, note)


def encode_picture(path: Path, alt: str) -> Markup:
    """A small copy of a picture as an ``<img>`` element; empty where the file is no picture."""
    try:
        with ignore_picture_warnings():
            picture = open_picture(path, side=2 * _SIDE, transparency=True)
    except PictureError:
        return Markup("")
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY)
    code = base64.b64encode(buffer.getvalue()).decode()
    return write(
        '<img src="data:image/webp;base64,{}" alt="{}" width="{}" height="{}">',
        code, alt, max(picture.width // 2, 1), max(picture.height // 2, 1),
    )  # fmt: skip
