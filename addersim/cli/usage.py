"""Mistakes in how a command line is put, told in one line like all others."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, cast

import typer

from addersim.errors import out_of_memory
from addersim.inputs.limits import shown_text
from addersim.inputs.text import did_you_mean, printable

__all__ = ["UsageError", "not_utf_8_told", "out_of_memory_told", "stopped_told", "told"]

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
    verb = next((one for one in arguments if not one.startswith("-")), "")
    command = error.ctx.command_path if error.ctx else f"addersim {printable(verb)}".rstrip()  # none where a value is missing
    where = command.partition(" ")[2]
    if isinstance(error, typer.BadParameter) and (given := _given(error, arguments)):
        option, value = given
        reason = f"{option}: found {shown_text(value)}; {_begun(error.message)}"
    elif hasattr(error, "possibilities") and (unknown := getattr(error, "option_name", "")):
        reason = f"no such option: {printable(unknown)}{_instead_of(unknown, error)}"
    elif switched := _after_a_switch(error, arguments):
        reason = "{}: is a switch, which takes no value; found {}".format(*switched)
    else:
        reason = _begun(error.format_message())
    more = f"{command} --help shows what is allowed"
    return "; ".join((f"{where}: {reason}" if where else reason, more))


_SAVES_MEMORY = MappingProxyType(
    {
        "jobs": "fewer processes (--jobs)",
        "limit": "fewer images (--limit)",
        "images": "fewer images (--images)",
        "threads": "fewer threads (--threads)",
        "changes": "a smaller batch (batch=...)",
        "batch": "a smaller batch (--batch)",
    }
)
"""What needs less memory, by the parameter of a verb that asks for it; the most useful first."""


def out_of_memory_told(error: BaseException, arguments: Sequence[str], app: typer.Typer) -> str:
    """Which verb lacked memory, for what, and which of its own options take less."""
    verb = next((one for one in app.registered_commands if one.name in arguments[:1]), None)
    known = inspect.signature(verb.callback).parameters if verb and verb.callback else {}
    helps = [advice for name, advice in _SAVES_MEMORY.items() if name in known][:2]
    where = f"{verb.name}: " if verb else ""
    return f"{where}{out_of_memory(error)}; {'take ' if helps else ''}{' or '.join((*helps, 'close other programs'))}"


def not_utf_8_told(error: UnicodeEncodeError) -> str:
    """Which name of a file or folder cannot be kept in what is written, all of it UTF-8."""
    around = error.object[max(0, error.start - 20) : error.end + 20]
    return (
        f"{shown_text(around)}: holds bytes that are not UTF-8, the encoding of all that is written; rename the file or folder"
    )


_GO_ON = ("sweep", "search", "train")


def stopped_told(stop: str, arguments: Sequence[str], kept: str = "") -> str:
    """Which verb a signal stopped, and whether it goes on; `kept`: what the verb itself says of that."""
    verb = next(iter(arguments), "")
    more = ", what is finished is kept: the same command goes on from there" if verb in _GO_ON else ""
    return f"{verb}: stopped by {stop}{kept or more}"


def _instead_of(unknown: str, error: Any) -> str:
    """What to write for an option that a verb does not have: the nearest of its own, or a value of its study."""
    options = [name for one in error.ctx.command.params if one.param_type_name == "option" for name in one.opts]
    near = did_you_mean(unknown, [one for one in options if one.startswith("--")])
    studied = any("KEY=VALUE" in (one.metavar or "") for one in error.ctx.command.params)
    if near or not studied or not unknown.startswith("--"):
        return near
    return f"; values of a study are written without dashes, as {printable(unknown[2:])}=VALUE"


def _given(error: typer.BadParameter, arguments: Sequence[str]) -> tuple[str, str] | None:
    """The option that an error is about, and its value: of those given, the first that it refuses."""
    names = error.param.opts if error.param else ()
    found: list[tuple[str, str]] = []
    for place, one in enumerate(arguments):
        option, equals, value = one.partition("=")
        if option in names and (equals or place + 1 < len(arguments)):
            found.append((option, value if equals else arguments[place + 1]))
    return next((one for one in found[:-1] if _refuses(error, one[1])), found[-1] if found else None)


def _after_a_switch(error: Any, arguments: Sequence[str]) -> tuple[str, str] | None:
    """The switch before an argument that is one too many, and that argument, as in ``--resize 32``."""
    if "unexpected extra argument" not in error.format_message():
        return None
    switches = {name for one in error.ctx.command.params if getattr(one, "is_flag", False) for name in one.opts}
    behind = ((one, value) for one, value in pairwise(arguments) if one in switches and value.isalnum())
    return next(((one, shown_text(value)) for one, value in behind), None)


def _refuses(error: Any, value: str) -> bool:
    """Whether the option that an error is about does not take a value."""
    try:
        error.param.process_value(error.ctx, [value] if error.param.multiple else value)
    except UsageError:
        return True
    return False


def _begun(message: str) -> str:
    """A sentence as the middle of a line."""
    plain = message.strip().removesuffix(".").replace(". Did you mean", "; did you mean")
    return plain[:1].lower() + plain[1:]
