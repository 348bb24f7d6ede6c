"""How an encoder is named on the command line: ``NAME[:TARGET][?key=value&key=value]``.

``use``, ``quantile``, ``transformers:models/bert?pooling=cls&max_tokens=128``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from momok.errors import ConfigError
from momok.graph.names import suggest_near_misses

__all__ = ["EncoderSpec", "parse_spec"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_Choice = TypeVar("_Choice", bound=str)


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
