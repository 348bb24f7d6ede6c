"""Runs the application: one process, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from momok.errors import ConfigError
from momok.serving.app import create_app
from momok.serving.service import Service
from momok.serving.settings import ServeSettings, check_extra

_STOP_SECONDS = 20  # for requests under way, then they are cut off


def serve(settings: ServeSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve a run until SIGTERM or SIGINT; SIGHUP loads the checkpoint again.

    Requests under way are finished before it returns.

    Args:
        settings: which run, and how.
        ready: is told the address once the model is loaded; connections wait from then on.

    Raises:
        MomokError: the run or the review database cannot be used, or the address is taken.
    """
    check_extra()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("momok.serving").setLevel(logging.INFO)
    with _bind(settings.host, settings.port) as listener:
        service = Service(settings)
        # A full collection would look through what stays anyway: 350,000 objects and 0.17 s with
        # MKG-Y, in the midst of requests (measured).
        gc.collect()
        gc.freeze()
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings, service),
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=settings.connections,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        with _handle_signals(server, service):
            if ready is not None:
                host, port = listener.getsockname()[:2]
                ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            server.run(sockets=[listener])


@contextmanager
def _handle_signals(server: uvicorn.Server, service: Service) -> Iterator[None]:
    """Stop or reload on signals, also before uvicorn listens to them and after it has ended.

    uvicorn raises SIGTERM again at its end: without a handler the process would not end with 0.
    """

    def reload(*_: Any) -> None:
        logging.getLogger("momok.serving").info("asked to load the checkpoint again")
        service.holder.reload_asked.set()

    wanted: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), server.handle_exit)
    if hasattr(signal, "SIGHUP"):
        wanted[signal.SIGHUP] = reload
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(host: str, port: int) -> socket.socket:
    """Take the address before the model is loaded: a taken one is said at once."""
    address = host.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            (address, port), family=family, backlog=1024, dualstack_ipv6=dual
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{host}:{port}: cannot be served here: {reason}; choose another --host or --port"
        ) from error
