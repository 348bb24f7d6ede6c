"""IRIs of entities and relations, for RDF: their labels, where these are IRIs, or made of them."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote, unquote

from momok.errors import ConfigError

DEFAULT_BASE = "urn:momok:"

# An absolute IRI that can stand in N-Triples: a hierarchical one or a URN, without the characters
# that IRIREF excludes. A label like "city:FR/Paris" has a colon too, but names no known scheme.
_IRI = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|urn:)[^\x00-\x20<>\"{}|^`\\]+")


def make_iri(
    label: str, kind: Literal["entity", "relation", "type"], base: str = DEFAULT_BASE
) -> str:
    """A label as it is if it is an absolute IRI, else percent-encoded under base and kind.

    What lies there already is encoded too, so that ``read_iri`` gives every label back.
    """
    place = f"{base}{kind}/"
    if _IRI.fullmatch(label) and not label.startswith(place):
        return label
    return f"{place}{quote(label, safe='')}"


def read_iri(
    iri: str, kind: Literal["entity", "relation", "type"], base: str = DEFAULT_BASE
) -> str:
    """The label that ``make_iri`` made an IRI of."""
    place = f"{base}{kind}/"
    return unquote(iri.removeprefix(place)) if iri.startswith(place) else iri


def check_base(base: str) -> None:
    """Check what labels are put under: ConfigError where it is no absolute IRI, or nothing can
    follow it."""
    if not _IRI.fullmatch(base) or base[-1] not in "/#:":
        raise ConfigError(
            f"base IRI {base!r}: expected an absolute one that ends with /, # or :, "
            f"as https://example.org/ or {DEFAULT_BASE}"
        )
