"""SIGTERM, which ends a process at once, made into an exception, so that a run can save first.

Schedulers of clusters send it before they take a machine away. A second one ends the process at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """The process was asked to end. status: what a shell reports for SIGTERM."""

    status = 128 + signal.SIGTERM

    def __init__(self) -> None:
        super().__init__(self.status)


@contextmanager
def terminating() -> Iterator[None]:
    """Within, SIGTERM raises `Terminated`; where somebody else handles it, or outside the main thread, nothing is
    changed."""
    in_charge = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not in_charge:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the next one is not asked to wait
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def handler_kept() -> Iterator[None]:
    """Around calls of libraries that take SIGTERM for themselves: afterwards whoever handled it before does again."""
    before = signal.getsignal(signal.SIGTERM)  # None: no handler of Python's
    in_charge = threading.current_thread() is threading.main_thread() and before is not None
    try:
        yield
    finally:
        if in_charge:
            signal.signal(signal.SIGTERM, before)
