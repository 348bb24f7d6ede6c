"""Encoding a modality of a graph: in batches, streaming, and going on after a kill."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from momok.encoders.encoder import Encoder, FloatMatrix
from momok.encoders.entities import Problem
from momok.encoders.inputs import Inputs
from momok.encoders.parts import FinishedPart, WorkFolder
from momok.errors import ConfigError, FeatureError, StorageError
from momok.graph.features import FeatureManifest, Features, save_features
from momok.graph.names import flatten
from momok.graph.vocabulary import Vocabulary
from momok.progress import Progress, no_progress
from momok.storage import lock_file, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Encoding", "encode_inputs"]

_KEEP_SECONDS = 5.0  # of work that a kill may cost


@dataclass(frozen=True)
class Encoding:
    """What came out.

    Attributes:
        features: the vectors and their manifest.
        problems: what has no vector, or not all that it should have.
        resumed: how many entities an earlier attempt had finished.
    """

    features: Features
    problems: tuple[Problem, ...]
    resumed: int


def encode_inputs(
    inputs: Inputs,
    encoder: Encoder[Any],
    folder: Path,
    *,
    modality: str,
    spec: str,
    batch: int = 64,
    half: bool = False,
    restart: bool = False,
    limit: int | None = None,
    keep_seconds: float = _KEEP_SECONDS,
    progress: Progress = no_progress,
) -> Encoding:
    """Encode what a graph's folder has of a modality, and write ``features/<modality>.*`` there.

    Finished parts are kept beside the features; the same call after a kill goes on with the first
    batch that is not among them, and gives the bytes that an uninterrupted one would have given.

    Args:
        inputs: what to encode.
        encoder: with what.
        folder: the folder of the graph.
        modality: the name of the modality.
        spec: how the encoder was named, for the manifest.
        batch: items encoded at once.
        half: write float16.
        restart: drop what an earlier attempt has finished.
        limit: encode the first entities only, to try something out.
        keep_seconds: how often what is finished is put on disk.
        progress: is told of the entities.

    Raises:
        FeatureError: an encoder's vectors cannot be used, nothing could be encoded, or an
            unfinished encoding of something else is in the way.
        ConfigError: the batch does not fit into the memory of the GPU.
        StorageError: the disk refused.
    """
    total = len(inputs.rows) if limit is None else min(limit, len(inputs.rows))
    job = _describe_job(inputs, encoder, modality, total)
    place = folder / "features" / f".encoding-{modality}"
    with _claim_folder(place, restart):
        work = WorkFolder(place, job, date.today().isoformat())
        resumed = work.done
        parts = _encode_parts(inputs, encoder, range(work.done, total, batch), total)
        _keep_parts(parts, work, total, keep_seconds, partial(progress, f"encoding {modality}"))
        matrix, items, found = _collect(work, inputs, encoder.width)
        problems = tuple(sorted([*inputs.problems, *found], key=lambda problem: problem.kind))
        if not items.any():
            work.remove()
            raise FeatureError(_say_nothing(problems))
        manifest = FeatureManifest(
            modality=modality,
            width=encoder.width,
            encoder=encoder.name,
            encoder_version=encoder.version,
            weights=encoder.weights,
            settings=_describe_settings(inputs, encoder, spec, limit),
            created=work.started,
            counts=_count(inputs, items, problems),
        )
        features = Features(matrix, items > 0, manifest)
        _write_problems(folder / "features" / f"{modality}.problems.tsv", problems)
        save_features(folder / "features", features, Vocabulary(inputs.labels), half=half)
        work.remove()
    return Encoding(features, problems, resumed)


def _describe_job(
    inputs: Inputs, encoder: Encoder[Any], modality: str, total: int
) -> dict[str, Any]:
    return {
        "modality": modality,
        "encoder": encoder.name,
        "encoder_version": encoder.version,
        "weights": encoder.weights,
        "encoder_settings": dict(encoder.settings),
        "input_settings": dict(inputs.settings),
        "inputs": inputs.fingerprint,
        "entities": total,
        "width": encoder.width,
    }


@contextmanager
def _claim_folder(place: Path, restart: bool) -> Iterator[None]:
    """Hold the work folder against other processes while the block runs."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{place.parent}: could not be made: {error.strerror}") from error
    lock = place.with_name(f"{place.name}.lock")
    with lock_file(lock) as mine:
        if not mine:
            raise FeatureError(f"{place}: another process is encoding this modality at the moment")
        if restart:
            shutil.rmtree(place, ignore_errors=True)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _encode_parts(
    inputs: Inputs, encoder: Encoder[Any], starts: range, total: int
) -> Iterator[FinishedPart]:
    """Encode a batch of entities after the other, from where an earlier attempt ended."""
    for start in starts:
        stop = min(start + starts.step, total)
        yield _encode_part(inputs, encoder, start, stop, starts.step)


