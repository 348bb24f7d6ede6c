"""Fetching from a SPARQL endpoint: one request, read as it comes, with limits on all of it."""

from __future__ import annotations

import hashlib
import http.client
import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import version
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlencode, urlsplit

from momok.errors import DataError, FormatError

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12

_LONGEST_GET = 2000  # characters of an address that all servers and proxies take
_SAID = 300  # characters of what a server says of an error


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


@dataclass(frozen=True)
class Answer:
    """What an endpoint answers.

    Attributes:
        media_type: as in ``text/turtle``, lower case, without parameters.
        headers: of the answer; names in any case.
        stream: its content.
        digest: the hash of the content that was read so far.
    """

    media_type: str
    headers: Message
    stream: BinaryIO
    digest: Callable[[], bytes]


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
    if parts.scheme not in ("http", "https") or not host:
        raise DataError(f"{url!r}: expected an address that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise DataError(f"{host}: an address with a user name or password is not taken")
    if any(sign <= " " or sign > "~" for sign in url):
        raise DataError(f"{url!r}: has blanks or letters that an address writes as %..")


def _build_opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()  # without handlers of file: and ftp:, for redirects
    for handler in (
        *(urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler),
        *(urllib.request.HTTPRedirectHandler, urllib.request.HTTPErrorProcessor),
        *(urllib.request.HTTPDefaultErrorHandler, urllib.request.UnknownHandler),
    ):
        opener.add_handler(handler())
    return opener


@contextmanager
def send_query(url: str, query: str, accept: str, limits: RequestLimits) -> Iterator[Answer]:
    """Ask an endpoint a query (SPARQL 1.1 Protocol) and give its answer to be read.

    Raises:
        DataError: it cannot be reached, refuses, says an error, or is silent or slow.
        FormatError: its answer is packed, larger than the limit, or ends early.
    """
    check_address(url)
    headers = {
        "Accept": accept,
        "Accept-Encoding": "identity",
        "User-Agent": f"momok/{version('momok')}",
    }
    form = urlencode({"query": query})
    address = f"{url}{'&' if urlsplit(url).query else '?'}{form}"
    if len(address) <= _LONGEST_GET:
        request = urllib.request.Request(address, headers=headers)
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = urllib.request.Request(url, data=form.encode(), headers=headers)
    deadline = time.monotonic() + limits.seconds
    try:
        response = _build_opener().open(request, timeout=min(limits.silence, limits.seconds))
    except urllib.error.HTTPError as error:
        with error:
            said = " ".join(str(error.reason).split())
            raise DataError(f"{url}: answers {error.code} {said}{_quote(error)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(f"{url}: {_say(error, limits)}") from None
    with response:
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            raise FormatError(f"{url}: answers packed with {encoding!r}, which was not asked for")
        content = _Content(response, url, limits, deadline)
        stream = io.BufferedReader(content, 1 << 16)
        media_type = response.headers.get_content_type()
        yield Answer(media_type, response.headers, stream, content.hash.digest)


def _quote(error: urllib.error.HTTPError) -> str:
    """Give the first words of what a server says of an error."""
    try:
        text = error.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""
    words = " ".join(text.split())[:_SAID]
    return f": {words}" if words and not words.startswith("<") else ""


def _say(error: Exception, limits: RequestLimits) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"did not answer within {limits.silence:g} seconds"
    if isinstance(reason, OSError) and reason.strerror:
        return f"cannot be reached: {reason.strerror}"
    said = " ".join(str(reason).split())
    return f"cannot be read: {type(reason).__name__} {said}".strip()


class _Content(io.RawIOBase):
    """The content of an answer, counted and timed."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        url: str,
        limits: RequestLimits,
        deadline: float,
    ) -> None:
        self._response, self._url, self._limits = response, url, limits
        self._deadline = deadline
        self._count = 0
        self.hash = hashlib.blake2b()
        self._announced = response.length  # None where the answer comes in chunks

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer with what has come.

        Raises:
            DataError: nothing comes, or not all of it in time.
            FormatError: it ends early or is larger than the limit.
        """
        view = memoryview(buffer)
        try:
            data = self._response.read1(len(view))
        except http.client.IncompleteRead:
            data = b""
            self._announced = self._count + 1
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DataError(
                f"{self._url}: the answer broke off after {self._count:,} bytes: "
                f"{_say(error, self._limits)}"
            ) from None
        self._count += len(data)
        if time.monotonic() > self._deadline:
            raise DataError(
                f"{self._url}: the answer took more than {self._limits.seconds:g} seconds; ask for "
                "less, or page by page"
            )
        if self._count > self._limits.size:
            raise FormatError(
                f"{self._url}: the answer is larger than {self._limits.size:,} bytes; ask for less"
            )
        if not data and self._announced is not None and self._count < self._announced:
            raise FormatError(
                f"{self._url}: the answer ends early, after {self._count:,} bytes; ask again, or "
                "page by page"
            )
        self.hash.update(data)
        view[: len(data)] = data
        return len(data)
