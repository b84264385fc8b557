"""What the verbs print: one JSON document, or tables; and progress where a person is watching.

Names come from files: whatever is printed here is free of characters that a terminal obeys.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from addersim.cli.tables import lines_of, print_table, width_of_output
from addersim.cli.verbosity import quiet
from addersim.errors import ConfigError
from addersim.inputs.opening import STANDARD
from addersim.inputs.text import plain_json, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = [
    "alone_on_output",
    "bars",
    "print_json",
    "print_table",
    "progress",
    "say",
    "say_fact",
    "say_file",
    "say_page",
    "stages",
    "write_like_scalesim",
]

_NAMES = 22
"""Letters for the names of facts."""


def say(text: str = "", indent: int = 2) -> None:
    """A text on standard output, without characters that a terminal obeys; lines after the first are indented.

    What a no-break space holds together stays on one line.
    """
    for line in lines_of(printable(text), width_of_output(), indent):
        print(line.replace("\N{NO-BREAK SPACE}", " "))


def say_fact(name: str, value: str) -> None:
    """A value beside its name."""
    say(f"{name:{_NAMES}}{value}", indent=_NAMES)


def say_file(what: str, path: Path) -> None:
    """Where something was written: a path stays in one piece, whatever its length."""
    print(printable(f"{what}: {path}"))


def say_page(page: Path, figures: Path | None = None, what: str = "page") -> None:
    """Where a page was written, and its figures as files where they were asked for."""
    say_file(what, page)
    if figures is not None:
        say_file("figures", figures)


def alone_on_output(*files: Path | None, json: bool = False) -> bool:
    """Whether one of the files that a verb writes is standard output (``-``), which then gets nothing else.

    Raises
    ------
    ConfigError
        Where two things would go there.
    """
    here = sum(one is not None and str(one) == STANDARD for one in files)
    if here > 1 or (here and json):
        raise ConfigError(f"{STANDARD}: standard output takes one file, and no --json beside it; name another file")
    return here == 1


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    import msgspec

    try:
        told = msgspec.json.encode(document, enc_hook=_plain)
    except UnicodeEncodeError:  # names of files need not be UTF-8
        told = msgspec.json.encode(_in_utf_8(document), enc_hook=_plain)
    text = msgspec.json.format(told).decode()
    sys.stdout.buffer.write(plain_json(text + "\n").encode())
    sys.stdout.flush()


def _in_utf_8(value: Any) -> Any:
    """The same document, whose texts show bytes of names that are no UTF-8 as `printable` does."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_in_utf_8(key): _in_utf_8(one) for key, one in value.items()}
    return [_in_utf_8(one) for one in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot print {type(value).__name__} as JSON")


def write_like_scalesim(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table as SCALE-Sim writes it, whole or not at all: a space after each comma, a comma at the end of each line."""
    from addersim.storage import write_atomically

    with write_atomically(path, "w") as file:
        file.writelines(", ".join(map(str, row)) + ",\n" for row in (header, *rows))


def bars(*columns: str) -> Progress:
    """Bars on standard error with the time left, on a terminal only; gone when the work is done.

    Columns of texts such as ``"{task.fields[failed]} failed"`` may stand before the time.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        "{task.description}", BarColumn(), MofNCompleteColumn(), *columns, TimeRemainingColumn(),
        console=console, transient=True, disable=quiet() or not console.is_terminal,
    )  # fmt: skip


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """One of the `bars`, told how much is done."""
    from rich.markup import escape

    with bars() as shown:
        task = shown.add_task(escape(printable(what)), total=total)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """One of the `bars` for each stage of a longer work, told by name, steps done and steps in all."""
    tasks: dict[str, TaskID] = {}
    with bars() as shown:

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done)

        yield advance
