"""Templates, their filters, and forms."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from pydantic import BaseModel, ValidationError

import momok
from momok.console import shorten_middle
from momok.serving.entity_search import make_reference
from momok.serving.identity import get_visitor
from momok.serving.service import Service

Form = TypeVar("Form", bound=BaseModel)

_HERE = Path(__file__).parent
_MOST_FIELDS = 20
_FULL = 600  # characters of a name, when all of it is shown
_NAMED_COLOURS = ("structure", "image", "text", "joint")
_FURTHER_COLOURS = 6  # of other modalities; experts are numbered


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Make a page."""
    service: Service = request.app.state.service
    model, path = service.model, request.url.path
    about = {
        "graph": model.graph.name,
        "licence": model.graph.licence,
        "momok": momok.__version__,
        "model": model.version,
        "calibrated": model.calibrated,
        "beside": service.beside is not None,
        "asks_token": service.gate.is_closed,
    }
    text = (
        _environment(service.settings.root_path)
        .get_template(template)
        .render(
            **values,
            about=about,
            reviewer=reviewer_name(request),
            visitor=get_visitor(request),
            path=path,
        )
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status)


def redirect(request: Request, path: str, **query: str) -> RedirectResponse:
    """Go on to another page, by GET."""
    root = request.app.state.service.settings.root_path
    address = root + path + (f"?{urlencode(query)}" if query else "")
    return RedirectResponse(address, status_code=303)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that are filled in."""
    return dict(await read_fields(request, _MOST_FIELDS))


async def read_fields(request: Request, most: int) -> list[tuple[str, str]]:
    """The fields of a form that are filled in, also where several have a name."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return parse_qsl(text, max_num_fields=most)
    except ValueError:
        return []


def check_form(kind: type[Form], fields: Mapping[str, Any]) -> Form:
    """The fields of a form as a request of the API, checked in the same way."""
    try:
        known = {name: fields[name] for name in kind.model_fields if name in fields}
        return kind.model_validate(known, strict=False)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def reviewer_name(request: Request) -> str:
    """The name that decisions of this browser are written under; it gets one if it has none."""
    if own := get_visitor(request).name:
        return own
    name: str = request.session.setdefault("reviewer", f"reviewer-{secrets.token_hex(3)}")
    return name


@cache
def _environment(root: str) -> Environment:
    """Templates whose addresses begin with ``root``."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "colour": _colour_class,
        "entity_address": lambda label: root + _entity_address(label),
        "initial": lambda name: name[:1].upper() or "·",
        "named": _named,
        "percent": _percent,
        "reference": make_reference,
        "shorten": _shorten,
        "thousands": lambda number: f"{number:,}",
        "when": lambda moment: moment[:16].replace("T", " "),  # ISO 8601, to the minute
    }
    environment.globals |= {
        "root": root,
        "static": lambda name: root + _static(name),
        "why_address": lambda *fact: root + _why_address(*fact),
    }
    return environment


def _colour_class(name: str, position: int = 0) -> str:
    """The style class of a modality's or an expert's colour."""
    if name in _NAMED_COLOURS:
        return f"c-{name}"
    number = re.search(r"\d+$", name)
    return f"c-{(int(number[0]) if number else position) % _FURTHER_COLOURS}"


@cache
def _static(name: str) -> str:
    """The address of a static file, which changes with its content."""
    digest = hashlib.sha256((_HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _entity_address(label: str) -> str:
    return "/entity?" + urlencode({"label": make_reference(label)})


def _why_address(head: str, relation: str, tail: str, asked: str = "tail") -> str:
    parts = {"head": head, "relation": relation, "tail": tail}
    query = {name: make_reference(label) for name, label in parts.items()}
    return "/why?" + urlencode(query | ({"asked": asked} if asked != "tail" else {}))


def _percent(value: float) -> str:
    """Two digits that count: 97 %, 3.4 %, 0.21 %, <0.01 %."""
    percent = 100 * value
    if percent >= 99.95:
        return "100 %" if value == 1.0 else ">99.9 %"
    if percent >= 10:
        return f"{percent:.0f} %"
    if percent >= 1:
        return f"{percent:.1f} %"
    return f"{percent:.2f} %" if percent >= 0.01 else "<0.01 %"


def _named(text: str, longest: int, *, alone: bool = False) -> Markup:
    """A name, cut in its middle where it is long; all of it shows on hover and on focus.

    One that stands ``alone``, in no link, can then be focused itself.
    """
    whole, short = _shorten(text, _FULL), _shorten(text, longest)
    if whole == short:
        return Markup("<bdi>{}</bdi>").format(short)
    focus = Markup(' tabindex="0"') if alone else ""
    return Markup('<bdi data-full="{}"{}>{}</bdi>').format(whole, focus, short)


def _shorten(text: str, longest: int = 120) -> str:
    """A text that fits a line; blanks of any kind are one."""
    return shorten_middle(" ".join(text.split()), longest)
