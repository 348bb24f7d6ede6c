"""The command line of momok: commands are imported when they are called.

``momok --help`` must answer at once, so this module knows the commands by a table and imports
nothing but click; a command's own heavy imports are inside its function.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

import momok
from momok.errors import MomokError

__all__ = ["COMMANDS", "main"]

# What --help says, in the order of use.
COMMANDS: dict[str, str] = {
    "demo": "Train on the bundled world graph and show what it predicts.",
    "train": "Train MoMoK on a graph, choose by validation, test once.",
    "resume": "Continue an interrupted run from its last checkpoint.",
    "evaluate": "Rank the held-out facts of a run and report the metrics.",
    "predict": "Predict the missing side of a fact.",
    "predict-new": "Predict facts of an entity that the graph does not have.",
    "predict-missing": "Predict the missing facts of the whole graph, into a file.",
    "calibrate": "Calibrate the probabilities of a run on validation facts.",
    "study": "Train many runs by a plan and compare them.",
    "runs": "List run folders with their graph, state and results.",
    "report": "Write the report of a run, or of several, as an HTML file.",
    "explain": "Explain a predicted fact, or what the model has learned.",
    "rules": "Print the rules that the train facts follow.",
    "export": "Write the vectors of entities or relations into a file.",
    "map": "Lay the entities of a run out on a map, for the page.",
    "share": "Write a finished run for others, with a model card.",
    "push": "Upload a finished run to a hub of models.",
    "pull": "Download a run from a hub of models.",
    "serve": "Serve a run: pages to review facts with, and a JSON API.",
    "reviewers": "Give reviewers of a served run a token each.",
    "reviews": "Export, import or back up the decisions of reviewers.",
    "plot": "Draw the plots of a run again.",
    "config": "List every setting with its value and what it does.",
    "data": "Build, check, fetch or look at a graph.",
    "encode": "Turn texts, pictures or numbers of a graph into features.",
    "features": "List the features of a graph, or import vectors.",
}
# Modules of the commands that have none of their own name.
_MODULES = {
    "calibrate": "evaluate",
    "encode": "features",
    "map": "entity_map",
    "plot": "report",
    "predict-missing": "predict_missing",
    "predict-new": "predict_new",
    "pull": "share",
    "push": "share",
    "resume": "train",
}

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class _LazyCommands(click.Group):
    """Imports a command when it is called, and reports a user's errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{_MODULES.get(cmd_name, cmd_name)}")
        commands = (value for value in vars(module).values() if isinstance(value, click.Command))
        return next(command for command in commands if command.name == cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0].lower(), COMMANDS, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(  # type: ignore[override]  # it always exits: standalone_mode changes nothing
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run, and exit: 0 done, 2 a user's error in one line, 130 interrupted."""
        name = prog_name or "momok"
        args = list(sys.argv[1:] if args is None else args)
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        elif args == ["version"]:
            args = ["--version"]
        try:
            code = super().main(args, name, **extra | {"standalone_mode": False})
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            code = 0
        except click.Abort:  # click's form of KeyboardInterrupt
            sys.exit(EXIT_INTERRUPTED)
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx is not None else name
            said = error.format_message().rstrip(".")
            _fail(f"{said}{_suggest_choice(error)} (see {where} --help)")
        except click.ClickException as error:
            _fail(error.format_message())
        except MomokError as error:
            _fail(str(error))
        except BrokenPipeError:  # the reader has had enough; click exits so, too
            _close_output()
            sys.exit(1)
        except OSError as error:
            _close_output()
            where = error.filename or "the output"
            _fail(f"{where}: could not be read or written: {error.strerror or error}")
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            _fail(
                "out of memory: narrower vectors (model.*_width, features.width), a smaller "
                "training.batch_size or memory_mb need less; what was saved is kept"
            )
        sys.exit(code if isinstance(code, int) else 0)


def _suggest_choice(error: click.UsageError) -> str:
    """Say which choice of an option may be meant where a value is none of them."""
    kind = error.param.type if isinstance(error, click.BadParameter) and error.param else None
    if not isinstance(kind, click.Choice) or error.message.count("'") < 2:
        return ""
    given = error.message.split("'")[1]
    choices = [str(choice) for choice in kind.choices]
    near = get_close_matches(given.lower(), choices, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's form of it, a GPU's and a CPU's in PyTorch, which need not be imported."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _close_output() -> None:
    """Let nothing more be written to standard output, not even what is still waiting."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _fail(message: str) -> NoReturn:
    from momok.console import make_printable

    click.echo(f"momok: {make_printable(message)}", err=True)
    sys.exit(EXIT_USER_ERROR)


@click.group("momok", cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(momok.__version__, "-V", "--version", message="momok %(version)s")
def main() -> None:
    """Multi-modal knowledge graph completion.

    Learns from the facts, pictures and texts of a graph, predicts the facts that are missing, and
    shows which modality led to each answer. `train` and `demo` make a run folder; `resume`,
    `evaluate`, `predict`, `predict-new`, `predict-missing`, `calibrate`, `report`, `explain`,
    `serve` and `plot` work on one.
    """
