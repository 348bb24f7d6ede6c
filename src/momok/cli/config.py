"""``momok config``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from momok.cli.completion import complete_preset, complete_setting
from momok.console import console, print_json
from momok.errors import ConfigError

if TYPE_CHECKING:
    from momok.settings import RunConfig

_WIDTH = 86  # of comments in TOML


@click.command("config")
@click.argument("key", required=False, shell_complete=complete_setting)
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=complete_preset,
    help="Show the values of this preset [default].",
)
@click.option("--toml", "as_toml", is_flag=True, help="As a commented file for train --config.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(key: str | None, preset: str | None, as_toml: bool, as_json: bool) -> None:
    """List every setting with its value and what it does; or print the one named KEY.

    \b
      momok config
      momok config training.epochs
      momok config --toml > my.toml

    The last gives a file to edit for `momok train --config my.toml`.
    """
    from momok.config import describe_unknown, list_settings, resolve_config

    config = resolve_config(preset)
    if key is not None:
        values = {name: value for name, value, _ in list_settings(config)}
        if key not in values:
            raise ConfigError(describe_unknown(key))
        click.echo(_format_value(values[key]))
    elif as_toml:
        click.echo(render_toml(config), nl=False)
    elif as_json:
        columns = ("setting", "value", "explanation")
        rows = (row for _, several in _group_by_section(config) for row in several)
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        _show(config)


def render_toml(config: RunConfig) -> str:
    """The settings as a commented TOML file, which ``resolve_config(file=...)`` reads back."""
    lines = ["# Settings of momok; what is left out keeps its preset's value."]
    for section, rows in _group_by_section(config):
        lines += ["", f"[{section}]"] if section else []
        for name, value, explanation in rows:
            key = name.rpartition(".")[2]
            comment = (f"# {line}" for line in textwrap.wrap(explanation, _WIDTH))
            setting = f"# {key} = (unset)" if value is None else f"{key} = {_format_value(value)}"
            lines += ["", *comment, setting]
    lines += ["", "# Settings of [features] for one modality alone:"]
    return "\n".join([*lines, "# [modality.image]", "# trainable = false", ""])


def _group_by_section(config: RunConfig) -> Iterator[tuple[str, Iterator[tuple[str, Any, str]]]]:
    """Rows of every setting: dotted name, value, what it does."""
    from momok.config import list_settings

    rows = ((name, value, text.replace("``", "`")) for name, value, text in list_settings(config))
    return groupby(rows, key=lambda row: row[0].rpartition(".")[0])


def _format_value(value: Any) -> str:
    # JSON and TOML write numbers, true, false, lists of them and plain texts alike
    return "unset" if value is None else json.dumps(value, ensure_ascii=False)


def _show(config: RunConfig) -> None:
    from rich.table import Column

    from momok.cli.views import build_table

    out = console()
    for section, rows in _group_by_section(config):
        table = build_table(
            Column("setting", no_wrap=True),
            f"value ({config.preset})",
            Column("what it does", ratio=1),
            rows=((name, _format_value(value), text) for name, value, text in rows),
            text=3,
            title=section or "general",
        )
        table.expand = True
        out.print(table)
    out.print("Change one:     momok train GRAPH --set training.epochs=20")
    out.print(
        "Change many:    momok config --toml > my.toml, then momok train GRAPH --config my.toml"
    )
    out.print("One modality:   --set modality.image.trainable=false")
