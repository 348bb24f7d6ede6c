"""From a graph's folder and a SPEC to a modality on disk: the one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from momok.encoders.encode import Encoding, encode_inputs
from momok.encoders.encoder import EncoderContext, Kind, NumberTable
from momok.encoders.entities import Entities, read_entities
from momok.encoders.inputs import (
    Inputs,
    read_numeric_inputs,
    read_picture_inputs,
    read_text_inputs,
)
from momok.encoders.registry import DEFAULT_SPECS, build_encoder
from momok.errors import ConfigError, FeatureError
from momok.graph.features import check_modality_name
from momok.progress import Progress, no_progress

__all__ = ["DEFAULT_FIELDS", "encode_modality"]

DEFAULT_FIELDS = ("name", "description")


def encode_modality(
    folder: Path,
    kind: Kind,
    *,
    spec: str | None = None,
    modality: str | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    batch: int = 64,
    half: bool = False,
    replace: bool = False,
    restart: bool = False,
    limit: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    allow_download: bool = False,
    keep_seconds: float = 5.0,
    progress: Progress = no_progress,
) -> Encoding:
    """Encode the texts, pictures or numbers of a graph, and write the vectors into its folder.

    Args:
        folder: the folder of a graph, momok's or a benchmark's.
        kind: what to encode.
        spec: the encoder, as ``use`` or ``transformers:models/vit?pooling=cls``; the default of
            the kind where it is left out.
        modality: the name of the result; that of the kind where it is left out.
        fields: for texts, the columns that make one up.
        batch: items encoded at once.
        half: write float16.
        replace: replace a modality of this name that is there.
        restart: drop what an interrupted attempt has finished.
        limit: encode the first entities only, to try something out.
        device: where to compute.
        allow_download: weights may be downloaded.
        keep_seconds: how often what is finished is put on disk.
        progress: is told of the entities.

    Raises:
        MomokError: the graph cannot be read, the encoder cannot be built, nothing can be encoded,
            or the disk refused.
    """
    name, spec = modality or kind, spec or DEFAULT_SPECS[kind]
    check_modality_name(name)
    if batch < 1:
        raise ConfigError(f"a batch of {batch}: expected 1 or more")
    if limit is not None and limit < 1:
        raise ConfigError(f"a limit of {limit}: expected 1 or more")
    if not replace and (folder / "features" / f"{name}.json").is_file():
        raise FeatureError(
            f"{folder / 'features' / name}.json: this modality is there already; replace it with "
            f"--replace, or give the new one another --name"
        )
    inputs, numbers = _read_inputs(read_entities(folder), kind, fields)
    context = EncoderContext(device=device, allow_download=allow_download, numbers=numbers)
    return encode_inputs(
        inputs,
        build_encoder(kind, spec, context),
        folder,
        modality=name,
        spec=spec,
        batch=batch,
        half=half,
        restart=restart,
        limit=limit,
        keep_seconds=keep_seconds,
        progress=progress,
    )


def _read_inputs(
    entities: Entities, kind: Kind, fields: Sequence[str]
) -> tuple[Inputs, NumberTable]:
    none = EncoderContext().numbers
    if kind == "text":
        return read_text_inputs(entities, fields), none
    if kind == "image":
        return read_picture_inputs(entities), none
    return read_numeric_inputs(entities)
