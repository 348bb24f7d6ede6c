"""The feature files that papers of this field publish, known by their names.

What is assumed of them is said to the user, since nothing in the files tells it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["KNOWN_ARCHIVES", "Archive", "recognise"]

_BY_ID = "one row per line of the entity2id.txt of the same release"


@dataclass(frozen=True)
class Archive:
    """A published feature file.

    Attributes:
        pattern: of the file's name; a group ``graph`` is the name of the graph.
        origin: the papers whose code reads it.
        modality: what the vectors are of.
        by_id: rows are in the order of entity2id.txt; otherwise they have keys.
        about: what is assumed, in words.
        key_prefix: what the keys leave out of the label.
    """

    pattern: str
    origin: str
    modality: str
    by_id: bool
    about: str
    key_prefix: str = ""


KNOWN_ARCHIVES: tuple[Archive, ...] = (
    Archive(r"img_features\.pth", "MoMoK, M-Hyper", "image", True, _BY_ID),
    Archive(r"text_features\.pth", "MoMoK, M-Hyper", "text", True, _BY_ID),
    Archive(r"numeric_features\.pth", "M-Hyper", "numeric", True, _BY_ID),
    Archive(r"(?P<graph>.+)-visual\.pth", "NativE, AdaMF-MAT", "image", True, _BY_ID),
    Archive(r"(?P<graph>.+)-textual\.pth", "NativE, AdaMF-MAT", "text", True, _BY_ID),
    Archive(r"(?P<graph>.+)-numeric\.pth", "NativE", "numeric", True, _BY_ID),
    Archive(
        r"(?P<graph>MKG_W|MKG_Y|MMKB)_description_sentences\.h5",
        "MMRNS",
        "text",
        False,
        "one dataset per entity, keyed by the last part of its DBpedia address; the vectors of "
        "several sentences are averaged",
        "http://dbpedia.org/resource/",
    ),
    Archive(
        r"(?P<graph>MKG_W|MKG_Y)_img_\w+[-\w]*\.h5",
        "MMRNS",
        "image",
        False,
        "one dataset per entity, keyed by the last part of its DBpedia address; the vectors of "
        "several pictures are averaged",
        "http://dbpedia.org/resource/",
    ),
    Archive(
        r"(?P<graph>MMKB)_img_\w+[-\w]*\.h5",
        "MMRNS",
        "image",
        False,
        "one dataset per entity, keyed by its Freebase identifier; the vectors of several pictures "
        "are averaged",
    ),
)


def recognise(name: str) -> tuple[Archive, str] | None:
    """Find the archive that a file name belongs to, and the name of the graph in it, if any."""
    for archive in KNOWN_ARCHIVES:
        found = re.fullmatch(archive.pattern, name)
        if found:
            return archive, found.groupdict().get("graph") or ""
    return None
