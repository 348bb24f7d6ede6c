"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from momok.cluster import connect

CHECKOUT = Path(__file__).resolve().parent.parent


def _shared_folder() -> Path | None:
    """The folder with benchmark graphs and reference numbers, which the project does not ship."""
    given = os.environ.get("MOMOK_BENCHMARKS")
    candidates = [Path(given)] if given else [CHECKOUT.parent / "shared"]
    return next((path for path in candidates if path.is_dir()), None)


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder that holds MKG-W, MKG-Y, DB15K and KVC16K; skips where it is absent."""
    shared = _shared_folder()
    if shared is None or not (shared / "datasets").is_dir():
        pytest.skip("the published benchmark graphs are not here (set MOMOK_BENCHMARKS)")
    return shared / "datasets"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with numbers of the authors' implementation; skips where it is absent."""
    shared = _shared_folder()
    if shared is None or not (shared / "reference").is_dir():
        pytest.skip("the reference numbers are not here (set MOMOK_BENCHMARKS)")
    return shared / "reference"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A Ray cluster of two cores on this machine, which everything that asks for one then uses."""
    pytest.importorskip("ray", reason="an extra")
    with connect("local", num_cpus=2):
        yield
