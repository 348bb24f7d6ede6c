"""Templates, their filters, and the session that every page belongs to."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

import momok
from momok.serving.access import Session
from momok.serving.directory import make_reference
from momok.serving.pages.charts import BAR_WIDTH, arcs, colour_class, stack
from momok.serving.service import Service

__all__ = [
    "FormRefusedError",
    "begin_trusted",
    "error_page",
    "read_form",
    "redirect",
    "render",
    "reviewer_name",
    "service_of",
    "write_reviewer",
]

_HERE = Path(__file__).parents[1]
_REVIEWER_COOKIE = "momok_reviewer"
_MOST_FIELDS = 20
_YEAR = 365 * 24 * 3600


class FormRefusedError(Exception):
    """A form without the token of its session."""


def service_of(request: Request) -> Service:
    """The parts of the server."""
    service: Service = request.app.state.service
    return service


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Make a page; begins a session where the browser has none."""
    service = service_of(request)
    session = _find_session(request)
    text = (
        _environment()
        .get_template(template)
        .render(
            values
            | {
                "about": _describe_server(service),
                "form_token": session.form_token,
                "reviewer": reviewer_name(request),
                "path": request.url.path,
                "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            }
        )
    )
    response = HTMLResponse(text.encode("utf-8", "replace"), status_code=status)
    if getattr(request.state, "fresh_session", None) is session:
        _set_session(response, request, service, session)
    return response


def error_page(request: Request, status: int, message: str) -> Response:
    """A page that says what went wrong."""
    return render(request, "error.html", status, code=status, message=message)


def redirect(path: str, **query: str) -> RedirectResponse:
    """Go on to another page, by GET."""
    return RedirectResponse(path + (f"?{urlencode(query)}" if query else ""), status_code=303)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, after its token was checked.

    Raises:
        FormRefusedError: the token is missing, or of another session.
    """
    text = (await request.body()).decode("utf-8", "replace")
    try:
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise FormRefusedError from error
    if request.state.bearer:
        return fields
    gate = service_of(request).gate
    if not gate.is_form_token(request.state.session, fields.get("form_token", "")):
        raise FormRefusedError
    return fields


def reviewer_name(request: Request) -> str:
    """The name that decisions of this browser are written under."""
    given = unquote(request.cookies.get(_REVIEWER_COOKIE, ""))[:80].strip()
    if given and given.isprintable():
        return given
    session = _find_session(request)
    return f"reviewer-{hashlib.sha256(session.value.encode()).hexdigest()[:6]}"


def write_reviewer(response: Response, name: str) -> None:
    """Remember a reviewer's name in the browser."""
    response.set_cookie(
        _REVIEWER_COOKIE, quote(name, safe=""), max_age=_YEAR, httponly=True, samesite="lax"
    )


def begin_trusted(request: Request, response: Response) -> None:
    """Begin a session of a browser that has shown the token."""
    service = service_of(request)
    _set_session(response, request, service, service.gate.new_session(trusted=True))


def _find_session(request: Request) -> Session:
    """The session of a request, begun here where the browser has none."""
    session: Session | None = request.state.session
    if session is None:
        gate = service_of(request).gate
        session = gate.new_session(trusted=bool(request.state.bearer))
        request.state.session = request.state.fresh_session = session
    return session


def _set_session(response: Response, request: Request, service: Service, session: Session) -> None:
    secure = request.url.scheme == "https"
    response.headers.append("set-cookie", service.gate.write_cookie(session, secure=secure))


def _describe_server(service: Service) -> dict[str, Any]:
    graph = service.model.predictor.graph
    return {
        "graph": graph.name,
        "licence": graph.licence,
        "momok": momok.__version__,
        "model": service.model.version,
        "calibrated": service.model.calibrated,
        "asks_token": service.gate.asks_token,
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "arcs": arcs,
        "colour": colour_class,
        "entity_address": _entity_address,
        "initial": lambda name: name[:1].upper() or "·",
        "percent": _percent,
        "reference": make_reference,
        "shorten": _shorten,
        "stack": stack,
        "thousands": lambda number: f"{number:,}",
        "when": _when,
    }
    environment.globals |= {"static": _static, "why_address": _why_address, "bar_width": BAR_WIDTH}
    return environment


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


def _shorten(text: str, longest: int = 120) -> str:
    """A text that fits a line; blanks of any kind are one."""
    text = " ".join(text[: 8 * longest].split())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _when(moment: str) -> str:
    """``2026-03-01T12:34:56.789+00:00`` to the minute."""
    return moment[:16].replace("T", " ")
