"""Sweeps as frames: the results of a sweep's folder, with types, and which points are Pareto-optimal."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from addersim.errors import DataError
from addersim.pareto import pareto

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
    path = Path(folder) / "results.csv"
    try:
        frame = pd.read_csv(path, dtype_backend="numpy_nullable", keep_default_na=False, na_values=[""], encoding="utf-8")
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path}: no results of a sweep ({' '.join(str(error).split())})") from None
    if missing := [column for column in _NEEDED if column not in frame]:
        raise DataError(f"{path}: no results of a sweep: column {missing[0]!r} is missing")
    texts = ("circuit", "error")
    frame = frame.assign(**{column: frame[column].astype("string").fillna("") for column in texts if column in frame})
    optimal = pd.Series(False, index=frame.index)
    for _, points in frame.groupby("table"):
        costs, gains = (points[column].astype("Float64").tolist() for column in ("energy_pj", "accuracy"))
        optimal[points.index] = pareto(*([None if value is pd.NA else value for value in one] for one in (costs, gains)))
    return frame.assign(pareto=optimal)
