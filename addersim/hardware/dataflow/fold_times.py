"""Cycles of tiles on a systolic array: folds that fill no more of the array than they use, one after another or overlapped.

A tile is cut into as few folds as the array allows, as even as possible along both sides, and each fold fills and drains only
the rows and columns that it uses; so a larger array takes no longer for a tile. An uncut layer whose sizes are multiples of
the array's takes the cycles of `systolic.fold`. Where folds overlap, the array takes the next stationary operand, or drains
the last, while a fold runs, and fills once a layer: there a larger array may take longer by what it fills more, where folds
load for longer than they stream, so that fewer of them gain nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from addersim.hardware.accelerator import Dataflow
from addersim.hardware.arrays import AnyArray, BoolOrArray, IntOrArray
from addersim.hardware.dataflow.stationary import Gemm, SystolicDataflow, systolic_dataflow
from addersim.hardware.dataflow.systolic import Folds

__all__ = ["FoldTimes"]


class ArraySides(Protocol):
    """What of an array its folds depend on; rows and columns are numbers, or arrays for many arrays."""

    @property
    def fold_rows(self) -> IntOrArray:
        """Rows of a fold: processing elements of a column."""

    @property
    def columns(self) -> IntOrArray:
        """Processing elements of a row."""

    @property
    def folded(self) -> Dataflow:
        """What is stationary."""

    @property
    def overlapped_folds(self) -> bool:
        """Whether folds overlap."""


@dataclass(frozen=True, slots=True)
class FoldTimes:
    """Folds of a layer cut into tiles; numbers, or arrays for many tilings.

    Attributes
    ----------
    array
        The array.
    tile, rest, trips
        Sizes of a tile along m, n and k, those of the last tile, and the number of tiles.
    stays
        Where the stationary operand stays in the array while the tiles in time pass; then a tile is one fold.
    groups
        Of the layer.
    """

    array: ArraySides
    tile: Sequence[IntOrArray]
    rest: Sequence[IntOrArray]
    trips: Sequence[IntOrArray]
    stays: BoolOrArray
    groups: IntOrArray

    @property
    def rows(self) -> IntOrArray:
        """Rows of a fold."""
        return self.array.fold_rows

    @property
    def columns(self) -> IntOrArray:
        """Columns of a fold."""
        return self.array.columns

    @property
    def dataflow(self) -> SystolicDataflow:
        """What lies where."""
        return systolic_dataflow(self.array.folded)

    def folds(self, work: Gemm, window: IntOrArray, timed: bool = True) -> Folds:
        """Folds of all groups, with what they read and write, and their cycles, 0 where nobody asks for them."""
        row_folds, column_folds = self._folds_along(0), self._folds_along(1)
        passes = self.dataflow.passes(row_folds, column_folds, self._loads)
        return Folds(work, self.groups * row_folds * column_folds, self.cycles() if timed else 0, *passes, window)

    def cycles(self) -> IntOrArray:
        """Cycles of all tiles."""
        apart = self._apart()
        return np.minimum(apart, self._together()) if self.array.overlapped_folds else apart

    def overlap(self) -> BoolOrArray:
        """Where overlapping folds take fewer cycles than folds one after another."""
        return self._together() < self._apart() if self.array.overlapped_folds else np.False_

    def tile_cycles(
        self, sizes: Sequence[IntOrArray], begins: BoolOrArray, first: BoolOrArray, overlap: BoolOrArray
    ) -> AnyArray:
        """Cycles of single tiles of some sizes along m, n and k.

        `begins` where a tile is the first along time, `first` where it is the first of the layer.
        """
        rows, columns, time = (sizes[place] for place in self.dataflow.places)
        row_folds, column_folds = -(-rows // self.rows), -(-columns // self.columns)
        loaded = begins | ~np.asarray(self.stays)
        apart = self._fill(rows * column_folds, columns * row_folds, row_folds * column_folds) * loaded
        apart = apart + row_folds * column_folds * time
        if not np.any(overlap):
            return apart
        whole = self._whole(2)
        loading = np.where(begins, np.maximum(rows - whole, 0), 0) + time
        together = np.where(self.stays, loading, column_folds * self._streamed(rows, time))
        return np.where(overlap, together + first * self._fill(-(-rows // row_folds), -(-columns // column_folds), 1), apart)

    def _apart(self) -> IntOrArray:
        row_folds, column_folds = self._folds_along(0), self._folds_along(1)
        fill = self._fill(self._whole(0) * column_folds, self._whole(1) * row_folds, row_folds * column_folds)
        return self.groups * (fill * self._loads + row_folds * column_folds * self._whole(2))

    def _together(self) -> IntOrArray:
        at_rows, at_columns, at_time = self.dataflow.places
        tile, rest, trips = self.tile, self.rest, self.trips
        streamed: IntOrArray = 0
        for rows, of_rows in ((tile[at_rows], trips[at_rows] - 1), (rest[at_rows], 1)):
            cut = (trips[at_time] - 1) * self._streamed(rows, tile[at_time]) + self._streamed(rows, rest[at_time])
            streamed = streamed + of_rows * np.where(self.stays, self._streamed(rows, self._whole(2)), cut)
        rows, columns = (
            -(-tile[at] // -(-tile[at] // most)) for at, most in ((at_rows, self.rows), (at_columns, self.columns))
        )
        return self.groups * self._folds_along(1) * streamed + self._fill(rows, columns, 1)

    def _streamed(self, rows: IntOrArray, time: IntOrArray) -> IntOrArray:
        """Cycles of overlapped folds along the rows: each as long as it streams, or as the next one loads."""
        folds = -(-rows // self.rows)
        least, larger = rows // folds, rows % folds
        return larger * np.maximum(time, least + 1) + (folds - larger) * np.maximum(time, least)

    def _fill(self, rows: IntOrArray, columns: IntOrArray, folds: IntOrArray) -> IntOrArray:
        """Cycles beyond the steps in time of a number of folds, by the rows and columns that they use together."""
        return (1 + self.dataflow.preloaded) * rows + columns - 2 * folds

    def _whole(self, side: int) -> IntOrArray:
        """Size along rows (0), columns (1) or time (2)."""
        place = self.dataflow.places[side]
        return (self.trips[place] - 1) * self.tile[place] + self.rest[place]

    def _folds_along(self, side: int) -> IntOrArray:
        """Folds along the rows (0) or columns (1), all tiles together."""
        place, most = self.dataflow.places[side], (self.rows, self.columns)[side]
        return (self.trips[place] - 1) * -(-self.tile[place] // most) - (-self.rest[place] // most)

    @property
    def _loads(self) -> IntOrArray:
        """How often the array takes each stationary operand, or gives it out."""
        return np.where(self.stays, 1, self.trips[self.dataflow.places[2]])
