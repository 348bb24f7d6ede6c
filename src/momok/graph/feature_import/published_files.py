"""The feature files that papers of this field publish, known by their names.

What is assumed of them is printed, since nothing in the files confirms it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BY_ID = "one row per line of the entity2id.txt of the same release"
_BY_DBPEDIA = (
    "one dataset per entity, keyed by the last part of its DBpedia address; the vectors of several "
    "{} are averaged"
)
_BY_FREEBASE = (
    "one dataset per entity, keyed by its Freebase identifier; the vectors of several pictures are "
    "averaged"
)
_DBPEDIA = "http://dbpedia.org/resource/"


@dataclass(frozen=True)
class PublishedFile:
    """A published feature file.

    Attributes:
        pattern: of the file's name; a group ``graph`` is the name of the graph.
        origin: the papers whose code reads it.
        modality: what the vectors are of.
        about: what is assumed, in words.
        key_prefix: what the keys leave out of the label.
    """

    pattern: str
    origin: str
    modality: str
    about: str
    key_prefix: str = ""


PUBLISHED_FILES: tuple[PublishedFile, ...] = (
    PublishedFile(r"img_features\.pth", "MoMoK, M-Hyper", "image", _BY_ID),
    PublishedFile(r"text_features\.pth", "MoMoK, M-Hyper", "text", _BY_ID),
    PublishedFile(r"numeric_features\.pth", "M-Hyper", "numeric", _BY_ID),
    PublishedFile(r"(?P<graph>.+)-visual\.pth", "NativE, AdaMF-MAT", "image", _BY_ID),
    PublishedFile(r"(?P<graph>.+)-textual\.pth", "NativE, AdaMF-MAT", "text", _BY_ID),
    PublishedFile(r"(?P<graph>.+)-numeric\.pth", "NativE", "numeric", _BY_ID),
    PublishedFile(
        r"(?P<graph>MKG_W|MKG_Y|MMKB)_description_sentences\.h5",
        *("MMRNS", "text", _BY_DBPEDIA.format("sentences"), _DBPEDIA),
    ),
    PublishedFile(
        r"(?P<graph>MKG_W|MKG_Y)_img_\w+[-\w]*\.h5",
        *("MMRNS", "image", _BY_DBPEDIA.format("pictures"), _DBPEDIA),
    ),
    PublishedFile(r"(?P<graph>MMKB)_img_\w+[-\w]*\.h5", "MMRNS", "image", _BY_FREEBASE),
)


def recognise(name: str) -> tuple[PublishedFile, str] | None:
    """Find the published file of this name, and the name of the graph in it, if any."""
    for published in PUBLISHED_FILES:
        found = re.fullmatch(published.pattern, name)
        if found:
            return published, found.groupdict().get("graph") or ""
    return None
