"""Queries to a SPARQL endpoint: one request, read as it comes, with limits on all of it."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from momok.errors import DataError, FormatError
from momok.extras import import_extra
from momok.graph.sources.compressed import open_function

if TYPE_CHECKING:
    import requests

_LONGEST_GET = 2000  # characters of an address that all servers and proxies take
_MAX_REDIRECTS = 5
_QUOTED = 300  # characters of what a server says of an error


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """What an endpoint may take and give.

    Attributes:
        silence: seconds without a byte.
        seconds: for one answer in all.
        size: bytes of one answer.
    """

    silence: float = 60
    seconds: float = 3600
    size: int = 16 << 30


def check_address(url: str) -> None:
    """Check that an address is one that may be asked.

    Raises:
        DataError: it is none of http or https, has no host, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DataError(f"{url!r}: is no address ({error})") from None
    if "@" in parts.netloc:
        raise DataError(f"{host}: an address with a user name or password is not taken")
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch("[!-~]+", url):
        raise DataError(
            f"{url!r}: expected an address that begins with http:// or https:// and has no blanks"
        )


@contextmanager
def send_query(
    url: str, query: str, accept: str, limits: RequestLimits
) -> Iterator[tuple[Mapping[str, str], io.BufferedReader[Any], hashlib.blake2b]]:
    """Ask an endpoint a query (SPARQL 1.1 Protocol); give its answer.

    Yields:
        The headers, the content, and the hash of what was read of it.

    Raises:
        DataError: it cannot be reached, refuses, says an error, or is silent or slow.
        FormatError: its answer is compressed, larger than the limit, or ends early.
    """
    requests = import_extra("requests", "fetch", "asking a SPARQL endpoint")
    deadline = time.monotonic() + limits.seconds
    with requests.Session() as session:
        session.headers = {
            "Accept": accept,
            "Accept-Encoding": "identity",
            "User-Agent": f"momok/{version('momok')}",
        }
        try:
            response = _follow(session, url, query, min(limits.silence, limits.seconds))
        except requests.Timeout:
            raise DataError(f"{url}: did not answer within {limits.silence:g} seconds") from None
        except requests.RequestException as error:
            raise DataError(f"{url}: cannot be reached: {_find_reason(error)}") from None
        with response:
            if response.status_code != requests.codes.ok:
                raise DataError(
                    f"{url}: answers {response.status_code} {response.reason}{_quote(response)}"
                )
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if encoding != "identity":
                raise FormatError(f"{url}: answers packed with {encoding!r}, not as asked for")
            yield response.headers, *_read_content(response, url, limits, deadline)


def _follow(session: requests.Session, url: str, query: str, timeout: float) -> requests.Response:
    """Send a query, and again where the server says that it has moved: to itself, or to https."""
    form = {"query": query}
    is_short = len(url) + len(urlencode(form)) < _LONGEST_GET
    where, params = url, form if is_short else None
    for _ in range(_MAX_REDIRECTS):
        response = session.request(
            "GET" if is_short else "POST",
            where,
            params=params,
            data=None if is_short else form,
            stream=True,
            timeout=timeout,
            allow_redirects=False,
        )
        if not response.is_redirect:
            return response
        session.close()  # the next one is asked on a connection of its own
        target = urljoin(response.url, response.headers["location"])
        if session.should_strip_auth(response.url, target):
            raise DataError(
                f"{url}: redirects to {target[:_QUOTED]!r}, another server; give that address if "
                "it is the right one"
            )
        where, params = target, None  # the target of a GET has the query
    raise DataError(f"{url}: redirects more than {_MAX_REDIRECTS} times")


def _find_reason(error: BaseException) -> str:
    """Find what the system says at the root of an error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return " ".join(f"{type(error).__name__} {error}".split())


def _quote(response: requests.Response) -> str:
    """Give the first words of what a server says of an error."""
    try:
        text = response.raw.read(4096).decode(errors="replace")
    except Exception:  # whatever breaks the connection: the status says enough
        return ""
    words = " ".join(text.split())[:_QUOTED]
    return f": {words}" if words and not words.startswith("<") else ""


def _read_content(
    response: requests.Response, url: str, limits: RequestLimits, deadline: float
) -> tuple[io.BufferedReader[Any], hashlib.blake2b]:
    """Open the content of an answer, counted and timed; also give the hash of what was read."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    count, digest = 0, hashlib.blake2b()

    def read(most: int) -> bytes:
        nonlocal count
        try:
            data: bytes = response.raw.read1(most)
        except (HTTPError, OSError, ValueError) as error:
            is_silent = isinstance(error, ReadTimeoutError)
            reason = f"{limits.silence:g} seconds of silence" if is_silent else _find_reason(error)
            raise DataError(
                f"{url}: the answer ends early, after {count:,} bytes ({reason}); ask again, or "
                "page by page"
            ) from None
        count += len(data)
        if time.monotonic() > deadline:
            raise DataError(
                f"{url}: the answer took more than {limits.seconds:g} seconds; ask for less, or "
                "page by page"
            )
        if count > limits.size:
            raise FormatError(
                f"{url}: the answer is larger than {limits.size:,} bytes; ask for less"
            )
        digest.update(data)
        return data

    return open_function(read), digest
