"""The page: HTML made on the server, usable without JavaScript and from the keyboard alone."""

from __future__ import annotations

from fastapi import APIRouter

from momok.serving.pages import browsing, reviewing

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
router.include_router(browsing.router)
router.include_router(reviewing.router)
