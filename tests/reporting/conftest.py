"""Figures are drawn in the house's style."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from momok.reporting.style import plot_style


@pytest.fixture
def drawn_in_style() -> Iterator[None]:
    with plot_style():
        yield
