"""Framing: records to tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

__all__ = ["frame_of"]


def frame_of(row: Any, rows: Iterable[NamedTuple]) -> pd.DataFrame:
    """A table of records of one named tuple, with its columns even where there is no record."""
    return pd.DataFrame(list(rows), columns=row._fields)
