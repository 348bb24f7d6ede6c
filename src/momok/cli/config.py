"""``momok config``."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from momok.cli import COMMANDS

if TYPE_CHECKING:
    from pydantic import BaseModel

    from momok.config import RunConfig

__all__ = ["command", "list_values", "render_toml"]

_WIDTH = 88  # of comments in TOML


@click.command("config", short_help=COMMANDS["config"])
@click.option("--preset", metavar="NAME", help="Show the values of this preset: default or paper.")
@click.option("--toml", "as_toml", is_flag=True, help="As a commented file for train --config.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(preset: str | None, as_toml: bool, as_json: bool) -> None:
    """List every setting with its value and what it does.

    `momok config --toml > my.toml` gives a file to edit for `momok train --config my.toml`.
    """
    from momok.config import resolve_config

    config = resolve_config(preset)
    if as_toml:
        click.echo(render_toml(config), nl=False)
    elif as_json:
        rows = [
            {"setting": name, "value": value, "explanation": explanation}
            for name, value, explanation in list_values(config)
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        _show(config)


def list_values(config: RunConfig) -> list[tuple[str, Any, str]]:
    """Every setting as (dotted name, its value here, what it does)."""
    from momok.config import list_settings

    values = config.model_dump(mode="json")
    rows = []
    for name, _, explanation in list_settings():
        section, _, key = name.rpartition(".")
        value = values[section][key] if section else values[key]
        choices = _list_choices(type(getattr(config, section) if section else config), key)
        also = f" One of {', '.join(choices)}." if choices else ""
        rows.append((name, value, explanation.replace("``", "`") + also))
    return rows


def _list_choices(section: type[BaseModel], key: str) -> tuple[str, ...]:
    """The values of a setting that has a fixed set of them."""
    annotation = section.model_fields[key].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def render_toml(config: RunConfig) -> str:
    """The settings as a commented TOML file, which ``resolve_config(file=...)`` reads back."""
    lines = ["# Settings of momok; what is left out keeps its preset's value."]
    current = ""
    for name, value, explanation in list_values(config):
        section, _, key = name.rpartition(".")
        if section != current:
            lines += ["", f"[{section}]"]
            current = section
        lines += [
            "",
            *textwrap.wrap(explanation, _WIDTH, initial_indent="# ", subsequent_indent="# "),
        ]
        lines.append(f"# {key} = (unset)" if value is None else f"{key} = {_to_toml(value)}")
    lines += [
        "",
        "# Settings of [features] for one modality alone:",
        "# [modality.image]",
        "# trainable = false",
    ]
    return "\n".join(lines) + "\n"


def _to_toml(value: Any) -> str:
    # JSON and TOML write numbers, true, false, lists of them and plain texts alike
    return json.dumps(value, ensure_ascii=False)


def _show(config: RunConfig) -> None:
    from itertools import groupby

    from rich.table import Table
    from rich.text import Text

    from momok.console import console

    out = console()
    by_section = groupby(list_values(config), key=lambda row: row[0].rpartition(".")[0])
    for section, rows in by_section:
        title = Text(section or "general", style="bold")
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2), expand=True)
        table.add_column("setting", no_wrap=True)
        table.add_column(f"value ({config.preset})")
        table.add_column("what it does", ratio=1)
        for name, value, explanation in rows:
            shown = "unset" if value is None else _to_toml(value)
            table.add_row(Text(name), Text(shown), Text(explanation))
        out.print(table)
        out.print()
    out.print("Change one:     momok train GRAPH --set training.epochs=20")
    out.print(
        "Change many:    momok config --toml > my.toml, then momok train GRAPH --config my.toml"
    )
    out.print("One modality:   --set modality.image.trainable=false")
