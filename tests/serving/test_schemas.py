"""The OpenAPI document against the server: whatever is sent, nothing fails inside."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from momok.serving.app import create_app
from momok.serving.settings import ServeSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

    # A schema cannot say all that makes a request right (exactly one of head and tail).
    from schemathesis.specs.openapi.checks import positive_data_acceptance

_EXAMPLES = 12  # of each operation
_OPERATIONS = 30


@pytest.fixture(scope="module")
def operations(
    hostile_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    reviews = f"sqlite:///{tmp_path_factory.mktemp('contract') / 'reviews.sqlite'}"
    settings = ServeSettings(
        run=hostile_run,
        reviews=reviews,
        threads=1,
        watch_seconds=0,
        allowed_hosts=("testserver",),
    )
    app = create_app(settings)

    async def keep_open(scope: Any, receive: Any, send: Any) -> None:
        """The application; each call would begin and end it, and with it the service."""
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", keep_open)
    found = [result.ok() for result in schema.get_all_operations()]
    yield {operation.label: operation for operation in found}
    app.state.service.close()


@pytest.mark.parametrize("number", range(_OPERATIONS))
def test_answers_are_as_described(operations: dict[str, Any], number: int) -> None:
    """Every answer has a status that the document names and a body of its form; none is 5xx."""
    assert len(operations) == _OPERATIONS
    operation = operations[sorted(operations)[number]]

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()
