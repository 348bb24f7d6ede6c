"""``momok reviewers``."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from momok.console import console, print_json, print_line

if TYPE_CHECKING:
    from momok.serving.reviews.store import ReviewStore

_ROLES = ("reviewer", "settler", "admin")  # a test holds it to those of the store


@click.group("reviewers")
def command() -> None:
    """Give reviewers a token each, with which they have a name and a role.

    Each command takes the place where decisions are kept: a run folder, or what `momok serve`
    has as --reviews. Servers under way know within two seconds.
    """


@command.command("add")
@click.argument("place")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="reviewer",
    help="reviewer decides; settler also settles disagreements; admin also changes how many "
    "opinions facts need, and reads the audit log [reviewer].",
)
def add(place: str, name: str, role: Any) -> None:
    """Add the reviewer NAME and print the token, which is kept nowhere.

    \b
      momok reviewers add runs/world Ada --role settler
    As soon as there is a reviewer, everybody has to sign in: with a reviewer's token, or with
    MOMOK_TOKEN as an admin.
    """
    store = _open(place, make=True)
    try:
        token = store.add_reviewer(name, role, by=name_user())
    finally:
        store.close()
    click.echo(token)
    click.echo(f"The token of {name} ({role}); it cannot be shown again.", err=True)


@command.command("revoke")
@click.argument("place")
@click.argument("name")
def revoke(place: str, name: str) -> None:
    """End the token of the reviewer NAME; the name and all decisions stay."""
    store = _open(place)
    try:
        store.revoke_reviewer(name, by=name_user())
    finally:
        store.close()
    print_line(f"The token of {name} is revoked.")


@command.command("list")
@click.argument("place")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_reviewers(place: str, as_json: bool) -> None:
    """List the reviewers with their roles."""
    from momok.serving.reviews.places import is_address

    store = _open(place, make=not is_address(place))  # a run may have no decisions yet
    try:
        reviewers = store.list_reviewers()
    finally:
        store.close()
    if as_json:
        names = ("name", "role", "added", "revoked")
        print_json([{name: getattr(entry, name) for name in names} for entry in reviewers])
        return
    if not reviewers:
        print_line("No reviewers: whoever reaches the server gives themselves a name.")
        return
    from momok.cli.views import build_table

    rows = [(entry.name, entry.role, entry.added[:10], entry.revoked[:10]) for entry in reviewers]
    console().print(build_table("name", "role", "added", "revoked", rows=rows, text=4))


def _open(place: str, *, make: bool = False) -> ReviewStore:
    from momok.serving.reviews.places import open_store

    return open_store(place, make=make)


def name_user() -> str:
    """Who gives the command, for the audit log."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a user number without a name
        return "command line"
