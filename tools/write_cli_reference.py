"""The reference of the command line, made from the commands themselves.

``python -m tools.write_cli_reference > docs/cli.md``; a test asserts that the file is up to date.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from momok.cli import main
from momok.config import list_settings, resolve_config

_INTRODUCTION = """\
# The command line

`momok train` and `momok demo` make a run folder, on which `resume`, `evaluate`, `predict`,
`predict-new`, `predict-missing`, `calibrate`, `report`, `explain`, `serve` and `plot` work. Results
go to the standard output, progress and remarks to the standard error. `momok help COMMAND` is
`momok COMMAND --help`.

Exit codes: 0 done; 1 `momok data check` found something as bad as `--fail-on` says; 2 something
that you can mend, said in one line that begins with `momok:`; 130 interrupted (what was trained is
saved).

Shells complete commands, options, graphs, presets and settings: put
`eval "$(_MOMOK_COMPLETE=bash_source momok)"` into `~/.bashrc` (`zsh_source` and `~/.zshrc` for zsh;
for fish, `_MOMOK_COMPLETE=fish_source momok | source`).

This page is made by `python -m tools.write_cli_reference > docs/cli.md`.
"""


def render_reference() -> str:
    """All commands with their options, and all settings, as Markdown."""
    parts = [_INTRODUCTION]
    with click.Context(main, info_name="momok") as context:
        for name in main.list_commands(context):
            command = main.get_command(context, name)
            assert command is not None
            parts += _describe(command, f"momok {name}")
    return "\n".join([*parts, *_describe_settings()])


def _describe(command: click.Command, path: str) -> Iterator[str]:
    arguments = [p.human_readable_name for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    if not isinstance(command, click.Group):
        usage = " ".join([path, *arguments, *(["[OPTIONS]"] if options else [])])
        yield f"## `{usage}`\n"
        yield _render_help(command)
        if options:
            yield from ("| option | what it does |", "|---|---|", *map(_describe_option, options))
            yield ""
        return
    for name, inner in command.commands.items():
        yield from _describe(inner, f"{path} {name}")


def _render_help(command: click.Command) -> str:
    """The help text: paragraphs, and lines marked as preformatted as a block of code."""
    blocks = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        mark, _, lines = paragraph.partition("\n")
        kept = mark.strip() == "\b"
        blocks.append(f"```\n{lines}\n```" if kept else paragraph)
    return "\n\n".join(blocks) + "\n"


def _describe_option(option: click.Option) -> str:
    takes = ""
    if isinstance(option.type, click.Choice):
        takes = " " + "|".join(option.type.choices)
    elif not option.is_flag:
        number = isinstance(option.type, click.types.IntParamType)
        takes = " " + (option.metavar or ("N" if number else option.name) or "").upper()
    opposite = f" / {', '.join(option.secondary_opts)}" if option.secondary_opts else ""
    names = f"`{', '.join(option.opts)}{takes}{opposite}`".replace("|", "\\|")
    needed = " Required." if option.required else ""
    return f"| {names} | {(option.help or '').replace('|', chr(92) + '|')}{needed} |"


def _describe_settings() -> Iterator[str]:
    yield "## Settings\n"
    yield (
        "For `momok train`, as `--set NAME=VALUE` or in a TOML file (`momok config --toml` writes "
        "one). Settings of `features` can be given for one modality, as "
        "`--set modality.image.trainable=false`.\n"
    )
    yield from ("| setting | default | paper | what it does |", "|---|---|---|---|")
    default, paper = (list_settings(resolve_config(name)) for name in ("default", "paper"))
    for (name, value, explanation), (_, published, _) in zip(default, paper, strict=True):
        other = _show(published) if published != value else ""
        text = explanation.replace("``", "`")
        yield f"| `{name}` | {_show(value)} | {other} | {text} |"
    yield ""


def _show(value: object) -> str:
    if value is None:
        return "unset"
    value = list(value) if isinstance(value, tuple) else value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    print(render_reference(), end="")
