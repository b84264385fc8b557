"""Store: one small file a finished job, whole or not at all, under the hash of everything that determines it."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from addersim.errors import SweepError
from addersim.exploration.sweeps.job_files import CostKey, Key, Outcome, Priced, Simulated, decode, digest, encode
from addersim.inputs.opening import parsing, read_file
from addersim.processes.unfinished import remove_unfinished
from addersim.storage import write_atomically

__all__ = ["Store"]

_JOB_KINDS = ("simulation", "cost")
MOST_BYTES = 16_000_000
"""Largest file that is read: the trace of a network of a thousand layers takes a twentieth of it."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job's file. Key and outcome are kept as the bytes that they are, under one checksum."""

    key: msgspec.Raw
    outcome: msgspec.Raw
    checksum: str


@dataclass(frozen=True, slots=True)
class Store:
    """The finished jobs of a folder. Several sweeps may use one folder at a time: each file is whole, and says what it is.

    Attributes
    ----------
    folder
        The sweep's folder; jobs lie in ``jobs/simulation`` and ``jobs/cost``.
    note
        Called with one line about each file that cannot be trusted; its job is done again.
    """

    folder: Path
    note: Callable[[str], None]

    def open(self) -> None:
        """Make the folder, or raise SweepError where there can be none: before the first hour of work, not after it."""
        try:
            for kind in _JOB_KINDS:
                (self.folder / "jobs" / kind).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweepError(f"{self.folder}: cannot hold a sweep: {error.strerror}") from None
        for folder in (self.folder, *(self.folder / "jobs" / kind for kind in _JOB_KINDS)):
            remove_unfinished(folder)

    def path(self, key: Key) -> Path:
        """Where a job's file lies."""
        return self.folder / "jobs" / _JOB_KINDS[isinstance(key, CostKey)] / f"{digest(key)}.json"

    def read(self, key: Key) -> Outcome | None:
        """A job's outcome, or None where there is none that can be trusted."""
        path = self.path(key)
        if not os.path.lexists(path):
            return None
        try:
            with parsing(str(path), "not a job that a sweep finished", SweepError):
                return _outcome(read_file(path, MOST_BYTES, SweepError), key)
        except SweepError as error:
            self.note(f"{error}; done again")
            return None

    def write(self, key: Key, outcome: Outcome) -> None:
        """Keep an outcome.

        Raises
        ------
        SweepError
            Where the file cannot be written: a full disk, a folder that is read-only.
        """
        path = self.path(key)
        texts = encode(key), encode(outcome)
        file = _File(msgspec.Raw(texts[0]), msgspec.Raw(texts[1]), _checksum(*texts))
        try:
            if os.path.lexists(path) and not path.is_file():
                _move_aside(path)
            with write_atomically(path) as stream:
                stream.write(msgspec.json.encode(file))
        except OSError as error:
            reason = f"cannot be written: {error.strerror}; finished points are kept"
            raise SweepError(f"{path}: {reason}: put it right, then run the same command") from None


def _move_aside(path: Path) -> None:
    """Give way to a job's file: a folder, FIFO or link that stands in its place is kept under another name."""
    name = next(name for number in itertools.count(1) if not os.path.lexists(name := Path(f"{path}.{number}")))
    path.rename(name)


def _checksum(key: bytes, outcome: bytes) -> str:
    return hashlib.sha256(key + b"\n" + outcome).hexdigest()


def _outcome(content: bytes, key: Key) -> Outcome:
    file = msgspec.json.decode(content, type=_File)
    if file.checksum != _checksum(bytes(file.key), bytes(file.outcome)):
        raise msgspec.ValidationError("its checksum is that of another content")
    if bytes(file.key) != encode(key):
        raise msgspec.ValidationError("it is the file of another job")
    outcome = decode(file.outcome)
    if isinstance(outcome, Simulated if isinstance(key, CostKey) else Priced):
        raise msgspec.ValidationError("its outcome is that of another kind of job")
    return outcome
