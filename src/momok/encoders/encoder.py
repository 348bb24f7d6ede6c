"""What an encoder is: something that turns a batch of texts, pictures or numbers into vectors.

Notation: b items in a batch, d numbers per vector, A attributes.

Everything that follows - streaming, resuming, masks, files - is done around an encoder by
``momok.encoders.encode`` and asks nothing more of it than this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

from momok.arrays import FloatMatrix, Floats

if TYPE_CHECKING:
    import torch

Kind: TypeAlias = Literal["text", "image", "numeric"]
"""What an encoder reads: texts, pictures, or numbers by attribute."""

Item_contra = TypeVar("Item_contra", contravariant=True)


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
