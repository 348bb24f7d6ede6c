"""The run folder as ranks other than the first see it: they read it, and write nothing"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from momok.settings import RunConfig
from momok.training.run_folder import RunFolder


class FollowedRun(RunFolder):
    """A run that another rank writes."""

    @property
    def config(self) -> RunConfig:
        """As it is, but that nothing is sent to trackers."""
        config = super().config
        return config.model_copy(
            update={"training": config.training.model_copy(update={"track": ()})}
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        yield

    def set_state(self, state: str) -> None:
        pass

    def log(self, record: Mapping[str, Any], file: str = "metrics.jsonl") -> None:
        pass

    def settle_log(self) -> int:
        return 0

    def rewind_log(self, size: int) -> None:
        pass
