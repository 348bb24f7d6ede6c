"""An encoder that takes its time and writes down what it was given; run it to encode a folder.

python slow_encoder.py FOLDER SECONDS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from momok.encoders import encode_modality


class LetterEncoder:
    """Counts of the letters a to h; notes every text in ``seen.txt`` of the folder given."""

    kind = "text"
    name = "letters"
    version = "1"
    weights = ""
    width = 8

    def __init__(
        self, notes: Path | None = None, seconds: float = 0.0, settings: Mapping[str, Any] = {}
    ) -> None:
        self.notes, self.seconds, self.settings = notes, seconds, dict(settings)

    def encode(self, batch: Sequence[str]) -> np.ndarray:
        time.sleep(self.seconds)
        if self.notes is not None:
            with self.notes.open("a", encoding="utf-8") as file:
                file.writelines(f"{text}\n" for text in batch)
        rows = [[text.count(letter) + len(text) / 100 for letter in "abcdefgh"] for text in batch]
        return np.array(rows, dtype=np.float32).reshape(len(batch), 8)


def encode(folder: Path, notes: Path | None = None, seconds: float = 0.0, **options: Any) -> Any:
    """Encode the names of a folder, a batch of 4 at a time, each put on disk at once."""
    options = {"batch": 4, "fields": ("name",), "replace": True} | options
    options.setdefault("encoder", LetterEncoder(notes, seconds))
    kept = options.pop("keep_seconds", 0.0)
    with mock.patch("momok.encoders.encode._KEEP_SECONDS", kept):
        return encode_modality(folder, "text", **options)


if __name__ == "__main__":
    encode(Path(sys.argv[1]), Path(sys.argv[1]) / "seen.txt", float(sys.argv[2]))
