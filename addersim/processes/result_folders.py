"""Folders of results: what kind each one holds, so that no page replaces another's, and who writes there now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from addersim.errors import ConfigError
from addersim.processes.unfinished import lock_folder
from addersim.storage import make_folder

__all__ = ["MARKS", "Kind", "check_kind", "held"]

Kind = Literal["report", "sweep", "search", "training run", "finetuning"]
MARKS: Mapping[Kind, str] = MappingProxyType(
    {
        "report": "results.json",
        "sweep": "study.json",
        "search": "trials.journal",
        "training run": "checkpoint.safetensors",
        "finetuning": "formats.csv",
    }
)
"""A file that every folder of a kind has, and none of another kind."""


def check_kind(folder: str | os.PathLike[str], kind: Kind) -> None:
    """Refuse a folder that holds results of another kind, whose page would be replaced.

    Raises
    ------
    ConfigError
        Which names what is there, and by which file it is known.
    """
    for other, mark in MARKS.items():
        if other != kind and os.path.lexists(Path(folder, mark)):
            raise ConfigError(
                f"{os.fspath(folder)}: holds a {other} ({mark}), which a {kind} would mix with; name another folder"
            )


@contextmanager
def held(folder: str | os.PathLike[str] | None, kind: Kind, *, together: bool = False) -> Iterator[None]:
    """Hold a folder of results for the time of a block; it is made where it is missing, and removed if it stays empty.

    Parameters
    ----------
    folder
        Where results are going to be; None: nowhere, and nothing is held.
    kind
        Of the results.
    together
        Whether others that say so may write there at the same time.

    Raises
    ------
    ConfigError
        Where the folder holds another kind of results, cannot be made, or another process writes there.
    """
    if folder is None:
        yield
        return
    check_kind(folder, kind)
    place = Path(folder)
    missing = [one for one in (place, *place.parents) if not one.exists()]
    try:
        make_folder(place)
    except OSError as error:
        raise ConfigError(f"{place}: cannot hold a {kind}: {error.strerror}") from None
    try:
        with lock_folder(place, together=together):
            yield
    finally:
        with suppress(OSError):  # no longer empty
            for one in missing:
                one.rmdir()
