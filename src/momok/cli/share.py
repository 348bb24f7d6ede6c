"""``momok share``, ``push`` and ``pull``: finished runs for others."""

from __future__ import annotations

import click

from momok.console import print_line

licence_option = click.option(
    "--licence",
    default="",
    metavar="LICENCE",
    help="Of the model, as hubs abbreviate it: apache-2.0, cc-by-4.0 [not said].",
)


@click.command("share")
@click.argument("run")
@click.argument("folder")
@licence_option
def share_command(run: str, folder: str, licence: str) -> None:
    """Write the finished run RUN into FOLDER for others, with a model card (README.md).

    FOLDER is a run folder too, which every command takes. It has the model, its pool and rules, the
    results and the graph with its features, so that new entities can be asked about, but no
    pictures, no state to resume from and no path of this machine.

    \b
      momok share runs/mine my-model --licence cc-by-4.0
      momok predict my-model --head France --relation borders
    """
    from momok.cli.remarks import say_if_not_calibrated
    from momok.prediction.calibration_record import load_calibration
    from momok.sharing import save_pretrained

    save_pretrained(run, folder, licence=licence)
    say_if_not_calibrated(run, load_calibration(folder))
    print_line(f"Written to {folder}; its card is {folder}/README.md")


@click.command("push")
@click.argument("run")
@click.argument("name")
@licence_option
@click.option("--public", is_flag=True, help="Let everybody see a repository that is new.")
@click.option(
    "--message", default="Upload a momok run", metavar="TEXT", help="Of the commit [Upload ...]."
)
def push_command(run: str, name: str, licence: str, message: str, *, public: bool) -> None:
    """Upload the finished run RUN, with a model card, to the repository NAME of a hub.

    NAME is user/name on huggingface.co, or on the hub that HF_ENDPOINT names. A repository that is
    not there yet is made, for you alone unless --public is given. Log in first: hf auth login.

    \b
      momok push runs/mine me/countries --licence cc-by-4.0
    """
    from momok.sharing import push_to_hub

    print_line(push_to_hub(run, name, public=public, licence=licence, message=message))


@click.command("pull")
@click.argument("name")
@click.argument("folder")
@click.option("--revision", metavar="NAME", help="A branch, tag or commit [the newest].")
def pull_command(name: str, folder: str, revision: str | None) -> None:
    """Download a run from the repository NAME of a hub into FOLDER.

    Nothing in it is run: it holds tensors and texts alone.

    \b
      momok pull me/countries countries
      momok predict countries --head France --relation borders
    """
    from momok.sharing import pull_from_hub

    print_line(f"Run folder: {pull_from_hub(name, folder, revision=revision)}")
