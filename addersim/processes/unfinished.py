"""Files and folders in the making: each belongs to the process that holds its lock, and what dead processes left is removed.

They lie beside what they become, as ``.NAME.RANDOM.unfinished``. The locks of a process go when it ends, however it ends: what
nobody holds can be removed at any time, whoever else works in the same folder. Windows has no such locks: what is
left there stays, and two that work in one folder do not see each other.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from addersim.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["can_lock", "file_beside", "lock_folder", "remove_unfinished", "scratch_folder"]

SUFFIX = ".unfinished"


def can_lock() -> bool:
    """Whether files can be locked here."""
    return fcntl is not None


@contextmanager
def file_beside(target: Path, mode: str) -> Iterator[tuple[IO[Any], Path]]:
    """A new file beside a target, open and locked; and its path. The first in a folder removes what dead processes left there.

    It is to be renamed to the target within the block, or is removed at its end.
    """
    _remove_once(target.parent)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")  # the same bytes everywhere
    while True:
        path = _name(target.parent, target.name)
        try:
            with open(path, mode.replace("w", "x"), encoding=encoding, newline=newline) as stream:
                if _held(stream.fileno(), path):
                    yield stream, path
                    return
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def scratch_folder(parent: Path, what: str) -> Iterator[Path]:
    """A folder for the time of a block, removed with all that is in it."""
    while True:
        path = _name(parent, what)
        try:
            path.mkdir()
            if not can_lock():
                yield path
                return
            with _opened(path) as handle:
                if _held(handle, path):
                    yield path
                    return
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def lock_folder(folder: Path, *, together: bool = False) -> Iterator[None]:
    """Lock a folder for the time of a block, alone or `together` with others that say so; ConfigError where it is locked."""
    if not can_lock():
        yield
        return
    with _opened(folder) as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: another run is writing there; wait for it, or choose another folder") from None
        except OSError:
            pass  # a file system without locks
        yield


def remove_unfinished(folder: Path) -> None:
    """Remove what dead processes left in a folder; what is being made by others stays."""
    if not can_lock():  # then nothing says what is dead
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(SUFFIX):
                _remove(entry)


@lru_cache(maxsize=1024)  # what this process itself does not finish, it removes
def _remove_once(folder: Path) -> None:
    remove_unfinished(folder)


def _name(folder: Path, what: str) -> Path:
    return folder / f".{what}.{secrets.token_hex(4)}{SUFFIX}"


@contextmanager
def _opened(path: str | Path, how: int = os.O_RDONLY) -> Iterator[int]:
    handle = os.open(path, how)
    try:
        yield handle
    finally:
        os.close(handle)


def _held(handle: int, name: Path) -> bool:
    """Lock a new file or folder; whether it is still there, and was not taken for a dead process's before it was locked."""
    if not can_lock():
        return True
    with suppress(OSError):  # a file system without locks, where nothing is removed either
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(handle), os.stat(name))
    except FileNotFoundError:
        return False


def _remove(entry: os.DirEntry[str]) -> None:
    with suppress(OSError):  # in use, or another user's
        folder = entry.is_dir(follow_symlinks=False)
        with _opened(entry.path, os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_RDONLY if folder else os.O_RDWR)) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (shutil.rmtree if folder else os.unlink)(entry.path)
