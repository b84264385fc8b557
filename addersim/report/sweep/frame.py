"""Sweeps as frames: the results of a sweep's folder, with types, and which points are Pareto-optimal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from addersim.errors import DataError
from addersim.inputs.opening import MAX_FILE_BYTES, open_file, parsing
from addersim.results.pareto import pareto

__all__ = ["sweep_frame"]

_NEEDED = ("network", "weight_bits", "activation_bits", "table", "accuracy", "energy_pj")


def sweep_frame(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """One row a point, in the study's order, as ``results.csv`` holds them, and the column ``pareto``.

    Parameters
    ----------
    folder
        Where a sweep has written its results.

    Returns
    -------
    Frame with missing numbers as NA and missing texts empty. ``pareto`` is true where no other point of the same energy table
    takes no more energy (`energy_pj`, of one image) and is as accurate, and better in one of the two.

    Raises
    ------
    DataError
        Where the folder holds no results of a sweep.
    """
    path, what = Path(folder) / "results.csv", "no results of a sweep"
    if not os.path.lexists(path):
        raise DataError(f"{path}: {what} (No such file or directory)")
    options = {"dtype_backend": "numpy_nullable", "keep_default_na": False, "na_values": [""]}
    with parsing(str(path), what, DataError):
        frame = read_frame(path, what, **options)
        if missing := [column for column in _NEEDED if column not in frame]:
            raise DataError(f"{path}: {what}: column {missing[0]!r} is missing")
        texts = ("circuit", "multiplier", "error")
        frame = frame.assign(**{column: frame[column].astype("string").fillna("") for column in texts if column in frame})
        optimal = pd.Series(False, index=frame.index)
        for _, points in frame.groupby("table"):
            costs, gains = (points[column].astype("Float64").tolist() for column in ("energy_pj", "accuracy"))
            optimal[points.index] = pareto(*([None if one is pd.NA else one for one in some] for some in (costs, gains)))
        return frame.assign(pareto=optimal)


def read_frame(path: Path, what: str, **options: Any) -> pd.DataFrame:
    """A CSV file as a frame; DataError where it is none, with `what` it is then, in words."""
    with open_file(path, MAX_FILE_BYTES, DataError) as stream, parsing(str(path), what, DataError):
        return pd.read_csv(stream, encoding="utf-8", **options)
