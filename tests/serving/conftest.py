"""A served run, in the process and as a real server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from momok.serving.app import create_app
from momok.serving.service import Service
from momok.serving.settings import ServeSettings
from tests.serving.databases import start_postgres
from tests.serving.served_run import train_hostile_run

Serve = Callable[..., TestClient]


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose graph has hostile labels; not to be written to."""
    return train_hostile_run(tmp_path_factory.mktemp("served")).path


@pytest.fixture
def own_run(hostile_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(hostile_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def shared_client(
    hostile_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A client of a server that tests share; each takes facts of its own."""
    reviews = f"sqlite:///{tmp_path_factory.mktemp('reviews') / 'reviews.sqlite'}"
    settings = ServeSettings(run=hostile_run, reviews=reviews, threads=1, watch_seconds=0)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def client(shared_client: TestClient) -> TestClient:
    """The shared client, without cookies of other tests."""
    shared_client.cookies.clear()
    return shared_client


@pytest.fixture(scope="session")
def service(shared_client: TestClient) -> Service:
    """The parts of the shared server."""
    found: Service = shared_client.app.state.service  # type: ignore[attr-defined]
    return found


@pytest.fixture
def serve(hostile_run: Path, tmp_path: Path) -> Iterator[Serve]:
    """Makes clients of servers of their own."""
    opened: list[TestClient] = []

    def make(**changes: object) -> TestClient:
        database = f"sqlite:///{tmp_path / f'reviews{len(opened)}.sqlite'}"
        values = {"run": hostile_run, "reviews": database, "threads": 1, "watch_seconds": 0}
        settings = ServeSettings(**(values | changes))  # type: ignore[arg-type]
        client = TestClient(
            create_app(settings), base_url="http://localhost", raise_server_exceptions=False
        )
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL database of the tests' own; skips where there is none."""
    with start_postgres(tmp_path_factory.mktemp("pg")) as address:
        yield address


@pytest.fixture
def own_postgres(postgres: str) -> str:
    """A database of PostgreSQL that no other test has written to."""
    name = f"own_{uuid4().hex}"
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(postgres).set(database=name).render_as_string(hide_password=False)
