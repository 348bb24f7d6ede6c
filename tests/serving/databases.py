"""A PostgreSQL server for tests, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def _find_programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return candidates[-1].parent if candidates else None


def _as_server_user() -> dict[str, Any] | None:
    """How to run the server, which refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
    return None


@contextmanager
def start_postgres(folder: Path) -> Iterator[str]:
    """Start a server that listens on a socket only; gives the address of a database."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    given = os.environ.get("MOMOK_TEST_POSTGRES")
    if given:
        yield given
        return
    programs, user = _find_programs(), _as_server_user()
    if programs is None or user is None:
        pytest.skip("PostgreSQL's initdb is not installed here (or set MOMOK_TEST_POSTGRES)")
    del folder  # its path is too long for a socket, and closed to the server's user
    with tempfile.TemporaryDirectory(prefix="momok-pg", dir="/tmp") as short:
        home = Path(short)
        if user:
            shutil.chown(home, user["user"])

        def run(*command: str | Path) -> None:
            subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=home, **user)

        data = home / "data"
        run(programs / "initdb", "-D", data, "-U", "momok", "-A", "trust", "--no-sync")
        server = [programs / "pg_ctl", "-D", data, "-w", "-l", home / "log"]
        said = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
        run(*server, "-o", said, "start")
        try:
            yield f"postgresql+psycopg://momok@/postgres?host={home}"
        finally:
            run(*server, "-m", "immediate", "stop")
