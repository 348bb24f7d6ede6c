"""Finished parts of an encoding on disk, so that a killed one goes on where it stood.

The folder holds ``job.json``, which says what is being encoded with what, and parts named by the
positions they cover, ``000000000000-000000000064.safetensors``. A part appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from momok.arrays import FloatMatrix, Ints
from momok.encoders.inputs import Problem
from momok.errors import FeatureError
from momok.storage import lock_file, parse_json, remove_drafts, write_file


@dataclass(frozen=True, eq=False)
class Part:
    """Vectors of the entities at positions ``start`` to ``stop``.

    Attributes:
        vectors: ``[stop - start, d]``.
        items: how many items each vector is the mean of ``[stop - start]``; 0: there is none.
    """

    start: int
    vectors: FloatMatrix
    items: Ints
    problems: tuple[Problem, ...] = ()

    @property
    def stop(self) -> int:
        """The position after the last."""
        return self.start + len(self.vectors)


@contextmanager
def open_parts(folder: Path, job: Mapping[str, Any], restart: bool) -> Iterator[FinishedParts]:
    """Hold the finished parts of a job against other processes while the block runs.

    Raises:
        FeatureError: what the folder holds belongs to another job, or another process is at it.
    """
    lock = folder.with_name(f"{folder.name}.lock")
    with lock_file(lock) as mine:
        if not mine:
            raise FeatureError(f"{folder}: another process is encoding this modality at the moment")
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            yield FinishedParts(folder, job)
        finally:
            lock.unlink(missing_ok=True)


class FinishedParts:
    """The finished parts of one encoding.

    Attributes:
        done: the position after the last; there are no gaps from position 0.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self._folder = folder
        self.started = self._claim(json.loads(json.dumps(job)))
        remove_drafts(folder)
        self._paths: list[Path] = []
        self.done = 0
        for path in sorted(folder.glob("*-*.safetensors")):
            part = _read_part(path)
            if part is None or part.start != self.done:
                break
            self._paths.append(path)
            self.done = part.stop

    def _claim(self, job: dict[str, Any]) -> str:
        """Note the job, or compare it with the one that is noted; give the day it was begun."""
        path = self._folder / "job.json"
        if not path.is_file():
            today = date.today().isoformat()
            write_file(path, json.dumps({"started": today, "job": job}, indent=1).encode())
            return today
        try:
            found = parse_json(path.read_bytes())
            there, started = dict(found["job"]), str(found["started"])
        except (OSError, ValueError, KeyError, TypeError):
            there, started = {}, ""
        if there != job:
            differing = sorted(k for k in {*there, *job} if there.get(k) != job.get(k))
            raise FeatureError(
                f"{self._folder}: an unfinished encoding is there that differs in "
                f"{', '.join(differing)}; finish it with what it was begun with, or drop it with "
                f"--restart"
            )
        return started

    def keep(
        self,
        parts: Iterable[Part],
        total: int,
        seconds: float,
        progress: Callable[[int, int], None],
    ) -> None:
        """Put parts on disk every few seconds; they end where batches end, wherever that is."""
        waiting: list[Part] = []
        kept_at = time.monotonic()
        progress(self.done, total)
        try:
            for part in parts:
                waiting.append(part)
                progress(part.stop, total)
                if time.monotonic() - kept_at >= seconds:
                    self._write(waiting)
                    waiting, kept_at = [], time.monotonic()
        finally:  # also what was finished before Ctrl-C
            if waiting:
                self._write(waiting)

    def _write(self, parts: list[Part]) -> None:
        path = self._folder / f"{parts[0].start:012d}-{parts[-1].stop:012d}.safetensors"
        problems = [asdict(problem) for part in parts for problem in part.problems]
        tensors: dict[str, NDArray[Any]] = {
            "vectors": np.concatenate([part.vectors for part in parts]),
            "items": np.concatenate([part.items for part in parts]),
        }
        write_file(path, save(tensors, metadata={"problems": json.dumps(problems)}))
        self._paths.append(path)
        self.done = parts[-1].stop

    def read(self) -> Iterator[Part]:
        """Read the parts back, in order.

        Raises:
            FeatureError: one was damaged meanwhile.
        """
        for path in self._paths:
            part = _read_part(path)
            if part is None:
                raise FeatureError(f"{path}: was damaged while encoding; run the command again")
            yield part

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _read_part(path: Path) -> Part | None:
    """Read a part; a damaged one is none."""
    try:
        with safe_open(path, framework="np") as file:
            problems = parse_json((file.metadata() or {})["problems"])
            vectors, items = file.get_tensor("vectors"), file.get_tensor("items")
        start, stop = map(int, path.stem.split("-"))
        part = Part(start, vectors, items, tuple(Problem(**each) for each in problems))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
    return part if part.stop == stop and len(items) == len(vectors) else None
