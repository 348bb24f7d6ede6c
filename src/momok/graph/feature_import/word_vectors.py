"""Vectors as word2vec and GloVe write them: a label and its numbers a line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from momok.errors import DataError, FeatureError
from momok.graph.feature_import.vectors import KeyedVectors, name_rows
from momok.graph.lines import read_lines


def read_word_vectors(path: Path) -> KeyedVectors:
    """Read lines of a label and numbers with blanks between them; labels may hold blanks.

    A first line of two whole numbers gives how many lines follow, and how many numbers each has.

    Raises:
        FeatureError: the file is missing or no text, or a line has another number of numbers.
    """
    try:
        lines = [line.rstrip() for line in read_lines(path) if line.strip()]
    except DataError as error:
        raise FeatureError(str(error)) from None
    if lines and re.fullmatch(r"\d+ \d+", lines[0]):
        width, lines = int(lines[0].split()[1]), lines[1:]
    else:
        width = len(lines[0].split()) - 1 if lines else 0
    if not lines or width < 1:
        raise FeatureError("holds no lines of a label and numbers")
    labels, rows = [], []
    for line in lines:
        label, *cells = line.rsplit(maxsplit=width)
        try:
            row = np.array(cells, dtype=np.float32)
        except ValueError:
            row = np.empty(0, dtype=np.float32)
        if len(row) != width:
            raise FeatureError(f"expected a label and {width} numbers, found {line[:80]!r}")
        labels.append(label)
        rows.append(row)
    return name_rows(labels, rows)
