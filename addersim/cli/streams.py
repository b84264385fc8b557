"""Standard output and standard error: named in every error, usable when closed, quiet at the end."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from addersim.errors import AddersimWarning
from addersim.inputs.text import one_line

OUTPUT = "standard output"


class _Output(io.FileIO):
    """Standard output, whose errors say that they are its own."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, OUTPUT) from None


def prepare_output() -> None:
    """Give standard output and standard error their names and a way to show every character; first thing of a process.

    Raises
    ------
    OSError
        Where standard output is closed: the first file that is opened would get its number, and what is printed.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process runs
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed", OUTPUT)
    untouched = sys.stdout is sys.__stdout__  # not where a program that calls this one put another in its place
    stream = getattr(sys.stdout, "buffer", None)
    if untouched and not isinstance(getattr(stream, "raw", stream), io.FileIO):  # Windows' console takes letters, no bytes
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # no program put another there
    elif untouched:
        raw = _Output(sys.stdout.fileno(), "w", closefd=False)
        encoding, line_buffering = sys.stdout.encoding, raw.isatty()
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=line_buffering)


def drop_output() -> None:
    """Send what is still to be written nowhere, or Python complains about it once more while it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):
            stream.flush()
            continue
        with suppress(OSError, AttributeError):
            os.dup2(nowhere, stream.fileno())


@contextmanager
def warned() -> Iterator[list[str]]:
    """The package's own warnings, each once, for the end: a command that fails says one line, why it failed."""
    told: dict[str, None] = {}
    show = warnings.showwarning

    def keep(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, AddersimWarning):
            told[str(message)] = None
        else:
            show(message, category, *where)

    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", AddersimWarning)
        warnings.showwarning = keep  # type: ignore[assignment]  # passes on what it is given
        yield found
    found += told


def complain(text: str) -> None:
    """One line on standard error; where that is gone, the status has to do."""
    with suppress(OSError):
        print(f"addersim: {one_line(text)}", file=sys.stderr, flush=True)