def _keep_parts(
    parts: Iterator[FinishedPart],
    work: WorkFolder,
    total: int,
    keep_seconds: float,
    progress: Callable[[int, int], None],
) -> None:
    """Put parts on disk every few seconds; they end where batches end, wherever it is stopped."""
    waiting: list[FinishedPart] = []
    kept_at = time.monotonic()
    progress(work.done, total)
    try:
        for part in parts:
            waiting.append(part)
            progress(part.stop, total)
            if time.monotonic() - kept_at >= keep_seconds:
                work.write(_join(waiting))
                waiting, kept_at = [], time.monotonic()
    finally:  # also what was finished before Ctrl-C
        if waiting:
            work.write(_join(waiting))


def _encode_part(
    inputs: Inputs, encoder: Encoder[Any], start: int, stop: int, batch: int
) -> FinishedPart:
    """Encode the entities at these positions: the mean over the items of each."""
    sums = np.zeros((stop - start, encoder.width))
    items = np.zeros(stop - start, dtype=np.int64)
    problems: list[Problem] = []
    for owners, some, unread in inputs.read(start, stop, batch):
        problems += unread
        if not len(some):
            continue
        vectors = _encode_batch(encoder, some)
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            label = inputs.labels[inputs.rows[owners[bad[0]]]]
            raise FeatureError(f"{encoder.name}: gives NaN or infinity for {label!r}")
        np.add.at(sums, owners - start, vectors)
        np.add.at(items, owners - start, 1)
    means = (sums / np.maximum(items, 1)[:, None]).astype(np.float32)
    return FinishedPart(start, means, items, tuple(problems))


def _encode_batch(encoder: Encoder[Any], some: Any) -> FloatMatrix:
    try:
        vectors = encoder.encode(some)
    except RuntimeError as error:  # torch is imported by some encoders only
        if type(error).__name__ != "OutOfMemoryError":
            raise
        raise ConfigError(
            f"{encoder.name}: {len(some)} items at once do not fit into the memory of the GPU; "
            f"give a smaller --batch; what is finished is kept"
        ) from error
    expected = (len(some), encoder.width)
    if not isinstance(vectors, np.ndarray) or vectors.shape != expected:
        shape = getattr(vectors, "shape", type(vectors).__name__)
        raise FeatureError(f"{encoder.name}: gives {shape}, expected float32 {list(expected)}")
    if vectors.dtype != np.float32:
        raise FeatureError(f"{encoder.name}: gives {vectors.dtype}, expected float32")
    return vectors


def _join(parts: list[FinishedPart]) -> FinishedPart:
    return FinishedPart(
        parts[0].start,
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.items for part in parts]),
        tuple(problem for part in parts for problem in part.problems),
    )


def _collect(
    work: WorkFolder, inputs: Inputs, width: int
) -> tuple[FloatMatrix, np.ndarray[Any, np.dtype[np.int64]], list[Problem]]:
    """Bring all parts together: vectors ``[N, d]``, items per entity ``[N]``, problems."""
    matrix = np.zeros((len(inputs.labels), width), dtype=np.float32)
    items = np.zeros(len(inputs.labels), dtype=np.int64)
    problems: list[Problem] = []
    for path in work.parts:
        part = work.read(path)
        if part is None:
            raise FeatureError(f"{path}: was damaged while encoding; run the command again")
        rows = inputs.rows[part.start : part.stop]
        matrix[rows], items[rows] = part.vectors, part.items
        problems += part.problems
    return matrix, items, problems


def _describe_settings(
    inputs: Inputs, encoder: Encoder[Any], spec: str, limit: int | None
) -> dict[str, Any]:
    settings = {"spec": spec, **encoder.settings, **inputs.settings}
    if inputs.kind != "image":  # those of pictures are of file times, which a copy changes
        settings["inputs_sha256"] = inputs.fingerprint
    return settings if limit is None else {**settings, "limit": limit}


def _count(inputs: Inputs, items: Any, problems: tuple[Problem, ...]) -> Mapping[str, int]:
    counts = {"entities": len(inputs.labels), "encoded": int((items > 0).sum())}
    if inputs.kind == "image":
        counts["pictures"] = int(items.sum())
    return counts | dict(sorted(Counter(problem.kind for problem in problems).items()))


def _write_problems(path: Path, problems: tuple[Problem, ...]) -> None:
    """List what could not be encoded beside the features, or take an old list away."""
    if not problems:
        path.unlink(missing_ok=True)
        return
    lines = [("label", "problem", "about"), *((p.label, p.kind, p.about) for p in problems)]
    text = "".join("\t".join(map(flatten, line)) + "\n" for line in lines)
    write_file(path, text.encode("utf-8", "backslashreplace"))


def _say_nothing(problems: tuple[Problem, ...]) -> str:
    unread = [problem for problem in problems if problem.kind == "unreadable"]
    example = f"; the first: {unread[0].about}" if unread else ""
    return f"nothing could be encoded: none of {len(unread):,} pictures can be read{example}"
