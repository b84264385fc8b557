"""Code version: what a result depends on beside its inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from addersim import kernels

__all__ = ["code_digest"]

_PACKAGE = Path(kernels.__file__).parents[1]
_WITHOUT_EFFECT = frozenset({"cli", "report", "train", "data"})
"""Folders that no result depends on: what is read from the data enters each key by its content."""


def code_digest(compiled: bool = True) -> str:
    """SHA-256 of every source that can decide a result.

    Parameters
    ----------
    compiled
        Whether the compiled kernels count. They do for what is kept. Between machines they need not be the same build, since
        every build gives the same bits; the Python sources must be the same.
    """
    found = hashlib.sha256()
    for path in (*_sources(), *([Path(kernels.core.core.__file__)] if compiled else [])):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _sources() -> Iterator[Path]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        if path.relative_to(_PACKAGE).parts[0] not in _WITHOUT_EFFECT:
            yield path
