"""Starting the ranks of a run on one machine."""

from __future__ import annotations

import pytest

from momok.errors import ConfigError
from momok.runtime import usable_cores
from momok.training.sharding import start_ranks


@pytest.mark.parametrize(
    ("count", "words"), [(0, "at least 1"), (usable_cores() + 1, f"{usable_cores()} cores")]
)
def test_numbers_of_processes_that_cannot_be(count: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        start_ranks(count, ["train", "world"])
