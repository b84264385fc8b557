"""The best and the smallest shape of an array: every shape that is worth a look, the most promising first, until none is left.

A shape whose lower bound (`shape_bounds`) is above what was found is never priced; all others are, each as `estimate` does it.
Row stationary arrays, whose mapper is slow, are searched in part: near the given shape, the `PRICED` most promising ones.
Of shapes that are equally good the one with the fewest elements is taken, then the one nearest in rows : columns to the given
array, then the one with fewer rows: the answer is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.arrays import AnyArray, BoolOrArray, FloatArray, IntArray
from addersim.hardware.dataflow.objective import objective_value
from addersim.hardware.shape_bounds import ShapeCosts, bounds, useful_sides

__all__ = ["Candidates", "Found", "Goal", "Progress", "candidates", "stretched"]

ASPECT_SLACK = 1.25
"""How far rows : columns of a row stationary array may move, as a factor: chosen, for to price one shape takes a second."""
PRICED = 16
"""Row stationary shapes that are priced in one search, those with the least bounds: chosen for the same reason."""
Goal = Literal["latency", "energy", "energy-delay"]
"""What a shape is chosen for: cycles, energy, or the product of both."""
Progress = Callable[[int, int], None]
"""Told how many shapes were priced, and how many there are at most."""


class Found(NamedTuple):
    """A shape that was priced: what it is ranked by, the least first, and its cost."""

    value: float
    elements: int
    stretch: float
    rows: int
    columns: int


class Candidates(NamedTuple):
    """Shapes with their bounds, as arrays of one length."""

    costs: ShapeCosts
    rows: IntArray
    columns: IntArray
    cycles: FloatArray
    energy_pj: FloatArray
    progress: Progress | None

    def where(self, chosen: BoolOrArray) -> Candidates:
        """Some of them."""
        bound = self.cycles[chosen], self.energy_pj[chosen]
        return Candidates(self.costs, self.rows[chosen], self.columns[chosen], *bound, self.progress)

    def best(self, goal: Goal, enough: float = -np.inf) -> Found | None:
        """The shape with the least of a goal, or the first found that has no more than `enough`; None where none runs."""
        best: Found | None = None
        for promised in self._rising(_value(goal, self.cycles, self.energy_pj)):
            if best is not None and (promised >= best or best.value <= enough):
                break
            cost = self.costs.of(promised.rows, promised.columns)
            if cost is not None:
                found = promised._replace(value=_value(goal, cost.cycles, cost.energy_pj))
                best = found if best is None else min(best, found)
        return best

    def smallest(self, most_cycles: float) -> Found | None:
        """The shape with the fewest elements that takes no more than a number of cycles; None where none does."""
        few = self.where(self.cycles <= most_cycles)
        for promised in few._rising(few.rows * few.columns):
            cost = self.costs.of(promised.rows, promised.columns)
            if cost is not None and cost.cycles <= most_cycles:
                return promised._replace(value=cost.cycles)
        return None

    def _rising(self, value: FloatArray | IntArray) -> Iterator[Found]:
        """All by a value, then by what decides between equals; the number of those priced is told on the way."""
        elements, stretch = self.rows * self.columns, stretched(self.rows, self.columns, self.costs.machine)
        order = np.lexsort((self.columns, self.rows, stretch, elements, value))
        if self.costs.machine.array.row_stationary is not None:
            order = order[:PRICED]
        ranked = (one[order].tolist() for one in (value, elements, stretch, self.rows, self.columns))
        for place, found in enumerate(zip(*ranked, strict=True)):
            if self.progress is not None:
                self.progress(place, len(order))
            yield Found(*found)


def stretched(rows: IntArray, columns: IntArray, machine: Accelerator) -> FloatArray:
    """How far rows : columns are from the given array's, as a factor of at least 1."""
    ratio = rows / columns * machine.array.columns / machine.array.rows
    found: FloatArray = np.maximum(ratio, 1 / ratio)
    return found


def candidates(
    costs: ShapeCosts,
    fits: Callable[[IntArray, IntArray], BoolOrArray],
    progress: Progress | None = None,
    exactly: tuple[int, IntArray] | None = None,
) -> Candidates:
    """Every shape that is worth a look and fits; of row stationary arrays those within `ASPECT_SLACK`, if there are any.

    `fits` takes rows and columns as arrays. With `exactly`, a number of elements and the sides that it may have, shapes of
    another number are left out.
    """
    rows, columns = useful_sides(costs)
    if exactly is not None:
        rows, columns = np.union1d(rows, exactly[1]), np.union1d(columns, exactly[1])
    rows, columns = rows[fits(rows, columns[:1])], columns[fits(rows[:1], columns)]
    found = bounds(costs, rows, columns)
    pairs = np.broadcast_arrays(rows[:, None], columns[None, :])
    within = fits(*pairs) & (found.cycles < np.inf)
    if exactly is not None:
        within &= pairs[0] * pairs[1] == exactly[0]
    if costs.machine.array.row_stationary is not None:
        near = within & (stretched(pairs[0], pairs[1], costs.machine) <= ASPECT_SLACK)
        within = near if near.any() else within
    return Candidates(costs, pairs[0][within], pairs[1][within], found.cycles[within], found.energy_pj[within], progress)


def _value(goal: Goal, cycles: AnyArray, energy_pj: AnyArray) -> AnyArray:
    return objective_value(goal, energy_pj, cycles, 0)[0]
