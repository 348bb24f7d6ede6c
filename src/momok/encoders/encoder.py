"""What an encoder is: something that turns a batch of texts, pictures or numbers into vectors.

Everything that follows - streaming, resuming, masks, files - is done around an encoder by
``momok.encoders.encode`` and asks nothing more of it than this.

An encoder is named by a SPEC, ``NAME[:MODEL][?key=value&key=value]``: ``use``, ``quantile``,
``transformers:models/bert?pooling=cls&max_tokens=128``. A package adds an encoder with an entry
point in the group ``momok.encoders``: its name is the NAME of the SPEC, its object a class or
function ``(EncoderSpec, EncoderContext) -> Encoder``.

Notation: b items in a batch, d numbers per vector, A attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

from momok.arrays import FloatMatrix, Floats
from momok.errors import ConfigError, FeatureError, first_line
from momok.graph.names import suggest_near_misses

if TYPE_CHECKING:
    import torch

Kind: TypeAlias = Literal["text", "image", "numeric"]
"""What an encoder reads: texts, pictures, or numbers by attribute."""

Item_contra = TypeVar("Item_contra", contravariant=True)

ENTRY_POINTS = "momok.encoders"
_MEMBERS = ("kind", "name", "version", "weights", "settings", "width", "encode")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_Choice = TypeVar("_Choice", bound=str)


class Encoder(Protocol[Item_contra]):
    """Turns items into vectors. An item's vector depends on the item alone, not on its batch.

    Items are, by kind: ``text`` a non-blank ``str``; ``image`` a ``PIL.Image.Image`` in mode RGB;
    ``numeric`` a row ``[A]`` of float64 with NaN where there is no number.
    """

    @property
    def kind(self) -> Kind:
        """What it reads."""

    @property
    def name(self) -> str:
        """What made the vectors, as a reader of the manifest would look it up."""

    @property
    def version(self) -> str:
        """The version of the code that computes."""

    @property
    def weights(self) -> str:
        """Sha256 of the weights, as 64 hex digits; "" where there are none."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes the vectors, as plain JSON."""

    @property
    def width(self) -> int:
        """d."""

    def encode(self, batch: Sequence[Item_contra]) -> FloatMatrix:
        """Encode b items as float32 ``[b, d]``, row by row; b is never 0."""


@dataclass(frozen=True, eq=False)
class NumberTable:
    """The numbers of all entities, to which a numeric encoder fits its scales.

    Attributes:
        attributes: the names of the A columns.
        values: ``[N, A]`` float64, NaN where an entity has no number.
    """

    attributes: tuple[str, ...]
    values: Floats


NO_NUMBERS = NumberTable((), np.empty((0, 0)))


