"""How processes end: with the one that started them, or by a signal, in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

__all__ = ["Stopped", "end_with", "left_out_of_ctrl_c", "stoppable", "told_what_is_kept"]

try:
    _winapi: Any = import_module("_winapi")
except ImportError:  # not Windows
    _winapi = None

_LOOK_EVERY_S = 0.5
_SYNCHRONIZE, _NO_SUCH_PROCESS = 0x00100000, 87
_STOPS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))  # Windows has the first alone
_AT_ONCE: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # where there is none, this one ends a process at once


class Stopped(BaseException):
    """A signal that asks this process to end. No mistake and no failure: nothing but the outermost call ends it.

    Parameters
    ----------
    number
        Of the signal.
    kept
        What there is of the work, where that is known, as the end of a sentence.
    """

    def __init__(self, number: int, kept: str = ""):
        super().__init__("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        self.number, self.kept, self.status = number, kept, 128 + number


def end_with(parent: int) -> None:
    """End this process soon after its parent has, however that ended; for a worker, which nobody else would end then.

    Not by Linux's signal at a parent's death: that comes at the end of the thread that started the process.
    """

    def watch() -> None:
        if _wait_for_end_of(parent):
            os.kill(os.getpid(), _AT_ONCE)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def _wait_for_end_of(parent: int) -> bool:
    """Wait until the parent process has ended; False where the system does not let this one wait for it."""
    if _winapi is None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        return True
    try:  # on Windows a process keeps the number of its parent when that has ended
        handle = _winapi.OpenProcess(_SYNCHRONIZE, False, parent)
    except OSError as error:
        return getattr(error, "winerror", None) == _NO_SUCH_PROCESS
    _winapi.WaitForSingleObject(handle, _winapi.INFINITE)
    _winapi.CloseHandle(handle)
    return True


@contextmanager
def left_out_of_ctrl_c() -> Iterator[None]:
    """Processes and threads that start in the block leave Ctrl-C to this process, which ends them.

    A terminal sends it to all that it runs, and a worker that is just importing would tell its traceback. For this process it
    waits until the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def told_what_is_kept(kept: Callable[[], str]) -> Iterator[None]:
    """Whatever stops the block says what there is of the work by then."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT, kept()) from None
    except Stopped as stop:
        raise Stopped(stop.number, kept()) from None


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the main thread where a signal asks to end, so that workers end and files are put in order.

    A second signal ends at once. Signals that are ignored stay so, as under ``nohup``.
    """

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in _STOPS}
    taken = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
