"""Logging in with the token, and out."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from momok.serving.access import begin_session, is_local_path, is_token
from momok.serving.api import WithService
from momok.serving.pages.rendering import read_form, redirect, render

router = APIRouter()
_FAILED_SECONDS = 1.0  # a wrong token waits


@router.get("/login")
async def login_form(request: Request, next: str = "/") -> Response:
    """Ask for the token."""
    return render(request, "login.html", next=_keep_local(next), wrong=False)


@router.post("/login")
async def login(request: Request, service: WithService) -> Response:
    """Begin a session when the token is right."""
    fields = await read_form(request)
    place = _keep_local(fields.get("next", "/"))
    if not is_token(fields.get("token", ""), service.settings.token):
        await asyncio.sleep(_FAILED_SECONDS)
        return render(request, "login.html", 401, next=place, wrong=True)
    begin_session(request, trusted=True)
    return redirect(place)


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    await read_form(request)
    request.session.clear()
    return redirect("/login")


def _keep_local(path: str) -> str:
    return path if is_local_path(path) else "/"
