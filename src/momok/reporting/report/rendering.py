"""Pages from templates: escaped, one file, nothing fetched, nothing executed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

import momok
from momok.reporting.report.blocks import Cell, Section
from momok.reporting.report.theme import DARK, LIGHT
from momok.reporting.report.verdict import Verdict

__all__ = ["render_page"]


def render_page(
    *,
    title: str,
    subtitle: Sequence[Cell],
    verdict: Verdict,
    sections: Sequence[Section],
) -> bytes:
    """Render a page as UTF-8.

    Args:
        title: of the page.
        subtitle: what stands below it, cell by cell.
        verdict: the first part.
        sections: the others.
    """
    template = _load_environment().get_template("page.html")
    text = template.render(
        title=title,
        subtitle=subtitle,
        verdict=verdict,
        sections=sections,
        light=LIGHT,
        dark=DARK,
        version=momok.__version__,
    )
    return text.encode()


@cache
def _load_environment() -> Environment:
    return Environment(
        loader=PackageLoader("momok.reporting.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
