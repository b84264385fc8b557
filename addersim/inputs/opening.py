"""Opening what others wrote: regular files only, bounded, and whatever is wrong in them told in one line.

A reader opens with `open_file` or `read_file`, which wait for nothing and hold no more than they may, and parses inside
`parsing`. The path ``-`` is standard input; messages name a path as `source` does.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import IO, cast

from addersim.errors import AddersimError
from addersim.inputs.text import did_you_mean, one_line

__all__ = [
    "MAX_FILE_BYTES",
    "STANDARD",
    "begins",
    "kind_of_node",
    "near_file",
    "open_file",
    "parsing",
    "read_file",
    "source",
]

STANDARD = "-"
"""Path of standard input, and of standard output where a file is written."""
MAX_FILE_BYTES = 2 << 30
"""Largest file of arrays that is read: far above any network of this field, far below a machine's memory."""

_PIECE = 1 << 20
_LONGEST_REASON = 300
_MOST_NAMES = 10_000
_LEAST_ALIKE = 0.6
"""Of two names without their endings, which are alike between files that have nothing else in common."""
_ADDRESS = re.compile(r":? *<?[\w.]+ object at 0x[0-9a-fA-F]+>?")
"""An object that a parser's reason shows by its place in memory, which tells nobody anything and is another in every run."""
_NODES = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def source(path: str | os.PathLike[str]) -> str:
    """How messages name a path."""
    return "standard input" if os.fspath(path) == STANDARD else os.fspath(path)


def kind_of_node(mode: int) -> str | None:
    """What stands in the file system, in words; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((words for test, words in _NODES if test(mode)), "no file")


def near_file(path: str | os.PathLike[str], names: Iterable[str] = ()) -> str:
    """The end of a message about a file or folder that is not there: the nearest beside it, or of other names.

    Parameters
    ----------
    path
        Where nothing is.
    names
        What else could have been meant; these go before files.
    """
    if near := did_you_mean(os.fspath(path), names):
        return near
    missing = Path(path)
    try:
        while not missing.parent.is_dir():  # the folder's name is wrong already
            missing = missing.parent
        with os.scandir(missing.parent) as beside:  # of a folder with millions, the first that the system names
            found = sorted(one.name for one in islice(beside, _MOST_NAMES))
    except (OSError, ValueError):  # a folder that nobody may read, or a name with a zero byte
        return ""
    if missing.name in found:  # a link whose target is missing
        return ""
    alike = [one for one in found if SequenceMatcher(None, Path(one).stem, missing.stem).ratio() >= _LEAST_ALIKE]
    said, there = did_you_mean(missing.name, alike), os.fspath(missing.parent)
    return said.replace("mean ", f"mean {there}{os.sep}", 1) if said and there != os.curdir else said


# A FIFO without a writer would be waited for; Windows has none, and changes ends of lines unless told otherwise.
_READING = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))


@contextmanager
def open_file(path: str | os.PathLike[str], most: int | None, error: type[AddersimError]) -> Iterator[IO[bytes]]:
    """Open a regular file for reading, or standard input for the path ``-``; links are followed.

    Parameters
    ----------
    path
        A FIFO, device or directory is refused at once: what was opened is looked at, not what had the name before.
    most
        Largest size in bytes; None where the reader takes a part of it only.
    error
        What is raised for anything that cannot be read.
    """
    if os.fspath(path) == STANDARD:
        with io.BytesIO(_standard_input(MAX_FILE_BYTES if most is None else most, error)) as held:
            yield held
        return
    where = source(path)
    try:
        handle = os.open(path, _READING)
    except (OSError, ValueError) as fault:  # a name with a zero byte is a ValueError
        near = near_file(path) if getattr(fault, "errno", None) == errno.ENOENT else ""
        raise error(f"{where}: cannot be read: {getattr(fault, 'strerror', None) or fault}{near}") from None
    found = os.fstat(handle)
    if (node := kind_of_node(found.st_mode)) is not None:
        os.close(handle)
        raise error(f"{where}: cannot be read: is {node}; only regular files are")
    with os.fdopen(handle, "rb") as stream:
        if most is not None and found.st_size > most:
            raise error(_too_large(where, most, f"{found.st_size:,} bytes"))
        yield stream


def read_file(path: str | os.PathLike[str], most: int, error: type[AddersimError]) -> bytes:
    """Content of a regular file, or of standard input, of at most `most` bytes; otherwise as `open_file`."""
    with open_file(path, most, error) as stream:
        return _bounded(stream, most, source(path), error)


def begins(path: str | os.PathLike[str], error: type[AddersimError], count: int = 4) -> bytes:
    """The first bytes of a file or of standard input, which still gives them to the one that reads it."""
    if os.fspath(path) == STANDARD:
        return _input_stream(error).peek(count)[:count]
    with open_file(path, None, error) as stream:
        return stream.read(count)


@contextmanager
def parsing(where: str, what: str, error: type[AddersimError]) -> Iterator[None]:
    """Turn whatever a parser raises on a damaged file into one line: ``where: what: reason``.

    Parsers of many packages stand in such a block, each with errors of its own kinds, RecursionError, SystemError and
    MemoryError among them; their warnings about what they find would only stand beside that line.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except AddersimError:
        raise
    except Exception as fault:
        reason = _ADDRESS.sub("", one_line(str(fault))) or type(fault).__name__
        cut = reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 3]}..."
        raise error(f"{where}: {what}: {cut}") from None


def _standard_input(most: int, error: type[AddersimError]) -> bytes:
    content = _bounded(_input_stream(error), most, source(STANDARD), error)
    if not content:
        raise error(f"{source(STANDARD)}: nothing is there to be read; it can be read once")
    return content


def _input_stream(error: type[AddersimError]) -> io.BufferedReader:
    """Standard input, where it is one that ends: a file, a pipe, a socket or a terminal."""
    if sys.stdin is None:
        raise error(f"{source(STANDARD)}: cannot be read: is closed")
    stream = cast("io.BufferedReader", sys.stdin.buffer)
    try:
        found = kind_of_node(os.fstat(stream.fileno()).st_mode)
    except OSError:  # no file behind it, where a program put something else in its place
        return stream
    if found in ("a directory", "a device") and not stream.isatty():
        raise error(f"{source(STANDARD)}: cannot be read: is {found}; expected a file or a pipe")
    return stream


def _bounded(stream: IO[bytes], most: int, where: str, error: type[AddersimError]) -> bytes:
    """All that a stream holds, read in pieces, so that its size need not be known or true."""
    pieces, size = [], 0
    try:
        while piece := stream.read(min(_PIECE, most + 1 - size)):
            pieces.append(piece)
            size += len(piece)
    except OSError as fault:
        raise error(f"{where}: cannot be read: {fault.strerror or fault}") from None
    if size > most:
        raise error(_too_large(where, most, f"more than {most:,} bytes"))
    return b"".join(pieces)


def _too_large(where: str, most: int, found: str) -> str:
    return f"{where}: larger than {most:,} bytes, the most that is read here; found {found}"
