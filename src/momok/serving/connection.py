"""HTTP connections that do not wait for ever: clients that send or read too slowly are cut off."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, with a limit on how long headers may take and answers stay unread.

    ``patience`` is in seconds; what sends one byte at a time holds a connection no longer.
    """

    patience = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_due: asyncio.TimerHandle | None = None
        self._reading_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop_headers_clock()
        self._stop_reading_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin the clock with the first byte of a request, stop it with its headers' last."""
        if self._headers_due is None and self._is_between_requests():
            self._expect_headers()
        super().data_received(data)
        if not self._is_between_requests():
            self._stop_headers_clock()

    def pause_writing(self) -> None:
        """The client does not read: wait, but not for ever."""
        super().pause_writing()
        if self._reading_due is None:
            self._reading_due = self.loop.call_later(self.patience, self._cut_off)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_reading_clock()
        super().resume_writing()

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_headers(self) -> None:
        self._headers_due = self.loop.call_later(self.patience, self._cut_off)

    def _cut_off(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    def _stop_headers_clock(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _stop_reading_clock(self) -> None:
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None
