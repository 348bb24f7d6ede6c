"""What a shell completes: graphs, presets and settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click


def complete_graph(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The graphs that momok knows by name, and folders."""
    from momok.graph import CATALOG

    names = _complete((entry.name for entry in CATALOG), begun)
    return [*names, CompletionItem(begun, type="dir")]


def complete_preset(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The presets."""
    from momok.presets import PRESETS

    return _complete(PRESETS, begun)


def complete_setting(
    _context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The settings by dotted name; of an option that sets one, with the sign that follows."""
    from momok.config import list_settings

    sign = "=" if parameter.param_type_name == "option" else ""
    return _complete((name + sign for name, _, _ in list_settings()), begun)


def _complete(names: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.lower().startswith(begun.lower())]
