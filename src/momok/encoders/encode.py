"""Encoding a modality of a graph: in batches, streaming, and going on after a kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from momok.arrays import FloatMatrix
from momok.cluster import map_on_cluster
from momok.encoders.encoder import DEFAULT_SPECS, Encoder, EncoderContext, Kind, build_encoder
from momok.encoders.inputs import Inputs, Problem, read_inputs
from momok.encoders.parts import FinishedParts, Part, open_parts
from momok.errors import ConfigError, FeatureError
from momok.graph.features import FeatureManifest, Features, check_modality_name, save_features
from momok.graph.names import Vocabulary, flatten
from momok.progress import Progress, no_progress
from momok.storage import check_path, write_file

_KEEP_SECONDS = 5.0  # of encoding that a kill may cost


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


def encode_modality(
    folder: str | Path,
    kind: Kind,
    *,
    encoder: str | Encoder[Any] | None = None,
    modality: str | None = None,
    fields: Sequence[str] = ("name", "description"),
    batch: int = 64,
    half: bool = False,
    replace: bool = False,
    restart: bool = False,
    limit: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    allow_download: bool = False,
    ray: str = "",
    progress: Progress = no_progress,
) -> Encoding:
    """Encode the texts, pictures or numbers of a graph, and write the vectors into its folder.

    Finished parts are kept beside the features; the same call after a kill goes on with the first
    batch that is not among them, and gives the bytes that an uninterrupted one would have given.

    Args:
        folder: the folder of a graph, momok's or a benchmark's.
        kind: what to encode.
        encoder: one, or its SPEC, as ``use`` or ``transformers:models/vit?pooling=cls``; the
            default of the kind where it is left out.
        modality: the name of the result; that of the kind where it is left out.
        fields: for texts, the columns that make one up.
        batch: items encoded at once.
        half: write float16.
        replace: replace a modality of this name that is there.
        restart: drop what an interrupted attempt has finished.
        limit: encode the first entities only, to try something out.
        device: where to compute, for an encoder given by its SPEC.
        allow_download: weights may be downloaded.
        ray: the address of a Ray cluster whose machines see the folder: ``auto``,
            ``ray://HOST:PORT`` or ``local``; the vectors are the same.
        progress: is told of the entities.

    Raises:
        MomokError: the graph cannot be read, the encoder cannot be built, nothing can be encoded,
            an unfinished encoding of something else is in the way, or the disk refused.
    """
    if kind not in DEFAULT_SPECS:
        raise ConfigError(f"kind = {kind!r}: expected {', '.join(DEFAULT_SPECS)}")
    name, folder = modality or kind, check_path(folder, "graph")
    folder = folder.absolute() if ray else folder
    unfinished = folder / "features" / f".encoding-{name}"
    # What is begun goes on, even if it was killed when all was written but its parts not removed.
    replace = replace or unfinished.is_dir()
    _check_request(folder / "features" / f"{name}.json", name, batch, limit, replace)
    inputs, numbers = read_inputs(folder, kind, fields)
    total = len(inputs.rows) if limit is None else min(limit, len(inputs.rows))
    context = EncoderContext(device=device, allow_download=allow_download, numbers=numbers)
    spec = encoder or DEFAULT_SPECS[kind]
    encoder = build_encoder(kind, spec, context) if isinstance(spec, str) else spec
    settings: dict[str, Any] = {} if limit is None else {"limit": limit}
    settings["spec"] = spec if isinstance(spec, str) else encoder.name
    with open_parts(unfinished, _describe_job(inputs, encoder, name, total), restart) as finished:
        resumed = finished.done
        starts, work = range(resumed, total, batch), partial(_encode_part, inputs, total, batch)
        parts: Iterable[Part] = map(partial(work, encoder), starts)
        if ray:
            load = partial(_load_work, work, kind, spec, context)
            parts = map_on_cluster(ray, load, starts, gpus=device != "cpu")
        finished.keep(parts, total, _KEEP_SECONDS, partial(progress, f"encoding {name}"))
        features, problems = _collect(finished, inputs, encoder, name, settings)
        _write_problems(folder / "features" / f"{name}.problems.tsv", problems)
        save_features(folder / "features", features, Vocabulary(inputs.labels), half=half)
        finished.remove()
    return Encoding(features, problems, resumed)


def _check_request(manifest: Path, name: str, batch: int, limit: int | None, replace: bool) -> None:
    check_modality_name(name)
    for option, value in (("batch", batch), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"a {option} of {value}: expected 1 or more")
    if not replace and manifest.is_file():
        raise FeatureError(
            f"{manifest}: this modality is there already; replace it with --replace, or give the "
            f"new one another --name"
        )


def _describe_job(inputs: Inputs, encoder: Encoder[Any], name: str, total: int) -> dict[str, Any]:
    """What an attempt that goes on must have in common with the one before."""
    return {
        "modality": name,
        "encoder": encoder.name,
        "encoder_version": encoder.version,
        "weights": encoder.weights,
        "encoder_settings": dict(encoder.settings),
        "input_settings": dict(inputs.settings),
        "inputs": inputs.fingerprint,
        "entities": total,
        "width": encoder.width,
    }


def _load_work(
    work: Callable[[Encoder[Any], int], Part],
    kind: Kind,
    spec: str | Encoder[Any],
    context: EncoderContext,
) -> Callable[[int], Part]:
    """What encodes a part, in a process of its own: it loads the encoder there."""
    return partial(work, build_encoder(kind, spec, context) if isinstance(spec, str) else spec)


def _encode_part(inputs: Inputs, total: int, batch: int, encoder: Encoder[Any], start: int) -> Part:
    """Encode a batch of entities: the mean over the items of each."""
    count = min(start + batch, total) - start
    sums = np.zeros((count, encoder.width))
    items = np.zeros(count, dtype=np.int64)
    problems: list[Problem] = []
    for owners, some, unread in inputs.read(start, start + count, batch):
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
    return Part(start, means, items, tuple(problems))


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


def _collect(
    finished: FinishedParts,
    inputs: Inputs,
    encoder: Encoder[Any],
    name: str,
    settings: Mapping[str, Any],
) -> tuple[Features, tuple[Problem, ...]]:
    """Bring all parts together: the vectors of all entities, and what has none."""
    matrix = np.zeros((len(inputs.labels), encoder.width), dtype=np.float32)
    items = np.zeros(len(inputs.labels), dtype=np.int64)
    unread: list[Problem] = []
    for part in finished.read():
        rows = inputs.rows[part.start : part.stop]
        matrix[rows], items[rows] = part.vectors, part.items
        unread += part.problems
    if not items.any():
        finished.remove()
        example = f"; the first: {unread[0].about}" if unread else ""
        raise FeatureError(
            f"nothing could be encoded: none of {len(unread):,} pictures can be read{example}"
        )
    problems = tuple(sorted([*inputs.problems, *unread], key=lambda problem: problem.kind))
    made_of = {} if inputs.kind == "image" else {"inputs_sha256": inputs.fingerprint}
    manifest = FeatureManifest(
        modality=name,
        width=encoder.width,
        encoder=encoder.name,
        encoder_version=encoder.version,
        weights=encoder.weights,
        # the fingerprint of pictures is of file times, which a copy changes
        settings={**settings, **encoder.settings, **inputs.settings, **made_of},
        created=finished.started,
        counts=_count(inputs, items, problems),
    )
    return Features(matrix, items > 0, manifest), problems


def _count(inputs: Inputs, items: Any, problems: tuple[Problem, ...]) -> dict[str, int]:
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
