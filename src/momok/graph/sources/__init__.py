"""Facts, names, texts, pictures and numbers as people have them, read into a ``RawGraph``."""

from momok.graph.sources.id_folders import read_pykeen
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.sources.reading import SourceOptions, read_sources

__all__ = ["UNSPLIT", "RawGraph", "SourceOptions", "read_pykeen", "read_sources"]
