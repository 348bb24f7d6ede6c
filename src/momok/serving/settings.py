"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from momok.errors import ConfigError
from momok.extras import require_extra

_MODULES = {
    name: name.replace("_", "-")
    for name in (
        "cachetools",
        "fastapi",
        "itsdangerous",
        "prometheus_client",
        "python_multipart",
        "sqlalchemy",
        "uvicorn",
    )
}  # each with its name on PyPI
REVIEWS = "reviews.sqlite"  # in the run folder
_MIN_TOKEN = 16  # characters; shorter ones can be guessed over the network


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How a run is served.

    Attributes:
        run: the run folder.
        beside: a second run on the same graph, whose answers are shown beside those of ``run``.
        host: the address to bind to; beyond loopback only with a token or ``insecure``.
        port: the port; 0 takes a free one.
        token: what clients must show, as a bearer token or once at the login page; "" asks for
            none.
        insecure: serve beyond loopback without a token.
        allowed_hosts: further host names under which the server may be addressed.
        root_path: what the server's addresses begin with behind a proxy, such as ``/momok``; ""
            where it has the host for itself.
        reviews: address of the database of decisions, as SQLAlchemy writes it; "" keeps them in
            ``reviews.sqlite`` in the run folder.
        threads: of the arithmetic; 0 takes half of the cores, the rest serves HTTP.
        watch_seconds: how often to look for a newer checkpoint; 0 never does.
        answer_seconds: until the model has answered; then 503.
        connections: open at once; more get 503.

    Raises:
        ConfigError: a value that cannot be, or an address that others reach without a token.
    """

    run: Path
    beside: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    insecure: bool = False
    allowed_hosts: tuple[str, ...] = ()
    root_path: str = ""
    reviews: str = ""
    threads: int = 0
    watch_seconds: float = 5.0
    answer_seconds: float = 30.0
    connections: int = 512

    def __post_init__(self) -> None:
        """Check what can be checked without the run."""
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"port {self.port}: expected 0 to 65535")
        if not re.fullmatch(r"(/[\w.~-]+)*", self.root_path, re.ASCII):
            raise ConfigError(
                f"root path {self.root_path!r}: expected a path such as /momok, without a / at its "
                "end; of letters, digits, and . _ ~ -"
            )
        if self.threads < 0:
            raise ConfigError(f"threads = {self.threads}: expected 0 (half of the cores) or more")
        if self.token and len(self.token) < _MIN_TOKEN:
            raise ConfigError(
                f"the token has {len(self.token)} characters; expected at least {_MIN_TOKEN}, "
                "for example from: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        if self.token and not (self.token.isascii() and self.token.isprintable()):
            raise ConfigError("the token has characters that a header cannot hold; use letters")
        if not is_loopback(self.host) and not self.token and not self.insecure:
            raise ConfigError(
                f"{self.host}: others reach this address, and no token is set; set MOMOK_TOKEN "
                "(or --token), or say --insecure to let anyone read and decide"
            )

    @property
    def reviews_url(self) -> str:
        """The address of the database of decisions."""
        return self.reviews or f"sqlite:///{(self.run / REVIEWS).absolute()}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_extra() -> None:
    """Check that the extra ``serve`` is installed, and that SQLite can index names.

    Raises:
        MissingExtraError: a package is not installed.
        ConfigError: SQLite is too old.
    """
    require_extra(_MODULES, "serve", "momok serve")
    if sqlite3.sqlite_version_info < (3, 34):
        raise ConfigError(
            "momok serve finds entities with SQLite 3.34 or newer; this Python has "
            f"{sqlite3.sqlite_version}"
        )
