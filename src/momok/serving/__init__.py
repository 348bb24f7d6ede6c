"""The HTTP service: the page, the JSON API and the review of predicted facts.

Needs the extra ``serve``. ``serve(settings)`` runs a server until it is told to stop;
``create_app(...)`` gives the application alone, for another server or for tests.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from momok.serving.app import create_app
    from momok.serving.server import serve
    from momok.serving.settings import ServeSettings

__all__ = ["ServeSettings", "create_app", "serve"]

_PLACES = {
    "ServeSettings": "momok.serving.settings",
    "create_app": "momok.serving.app",
    "serve": "momok.serving.server",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'momok.serving' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
