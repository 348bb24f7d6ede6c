"""The exceptions of momok.

A message says what was found, where (file and line), what was expected and what to do.

What reads a file raises ``DataError`` where it is missing or cannot be read and ``FormatError``
where it does not follow its format; what writes one, ``StorageError`` where the disk refuses; what
needs an optional package, ``MissingExtraError``. Docstrings of inner functions name what else.
"""

from __future__ import annotations


class MomokError(Exception):
    """Anything a user can cause and mend; the command line prints its one line."""


class ConfigError(MomokError):
    """A setting that does not exist, or a value of the wrong kind or out of range."""


class DataError(MomokError):
    """The graph, on disk or in memory, cannot be used as it is."""


class FormatError(DataError):
    """A file does not follow its format; the message has file and line."""


class UnknownLabelError(DataError):
    """A label or name that the graph does not have."""


class AmbiguousNameError(DataError):
    """A display name that several entities share: a label must be given."""


class FeatureError(DataError):
    """Feature rows, widths or values that do not fit the graph."""


class RunError(MomokError):
    """A run folder is missing, incomplete or of another version."""


class CheckpointError(RunError):
    """A checkpoint is corrupt, truncated or was not written by momok."""


class TrainingError(MomokError):
    """Training cannot go on: a loss that is not finite, nothing to train on."""


class StorageError(MomokError):
    """The disk refused a write; what was there before is untouched."""


class FetchError(MomokError):
    """A download failed, or what came is not what was expected; nothing was put in place."""


class MissingExtraError(MomokError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'momok[{extra}]'")


def first_line(error: Exception) -> str:
    """Give the first line of what a library says of an error, or the error's kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
