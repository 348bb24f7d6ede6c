"""The published test facts with an entity that train never shows, counted apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from momok.graph.triples import mark_unseen


def read_split(folder: Path, split: str) -> list[list[str]]:
    lines = (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.removesuffix(".").rstrip() for line in lines]
    return [line.split("\t") if "\t" in line else line.split() for line in lines if line]


@pytest.mark.parametrize(
    ("name", "count"), [("MKG-W", 306), ("MKG-Y", 388), ("DB15K", 77), ("KVC16K", 13)]
)
def test_unseen_facts_of_the_published_splits(benchmarks: Path, name: str, count: int) -> None:
    splits = [read_split(benchmarks / name, split) for split in ("train", "test")]
    labels = sorted({label for split in splits for h, _, t in split for label in (h, t)})
    ids = {label: i for i, label in enumerate(labels)}
    train, test = (np.array([(ids[h], 0, ids[t]) for h, _, t in split]) for split in splits)
    assert int(mark_unseen(train, test, len(ids)).sum()) == count
