"""Mistakes in how a command line is put, told in one line like all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import typer

__all__ = ["UsageError", "told"]

UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""Click's; typer's later versions bring their own click, so that `click.UsageError` would be another class."""


def told(error: Any, arguments: Sequence[str]) -> str:
    """Where, what was found, what is allowed, and where to read more.

    Parameters
    ----------
    error
        A `UsageError`.
    arguments
        The command line, for the value that was given: the error does not hold it.
    """
    command = error.ctx.command_path if error.ctx else "addersim"
    where = command.partition(" ")[2]
    if isinstance(error, typer.BadParameter) and (given := _given(error, arguments)):
        option, value = given
        reason = f"{option}: found {value!r}; {_begun(error.message)}"
    else:
        reason = _begun(error.format_message())
    more = f"{command} --help shows what is allowed"
    return "; ".join((f"{where}: {reason}" if where else reason, more))


def _given(error: typer.BadParameter, arguments: Sequence[str]) -> tuple[str, str] | None:
    """The option that an error is about, and its value."""
    names = error.param.opts if error.param else ()
    for place, one in enumerate(arguments):
        option, equals, value = one.partition("=")
        if option in names and (equals or place + 1 < len(arguments)):
            return option, value if equals else arguments[place + 1]
    return None


def _begun(message: str) -> str:
    """A sentence as the middle of a line."""
    plain = message.strip().removesuffix(".")
    return plain[:1].lower() + plain[1:]
