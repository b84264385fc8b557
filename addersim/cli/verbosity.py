"""Verbosity: -q and -v, anywhere on the command line, set what the package's logger says on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from addersim.inputs.text import one_line

__all__ = ["LOGGER", "quiet", "said_at", "take_verbosity"]

LOGGER = logging.getLogger("addersim")
_STEPS = MappingProxyType({"-q": 1, "--quiet": 1, "-v": -1, "--verbose": -1, "-vv": -2})
_END = "--"


def take_verbosity(arguments: Sequence[str]) -> tuple[list[str], int]:
    """A command line without its -q and -v, and the level that they ask for.

    Examples
    --------
    >>> take_verbosity(["count", "-v", "net.npz"])
    (['count', 'net.npz'], 20)
    >>> take_verbosity(["-q", "count", "--", "-v"])
    (['count', '--', '-v'], 40)
    """
    end = list(arguments).index(_END) if _END in arguments else len(arguments)
    before = arguments[:end]
    steps = sum(_STEPS.get(one, 0) for one in before)
    level = min(max(logging.WARNING + 10 * steps, logging.DEBUG), logging.ERROR)
    return [*(one for one in before if one not in _STEPS), *arguments[end:]], level


@contextmanager
def said_at(level: int) -> Iterator[None]:
    """Messages of the package's logger from a level on, a line each on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    before, passed = LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)
        LOGGER.propagate = passed


def quiet() -> bool:
    """Whether nothing but results and errors is wanted."""
    return LOGGER.level >= logging.ERROR


class _Line(logging.Formatter):
    """As all that the command says on standard error; a warning says that it is one, others when they were said."""

    def format(self, record: logging.LogRecord) -> str:
        kind = "warning: " if record.levelno == logging.WARNING else f"{record.relativeCreated / 1000:.1f} s: "
        return f"addersim: {kind}{one_line(record.getMessage())}"
