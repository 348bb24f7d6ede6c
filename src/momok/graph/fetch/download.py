"""One file over HTTP: resumed where it was cut, refused where it is not what was expected."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from momok.errors import FetchError, StorageError
from momok.storage import parse_json

if TYPE_CHECKING:
    import requests

MAX_BYTES = 16 << 30  # of a file whose size is not known
_CHUNK = 1 << 18
_MOST_ATTEMPTS = 60  # in all; a server that gives a byte at a time ends
_PATIENCE = 5  # attempts in a row without a new byte
_TIMEOUTS = (20, 60)  # seconds to connect, and between two pieces
FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 20.0  # seconds between attempts, doubled each time
_BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth another attempt


class _CutError(Exception):
    """The connection was cut or the server is busy."""


@dataclass
class Downloader:
    """Fetches a URL into a file, by way of a ``.part`` file that outlives the process.

    Beside the part lies what the server said of the version, so that two versions are never mixed.

    Attributes:
        size: expected bytes, None where they are not known.
        progress: is told (bytes so far, bytes in all or 0).
    """

    part: Path
    size: int | None
    progress: Callable[[int, int], None]

    def fetch(self, url: str, output: Path) -> None:
        """Fetch ``url`` and move it to ``output``.

        Raises:
            FetchError: the server refuses, sends something else, or is cut too often; what was got
                so far stays in the part where it can be resumed.
        """
        import requests

        fruitless, before = 0, self._count_held()
        with requests.Session() as session:
            for attempt in range(_MOST_ATTEMPTS):
                try:
                    self._attempt(session, url)
                    break
                except _CutError as reason:
                    held = self._count_held()
                    fruitless = 0 if held > before else fruitless + 1
                    before = held
                    if fruitless >= _PATIENCE or attempt + 1 == _MOST_ATTEMPTS:
                        raise FetchError(
                            f"{url}: {reason}; {held:,} bytes are kept, the same command goes on "
                            f"from there"
                        ) from None
                    time.sleep(min(_LONGEST_PAUSE, FIRST_PAUSE * 2**fruitless))
                except OSError as error:
                    raise StorageError(
                        f"{self.part}: could not be written: {error.strerror or error}"
                    ) from error
        self.part.replace(output)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _count_held(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _drop(self, error: Exception) -> Exception:
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        return error

    def _attempt(self, session: requests.Session, url: str) -> None:
        from requests import exceptions
        from urllib3.exceptions import HTTPError

        headers = {"Accept-Encoding": "identity", "User-Agent": "momok"}
        start = self._count_held()
        if start:
            version = self._read_version(url)
            if version is None or start > (self.size or MAX_BYTES):
                start = 0  # of another address or version, or more than there is
            elif start == self.size:
                return
            else:
                headers["Range"] = f"bytes={start}-"
                headers |= {"If-Range": version} if version else {}
        try:
            with session.get(url, headers=headers, stream=True, timeout=_TIMEOUTS) as response:
                self._check_answer(url, response)
                self._receive(url, response, start)
        except (
            *(exceptions.InvalidSchema, exceptions.InvalidURL, exceptions.TooManyRedirects),
            exceptions.SSLError,
        ) as error:
            raise FetchError(f"{url}: leads to no safe web address ({error})") from None
        except (exceptions.RequestException, HTTPError) as error:
            raise _CutError(f"the connection failed ({type(error).__name__})") from error

    def _check_answer(self, url: str, response: requests.Response) -> None:
        status, headers = response.status_code, response.headers
        answer = f"the server answers {status} {response.reason}"
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise FetchError(f"{url}: is redirected to {response.url}, which is not encrypted")
        if status == 416:  # the part is no part of what is there
            raise self._drop(_CutError(answer))
        if status in _BUSY:
            raise _CutError(answer)
        if status not in (200, 206):
            raise FetchError(f"{url}: {answer}")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise FetchError(f"{url}: the server packs the file, which was not asked for")
        if headers.get("Content-Type", "").startswith("text/html"):
            raise FetchError(f"{url}: the server sends a web page instead of the file")

    def _receive(self, url: str, response: requests.Response, start: int) -> None:
        total = response.headers.get("Content-Length", "")
        if response.status_code == 206:
            given = response.headers.get("Content-Range", "")
            first, total = (re.findall(r"^bytes (\d+)-\d+/(\d*)", given) or [("", "")])[0]
            if first != str(start):
                raise self._drop(_CutError("the server sends another part than was asked for"))
        else:
            start = 0  # it ignores ranges, or the file has changed
        said = int(total) if total.isdecimal() else None
        if None not in (said, self.size) and said != self.size:
            raise self._drop(
                FetchError(
                    f"{url}: the server says {said:,} bytes, expected {self.size:,}: the file is "
                    f"not the one that was published"
                )
            )
        wanted = self.size or said
        free = shutil.disk_usage(self.part.parent).free
        if wanted is not None and wanted - start > free:
            raise StorageError(
                f"{self.part.parent}: {wanted - start:,} bytes are to come, {free:,} are free"
            )
        if not start:
            tag = response.headers.get("ETag", "W/")  # a weak tag names no bytes
            version = response.headers.get("Last-Modified", "") if tag.startswith("W/") else tag
            self._note.write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")
        got, limit = start, wanted or MAX_BYTES
        with self.part.open("ab" if start else "wb") as file:
            # read1 gives what has come; others wait for a whole chunk, lost if that never comes.
            while (chunk := response.raw.read1(_CHUNK)) and (got := got + len(chunk)) <= limit:
                file.write(chunk)
                self.progress(got, wanted or 0)
        if got > limit:
            raise self._drop(FetchError(f"{url}: sends more than the {limit:,} bytes expected"))
        if wanted is not None and got < wanted:
            raise _CutError(f"the connection was cut after {got:,} of {wanted:,} bytes")

    def _read_version(self, url: str) -> str | None:
        """Give what the server called the version of the part, None where it is of another URL."""
        try:
            note = parse_json(self._note.read_bytes())
            return str(note["version"]) if note["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
