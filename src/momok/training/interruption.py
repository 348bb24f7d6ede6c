"""Ctrl-C and SIGTERM: training saves before it stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interruption:
    """Whether a stop was asked for; a second Ctrl-C stops at once."""

    requested = False

    def ask(self, number: int, _frame: object) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """SIGTERM in this block is a KeyboardInterrupt, as Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def catch_interruption() -> Iterator[Interruption]:
    """SIGINT and SIGTERM in this block only ask for a stop, which is taken between two steps."""
    interruption = Interruption()
    before = {}
    if threading.current_thread() is threading.main_thread():  # others may not have handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, interruption.ask)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
