"""One file over HTTP: resumed where it was cut, refused where it is not what was expected."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from momok.errors import FetchError, StorageError

if TYPE_CHECKING:
    import requests

MAX_BYTES = 16 << 30  # of a file whose size is not known
_CHUNK = 1 << 18
_MOST_ATTEMPTS = 60  # in all; a server that gives a byte at a time ends
_PATIENCE = 5  # attempts in a row without a new byte
_TIMEOUTS = (20, 60)  # seconds to connect, and between two pieces
_LONGEST_PAUSE = 20.0
_BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth another attempt

ByteProgress = Callable[[int, int], None]


class _CutError(Exception):
    """The connection was cut or the server is busy."""


@dataclass
class Downloader:
    """Fetches a URL into a file, by way of a ``.part`` file that outlives the process.

    It is a downloader of pooch, which then checks the hash: ``downloader(url, output, pooch)``.
    Beside the part lies what the server said of the version, so that two versions are never mixed.

    Attributes:
        part: the partial file.
        size: expected bytes, None where they are not known.
        progress: is told (bytes so far, bytes in all or 0).
        pause: seconds before the second attempt, doubled before each one after.
    """

    part: Path
    size: int | None
    progress: ByteProgress
    pause: float = 1.0

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:  # noqa: ARG002
        """Fetch ``url`` and move it to ``output_file``.

        Raises:
            FetchError: the server refuses, sends something else, or is cut too often; what was got
                so far stays in the part where it can be resumed.
            StorageError: the disk is full or refuses.
        """
        import requests

        fruitless, before = 0, self._held()
        with requests.Session() as session:
            for attempt in range(_MOST_ATTEMPTS):
                try:
                    self._attempt(session, url)
                    break
                except _CutError as reason:
                    held = self._held()
                    fruitless = 0 if held > before else fruitless + 1
                    before = held
                    if fruitless >= _PATIENCE or attempt + 1 == _MOST_ATTEMPTS:
                        raise FetchError(
                            f"{url}: {reason}; {held:,} bytes are kept, the same command goes on "
                            f"from there"
                        ) from None
                    time.sleep(min(_LONGEST_PAUSE, self.pause * 2**fruitless))
                except OSError as error:
                    raise StorageError(
                        f"{self.part}: could not be written: {error.strerror or error}"
                    ) from error
        self.part.replace(output_file)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _held(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _attempt(self, session: requests.Session, url: str) -> None:
        import requests
        import urllib3

        start = self._held()
        version = self._read_version(url)
        if start and (version is None or (self.size is not None and start > self.size)):
            self._drop()  # of another address or version, or more than there is
            start = 0
        if start and start == self.size:
            return
        headers = {"Accept-Encoding": "identity", "User-Agent": "momok"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if version:
                headers["If-Range"] = version
        try:
            with session.get(url, headers=headers, stream=True, timeout=_TIMEOUTS) as response:
                self._check_answer(url, response)
                self._receive(url, response, start)
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
            raise FetchError(f"{url}: leads to what is no web address ({error})") from None
        except requests.exceptions.TooManyRedirects:
            raise FetchError(f"{url}: is redirected without end") from None
        except requests.exceptions.SSLError as error:
            raise FetchError(f"{url}: the connection is not safe ({error})") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _CutError(f"the connection failed ({type(error).__name__})") from error

    def _check_answer(self, url: str, response: requests.Response) -> None:
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise FetchError(f"{url}: is redirected to {response.url}, which is not encrypted")
        if response.status_code == 416:  # the part is no part of what is there
            self._drop()
            raise _CutError("the server has no such range")
        if response.status_code in _BUSY:
            raise _CutError(f"the server answers {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise FetchError(f"{url}: the server answers {response.status_code} {response.reason}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise FetchError(f"{url}: the server packs the file, which was not asked for")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise FetchError(f"{url}: the server sends a web page instead of the file")

    def _receive(self, url: str, response: requests.Response, start: int) -> None:
        total = _find_total(response)
        if response.status_code == 206 and _find_start(response) != start:
            self._drop()
            raise _CutError("the server sends another part than was asked for")
        if response.status_code == 200:
            start = 0  # it ignores ranges, or the file has changed
        if self.size is not None and total is not None and total != self.size:
            self._drop()
            raise FetchError(
                f"{url}: the server says {total:,} bytes, expected {self.size:,}: the file is not "
                f"the one that was published"
            )
        wanted = self.size if self.size is not None else total
        free = shutil.disk_usage(self.part.parent).free
        if wanted is not None and wanted - start > free:
            raise StorageError(
                f"{self.part.parent}: {wanted - start:,} bytes are to come, {free:,} are free"
            )
        if not start:
            self._write_version(url, response)
        with self.part.open("ab" if start else "wb") as file:
            got = self._copy(response, file, start, wanted)
        if wanted is not None and got < wanted:
            raise _CutError(f"the connection was cut after {got:,} of {wanted:,} bytes")

    def _copy(
        self, response: requests.Response, file: BinaryIO, got: int, wanted: int | None
    ) -> int:
        limit = MAX_BYTES if wanted is None else wanted
        # read1 gives what has come; others would wait for a whole chunk, lost if that never comes.
        while chunk := response.raw.read1(_CHUNK):
            got += len(chunk)
            if got > limit:
                file.close()
                self._drop()
                raise FetchError(f"{response.url}: sends more than the {limit:,} bytes expected")
            file.write(chunk)
            self.progress(got, wanted or 0)
        return got

    def _read_version(self, url: str) -> str | None:
        """Give what the server called the version of the part, None where it is of another URL."""
        try:
            note = json.loads(self._note.read_bytes())
            return str(note["version"]) if note["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_version(self, url: str, response: requests.Response) -> None:
        tag = response.headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else ""  # a weak tag names no bytes
        version = version or response.headers.get("Last-Modified", "")
        self._note.write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")


def _find_total(response: requests.Response) -> int | None:
    """Give the bytes of the whole file, as far as the server says."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", ""))
        return int(match[1]) if match else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _find_start(response: requests.Response) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None
