"""Runs the application: one process, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from momok.errors import ConfigError
from momok.serving.app import create_app
from momok.serving.connection import PatientProtocol
from momok.serving.service import Service
from momok.serving.settings import ServeSettings, check_extra

__all__ = ["serve"]

_STOP_SECONDS = 20  # for requests under way, then they are cut off
_LOG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "momok.serving": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}


def serve(settings: ServeSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve a run until SIGTERM or SIGINT; SIGHUP loads the checkpoint again.

    Requests under way are finished before it returns.

    Args:
        settings: which run, and how.
        ready: is told the address once connections are accepted.

    Raises:
        MomokError: the run or the review database cannot be used, or the address is taken.
    """
    check_extra()
    listener = _bind(settings.host, settings.port)
    try:
        service = Service.open(settings)
    except BaseException:
        listener.close()
        raise
    # A full collection would look through what stays anyway: 350,000 objects and 0.17 s with MKG-Y,
    # in the midst of requests (measured).
    gc.collect()
    gc.freeze()
    protocol = type("Protocol", (PatientProtocol,), {"patience": settings.limits.request_seconds})
    config = uvicorn.Config(
        create_app(settings, service),
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=_LOG,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    _Server(config, service, ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server; ends with status 0 when asked to stop, reloads on SIGHUP."""

    def __init__(
        self, config: uvicorn.Config, service: Service, ready: Callable[[str], None] | None
    ) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then say so."""
        await super().startup(sockets)
        if self.started and self._ready is not None and sockets:
            self._ready(_describe_address(sockets[0]))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; unlike uvicorn, do not raise them again afterwards."""
        wanted = {signal.SIGINT: self._stop, signal.SIGTERM: self._stop}
        if sys.platform != "win32":
            wanted[signal.SIGHUP] = self._reload
        before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)

    def _reload(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        logging.getLogger("momok.serving").info("asked to load the checkpoint again")
        self._service.holder.ask_reload()


def _bind(host: str, port: int) -> socket.socket:
    """Take the address before the model is loaded: a taken one is said at once."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{host}:{port}: cannot be served here: {reason}; choose another --host or --port"
        ) from error
    return listener


def _describe_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
