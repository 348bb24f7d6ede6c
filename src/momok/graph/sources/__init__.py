"""Facts, names, texts, pictures and numbers as people have them, read into a ``RawGraph``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from momok.graph.sources.raw import UNSPLIT, RawGraph

if TYPE_CHECKING:
    from momok.graph.sources.pykeen import read_pykeen
    from momok.graph.sources.reading import SourceOptions, read_sources

# Imported when used: they need the extra `data`, which RawGraph does not.
_PLACES = {
    "SourceOptions": "momok.graph.sources.reading",
    "read_pykeen": "momok.graph.sources.pykeen",
    "read_sources": "momok.graph.sources.reading",
}

__all__ = ["UNSPLIT", "RawGraph", "SourceOptions", "read_pykeen", "read_sources"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
