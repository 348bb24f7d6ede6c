"""Packages that only some features need, imported when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from momok.errors import MissingExtraError


def import_extra(module: str, extra: str, purpose: str, package: str = "") -> Any:
    """Import a module of an optional dependency.

    Args:
        module: what to import, such as ``skimage.color``.
        extra: the extra of momok that installs it.
        purpose: what needs it, for the message.
        package: its name on PyPI, where that is not the name of the module.

    Raises:
        MissingExtraError: it is not installed; the message says which extra installs it.
    """
    root = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != root:
            raise
        raise MissingExtraError(package or root, extra, purpose) from None


def require_extra(packages: Mapping[str, str], extra: str, purpose: str) -> None:
    """Check that the modules of an extra, each with its name on PyPI, are installed.

    Raises:
        MissingExtraError: one is not.
    """
    for module, package in packages.items():
        if find_spec(module) is None:
            raise MissingExtraError(package, extra, purpose)
