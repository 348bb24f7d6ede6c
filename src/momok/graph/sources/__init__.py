"""Facts, names, texts, pictures and numbers as people have them, read into a ``RawGraph``."""

from momok.graph.sources.raw import UNSPLIT, RawGraph

__all__ = ["UNSPLIT", "RawGraph"]
