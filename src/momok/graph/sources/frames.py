"""The table library, or how to get it."""

from momok.errors import MissingExtraError

try:
    import polars as pl
except ImportError:
    raise MissingExtraError("polars", "data", "building a graph") from None

__all__ = ["pl"]