@dataclass(frozen=True, kw_only=True)
class EncoderContext:
    """What an encoder may be built with.

    Attributes:
        device: where to compute: ``cpu``, ``cuda``, or ``auto``: a GPU if there is one.
        allow_download: the user has asked for weights to be downloaded.
        numbers: what a numeric encoder fits its scales to.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    allow_download: bool = False
    numbers: NumberTable = NO_NUMBERS

    def torch_device(self) -> torch.device:
        """Find the device.

        Raises:
            ConfigError: a GPU was asked for and PyTorch sees none.
        """
        from momok.runtime import find_device  # which imports PyTorch

        return find_device(self.device)


@dataclass(frozen=True)
class EncoderSpec:
    """A parsed SPEC.

    Attributes:
        text: as it was given.
        name: which encoder.
        target: a path or the name of a model, "" where none was given.
        options: further settings, as texts.
    """

    text: str
    name: str
    target: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def check_options(self, *known: str) -> None:
        """Check that every option is one of these.

        Raises:
            ConfigError: one is not; the nearest name is suggested.
        """
        for key in self.options:
            if key not in known:
                meant = suggest_near_misses(key, known) or (
                    f"; it has {', '.join(known)}" if known else "; it has none"
                )
                raise ConfigError(
                    f"encoder {self.text!r}: {self.name} has no option {key!r}{meant}"
                )

    def choose(self, key: str, choices: tuple[_Choice, ...]) -> _Choice:
        """Give an option that is one of these words; the first is the default.

        Raises:
            ConfigError: it is another word.
        """
        given = self.options.get(key, choices[0])
        for choice in choices:
            if given == choice:
                return choice
        raise ConfigError(
            f"encoder {self.text!r}: {key}={given!r}, expected one of {', '.join(choices)}"
        )

    def count(self, key: str, default: int) -> int:
        """Give an option that is a whole number from 1.

        Raises:
            ConfigError: it is none.
        """
        given = self.options.get(key, str(default))
        if not given.isascii() or not given.isdigit() or int(given) < 1:
            raise ConfigError(f"encoder {self.text!r}: {key}={given!r}, expected 1, 2, 3, ...")
        return int(given)


def parse_spec(text: str) -> EncoderSpec:
    """Take a SPEC apart.

    Raises:
        ConfigError: it does not follow the form.
    """
    head, _, query = text.strip().partition("?")
    name, _, target = head.partition(":")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"encoder {text!r}: expected NAME, NAME:MODEL or NAME:MODEL?option=value, "
            f"as in transformers:models/bert?pooling=mean"
        )
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if not key or not equals or not value or key in options:
            raise ConfigError(
                f"encoder {text!r}: {part!r} in the options, expected option=value, each once"
            )
        options[key] = value
    return EncoderSpec(text.strip(), name, target, options)


ENCODERS: dict[Kind, dict[str, str]] = {
    "text": {
        "use": "text_encoders:UniversalEncoder",
        "sentence-transformers": "text_encoders:SentenceEncoder",
        "transformers": "text_encoders:LanguageEncoder",
    },
    "image": {
        "descriptor": "picture_encoders:DescriptorEncoder",
        "efficientnet-lite0": "picture_encoders:EfficientNetEncoder",
        "transformers": "picture_encoders:VisionEncoder",
    },
    "numeric": {"quantile": "scaling:build", "log": "scaling:build"},
}
"""What comes with momok, by kind and NAME: the module and the class or function in it."""

DEFAULT_SPECS: dict[Kind, str] = {"text": "use", "image": "descriptor", "numeric": "quantile"}


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
    if parsed.name in ENCODERS[kind]:
        module, _, name = ENCODERS[kind][parsed.name].partition(":")
        factory = getattr(import_module(f"{__package__}.{module}"), name)
        return _build(factory, kind, parsed, context)
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if parsed.name in others:
        return _build_foreign(others[parsed.name], kind, parsed, context)
    raise ConfigError(_describe_unknown(kind, parsed, [*others]))


def _build(
    factory: Callable[[EncoderSpec, EncoderContext], Encoder[Any]],
    kind: Kind,
    spec: EncoderSpec,
    context: EncoderContext,
) -> Encoder[Any]:
    """Build an encoder; what its library says of a model that is of another kind is one line."""
    try:
        return factory(spec, context)
    except (AttributeError, TypeError, OSError, ValueError, KeyError) as error:
        if not spec.target:
            raise
        raise FeatureError(
            f"encoder {spec.text!r}: cannot be used to encode {kind}: {first_line(error)}"
        ) from error


def _build_foreign(
    point: EntryPoint, kind: Kind, spec: EncoderSpec, context: EncoderContext
) -> Encoder[Any]:
    """Build an encoder of another package, and check that it is one."""
    where = f"encoder {spec.text!r} (entry point {point.value!r} of {ENTRY_POINTS})"
    try:
        factory = point.load()
    except Exception as error:
        raise ConfigError(f"{where}: cannot be loaded: {type(error).__name__}: {error}") from error
    encoder: Encoder[Any] = factory(spec, context)
    missing = [member for member in _MEMBERS if not hasattr(encoder, member)]
    if missing:
        raise ConfigError(f"{where}: is no encoder; it lacks {', '.join(missing)}")
    if encoder.kind != kind:
        raise ConfigError(f"{where}: reads {encoder.kind}, not {kind}")
    return encoder


def _describe_unknown(kind: Kind, spec: EncoderSpec, others: Sequence[str]) -> str:
    elsewhere = sorted(other for other, encoders in ENCODERS.items() if spec.name in encoders)
    if elsewhere:
        return f"encoder {spec.text!r}: {spec.name} encodes {' and '.join(elsewhere)}, not {kind}"
    names = [*ENCODERS[kind], *others]
    near = suggest_near_misses(spec.name, names) or f"; for {kind} there are {', '.join(names)}"
    return f"encoder {spec.text!r}: there is no encoder {spec.name!r}{near}"
