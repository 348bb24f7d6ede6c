"""``momok serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from momok.console import print_line


@click.command("serve")
@click.argument("run")
@click.option(
    "--beside",
    metavar="RUN",
    help="A second run on the same graph, to compare its answers and proposals.",
)
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Where to listen [127.0.0.1].")
@click.option("--port", default=8000, metavar="PORT", help="The port; 0 takes a free one [8000].")
@click.option(
    "--token",
    envvar="MOMOK_TOKEN",
    default="",
    metavar="TOKEN",
    help="The token that clients must send; better set as MOMOK_TOKEN, which others cannot list.",
)
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without a token.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name under which the server is reached; may be repeated.",
)
@click.option(
    "--root-path",
    envvar="MOMOK_ROOT_PATH",
    default="",
    metavar="PATH",
    help="What addresses begin with behind a proxy, such as /momok.",
)
@click.option(
    "--reviews",
    envvar="MOMOK_REVIEWS",
    default="",
    metavar="URL",
    help="Database of decisions, as SQLAlchemy writes it [RUN/reviews.sqlite].",
)
@click.option(
    "--threads", default=0, metavar="COUNT", help="CPU threads for inference [half of the cores]."
)
@click.option(
    "--watch",
    "watch_seconds",
    type=click.FloatRange(min=0),
    default=5.0,
    metavar="SECONDS",
    help="How often to look for a newer checkpoint; 0: only on SIGHUP [5].",
)
def command(run: str, **options: Any) -> None:
    """Serve the run folder RUN: pages to browse, explain and review facts, and a JSON API.

    \b
    On this machine, at http://127.0.0.1:8000:
      momok serve RUN
    For others, who must send a token:
      MOMOK_TOKEN=$(openssl rand -hex 24) momok serve RUN --host 0.0.0.0
    Behind a proxy that passes on https://tools.example.org/momok/:
      momok serve RUN --root-path /momok --allow-host tools.example.org
    Decisions of several servers in one PostgreSQL database:
      momok serve RUN --reviews postgresql+psycopg://curator@db/reviews
    Beside another model of the same graph, such as one retrained with the decisions:
      momok serve RUN --beside RUN2

    Decisions on facts are kept in RUN/reviews.sqlite. `momok reviews export` writes them into a
    file, and `momok train --with-reviews` learns from them. A newer checkpoint in RUN is served as
    soon as it is there. SIGTERM ends the server after the requests under way, SIGHUP loads the
    checkpoint again. The API is described at /api/v1/openapi.json; /health, /ready and /metrics
    are there for monitoring.
    """
    from momok.serving.settings import ServeSettings, check_extra

    beside = options.pop("beside")
    settings = ServeSettings(run=Path(run), beside=Path(beside) if beside else None, **options)
    check_extra()
    from momok.serving.server import serve

    serve(settings, ready=lambda at: print_line(f"Serving {run} at {at} (Ctrl-C ends it)"))
    print_line("Stopped.")
