"""Finished parts of an encoding on disk, so that a killed one goes on where it stood.

The folder holds ``job.json``, which says what is being encoded with what, and parts named by the
positions they cover, ``000000000000-000000000064.safetensors``. A part appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from momok.encoders.encoder import FloatMatrix
from momok.encoders.entities import Problem
from momok.errors import FeatureError
from momok.storage import remove_drafts, write_file

__all__ = ["FinishedPart", "WorkFolder"]

_JOB = "job.json"


@dataclass(frozen=True, eq=False)
class FinishedPart:
    """Vectors of the entities at positions ``start`` to ``stop``.

    Attributes:
        start: the first position.
        vectors: ``[stop - start, d]``.
        items: how many items each vector is the mean of ``[stop - start]``; 0: there is none.
        problems: what could not be read.
    """

    start: int
    vectors: FloatMatrix
    items: NDArray[np.int64]
    problems: tuple[Problem, ...] = ()

    @property
    def stop(self) -> int:
        """The position after the last."""
        return self.start + len(self.vectors)


class WorkFolder:
    """The finished parts of one encoding.

    Attributes:
        parts: their files, in order, without gaps from position 0.
        done: the position after the last.
        started: the day of the first attempt.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any], today: str) -> None:
        """Open the folder, or make it.

        Raises:
            FeatureError: what it holds belongs to another job.
            StorageError: the disk refused.
        """
        self._folder = folder
        self.started = self._claim(dict(job), today)
        remove_drafts(folder)
        self.parts, self.done = self._find_parts()

    def _claim(self, job: dict[str, Any], today: str) -> str:
        path = self._folder / _JOB
        if not path.is_file():
            write_file(path, json.dumps({"started": today, "job": job}, indent=1).encode())
            return today
        try:
            found = json.loads(path.read_bytes())
            there, started = dict(found["job"]), str(found["started"])
        except (OSError, ValueError, KeyError, TypeError):
            there, started = {}, ""
        wanted = json.loads(json.dumps(job))
        if there != wanted:
            differing = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
            raise FeatureError(
                f"{self._folder}: an unfinished encoding is there that differs in "
                f"{', '.join(differing)}; finish it with what it was begun with, or drop it with "
                f"--restart"
            )
        return started

    def _find_parts(self) -> tuple[list[Path], int]:
        parts, done = [], 0
        for path in sorted(self._folder.glob("*-*.safetensors")):
            part = self.read(path)
            if part is None or part.start != done:
                break
            parts.append(path)
            done = part.stop
        return parts, done

    def write(self, part: FinishedPart) -> None:
        """Keep a part.

        Raises:
            StorageError: the disk refused.
        """
        path = self._folder / f"{part.start:012d}-{part.stop:012d}.safetensors"
        problems = json.dumps([asdict(problem) for problem in part.problems])
        tensors: dict[str, NDArray[Any]] = {"vectors": part.vectors, "items": part.items}
        write_file(path, save(tensors, metadata={"problems": problems}))
        self.parts.append(path)
        self.done = part.stop

    def read(self, path: Path) -> FinishedPart | None:
        """Read a part back; a damaged one is none."""
        try:
            with safe_open(path, framework="np") as file:
                problems = json.loads((file.metadata() or {})["problems"])
                vectors, items = file.get_tensor("vectors"), file.get_tensor("items")
            start, stop = map(int, path.stem.split("-"))
            part = FinishedPart(start, vectors, items, tuple(Problem(**each) for each in problems))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            return None
        return part if part.stop == stop and len(items) == len(vectors) else None

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
