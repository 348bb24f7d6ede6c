"""Which encoders there are: those of momok, and those of others by entry points.

A package adds one with an entry point in the group ``momok.encoders``: its name is the NAME of the
SPEC, its object a function ``(EncoderSpec, EncoderContext) -> Encoder``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from momok.encoders.encoder import KINDS, Encoder, EncoderContext, Kind
from momok.encoders.specs import EncoderSpec, parse_spec
from momok.errors import ConfigError
from momok.graph.names import suggest_near_misses

__all__ = ["BUILT_IN", "DEFAULT_SPECS", "ENTRY_POINTS", "EncoderEntry", "build_encoder"]

ENTRY_POINTS = "momok.encoders"
BuildEncoder = Callable[[EncoderSpec, EncoderContext], Encoder[Any]]
_MEMBERS = ("kind", "name", "version", "weights", "settings", "width", "encode")

DEFAULT_SPECS: dict[Kind, str] = {"text": "use", "image": "descriptor", "numeric": "quantile"}


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder that comes with momok.

    Attributes:
        name: the NAME of its SPEC.
        kind: what it reads.
        module: where its function ``build`` is; imported when used.
        extra: the extra that installs what it needs, "" where nothing is needed.
        about: what it is, in a few words.
    """

    name: str
    kind: Kind
    module: str
    extra: str
    about: str


BUILT_IN: tuple[EncoderEntry, ...] = (
    EncoderEntry("use", "text", "universal", "use", "universal sentence encoder, multilingual"),
    EncoderEntry(
        "sentence-transformers", "text", "sentences", "text", "any sentence-transformers model"
    ),
    EncoderEntry("transformers", "text", "language", "text", "any transformers text encoder"),
    EncoderEntry("descriptor", "image", "descriptor", "image", "edges and colours; no weights"),
    EncoderEntry(
        "efficientnet-lite0", "image", "efficientnet", "efficientnet", "pretrained on ImageNet"
    ),
    EncoderEntry(
        "transformers", "image", "vision", "vision", "CLIP, SigLIP, DINOv2, ViT, BEiT, ..."
    ),
    EncoderEntry("quantile", "numeric", "scaling", "", "place among the values of the attribute"),
    EncoderEntry("log", "numeric", "scaling", "", "logarithm, standardised per attribute"),
)


def build_encoder(kind: Kind, spec: str, context: EncoderContext) -> Encoder[Any]:
    """Build the encoder that a SPEC names.

    Args:
        kind: what is to be encoded.
        spec: for example ``use`` or ``transformers:models/vit?pooling=cls``.
        context: device, leave to download, numbers to fit to.

    Raises:
        ConfigError: there is no such encoder, it reads something else, or its options are wrong.
        MissingExtraError: a package that it needs is not installed.
        FeatureError: its weights are missing, or not those they should be.
    """
    parsed = parse_spec(spec)
    entry = next((e for e in BUILT_IN if (e.name, e.kind) == (parsed.name, kind)), None)
    if entry is not None:
        build: BuildEncoder = import_module(f"momok.encoders.{entry.module}").build
        return build(parsed, context)
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if parsed.name in others:
        return _build_foreign(others[parsed.name], kind, parsed, context)
    raise ConfigError(_say_unknown(kind, parsed, [*others]))


def _build_foreign(
    point: EntryPoint, kind: Kind, spec: EncoderSpec, context: EncoderContext
) -> Encoder[Any]:
    """Build an encoder of another package, and check that it is one."""
    where = f"encoder {spec.text!r} (entry point {point.value!r} of {ENTRY_POINTS})"
    try:
        build = point.load()
    except Exception as error:
        raise ConfigError(f"{where}: cannot be loaded: {type(error).__name__}: {error}") from error
    encoder: Encoder[Any] = build(spec, context)
    missing = [member for member in _MEMBERS if not hasattr(encoder, member)]
    if missing:
        raise ConfigError(f"{where}: is no encoder; it lacks {', '.join(missing)}")
    if encoder.kind not in KINDS or encoder.kind != kind:
        raise ConfigError(f"{where}: reads {encoder.kind}, not {kind}")
    return encoder


def _say_unknown(kind: Kind, spec: EncoderSpec, others: Sequence[str]) -> str:
    elsewhere = sorted({entry.kind for entry in BUILT_IN if entry.name == spec.name})
    if elsewhere:
        return f"encoder {spec.text!r}: {spec.name} encodes {' and '.join(elsewhere)}, not {kind}"
    names = [entry.name for entry in BUILT_IN if entry.kind == kind] + list(others)
    near = suggest_near_misses(spec.name, names) or f"; for {kind} there are {', '.join(names)}"
    return f"encoder {spec.text!r}: there is no encoder {spec.name!r}{near}"
