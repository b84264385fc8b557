"""Bounds for every shape of an array at once: cycles and energy that no tiling goes below.

Which sides are worth a look: of the rows (or columns) that fold every layer equally often the fewest fill soonest, need the
smallest tiles and take the least area, so that only those are candidates (`even_parts.largest_parts`); of a row stationary
array those rows that hold one kernel more. Where only a share of the columns multiplies, layers that do are bounded by these,
and the fewest columns of which so many multiply are candidates. What bounds a layer from below:

- the array: its folds, each filled as far as it is used (`dataflow.fold_times` without a cut), or the shortest of those of any
  smaller array, for a layer need not use all of it; of a row stationary array its strips with every set in use;
- DRAM: the bits that the layer moves at least on an array of one element, whose tiles may have any size;
- energy: arithmetic, what vector layers move, DRAM as before, what the folds read from the memories, and leakage and idle
  power meanwhile.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import numpy as np

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import HardwareError, PriceError
from addersim.hardware.accelerator import Accelerator, Objective, SystolicArray
from addersim.hardware.arrays import FloatArray, IntArray, IntOrArray
from addersim.hardware.cost import Cost
from addersim.hardware.dataflow.broadcast import TreeTimes, taps_in_turn
from addersim.hardware.dataflow.fold_times import FoldTimes
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.dataflow.systolic import Folds, fold
from addersim.hardware.estimate import estimate
from addersim.hardware.even_parts import largest_parts
from addersim.hardware.idle import IdlePower
from addersim.hardware.layer_cost import LayerCost
from addersim.hardware.leakage import Leakage
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.schedule import schedule
from addersim.hardware.sparsity import skipping_zeros
from addersim.hardware.traffic import Widths
from addersim.inputs.limits import SIDE
from addersim.trace import LayerTrace, MatrixWork, Trace

__all__ = ["Bounds", "PlacedWork", "ShapeCosts", "bounds", "resized", "useful_sides"]

MOST_ROW_STATIONARY = 512
"""Rows or columns of a row stationary array that is looked for: chosen, 300 times as many elements as Eyeriss has."""
_ROUNDING = 1 - 1e-9
"""Costs are sums of rounded parts: a bound lies below by more than that."""


class PlacedWork(NamedTuple):
    """A matrix product, and whether only elements run it that multiply."""

    work: MatrixWork
    multiplies: bool

    @classmethod
    def of(cls, layer: LayerTrace, batch: int) -> PlacedWork:
        """That of a window layer, for a batch."""
        assert layer.work is not None
        return cls(layer.work.batched(batch), layer.datapath is not None and DATAPATHS[layer.datapath].multiplies)

    def columns(self, array: SystolicArray, columns: IntOrArray) -> IntOrArray:
        """Columns that run it, of numbers of columns."""
        return array.multiplying_columns(columns) if self.multiplies else columns


class ShapeCosts(NamedTuple):
    """What a network costs on an accelerator whose array may have any sides."""

    trace: Trace
    machine: Accelerator
    prices: EnergyTable
    batch: int
    objective: Objective | None

    def of(self, rows: int, columns: int) -> Cost | None:
        """The cost on an array; None where it cannot run the network, as where a memory does not hold one of its folds."""
        try:
            return estimate(self.trace, resized(self.machine, rows, columns), self.prices, self.batch, self.objective)
        except PriceError:
            raise
        except HardwareError:
            return None

    @property
    def works(self) -> list[PlacedWork]:
        """The matrix products that the array runs, each once, for the batch."""
        layers = skipping_zeros(self.trace, self.machine.array).layers
        return list(dict.fromkeys(PlacedWork.of(layer, self.batch) for layer in layers if layer.work is not None))

    def smallest(self) -> Accelerator:
        """The accelerator with the smallest array that may run the network."""
        kernels = [_kernel_rows(one.work) for one in self.works] if self.machine.array.row_stationary else [1]
        return resized(self.machine, max(kernels), 1)


def resized(machine: Accelerator, rows: int, columns: int) -> Accelerator:
    """An accelerator with an array of other sides, named after them."""
    array = machine.array
    if (rows, columns) == (array.rows, array.columns):
        return machine
    named = f"{machine.name}, array {rows}x{columns}"[:100]
    return msgspec.structs.replace(machine, name=named, array=msgspec.structs.replace(array, rows=rows, columns=columns))


class Bounds(NamedTuple):
    """Least cycles and least energy of shapes: arrays of rows x columns."""

    cycles: FloatArray
    energy_pj: FloatArray


def useful_sides(costs: ShapeCosts) -> tuple[IntArray, IntArray]:
    """Numbers of rows and of columns that are worth a look, rising: one of each is 1."""
    works, array = costs.works, costs.machine.array
    if array.row_stationary is not None:
        kernels = {_kernel_rows(one.work) for one in works}
        multiples = {rows * times for rows in kernels for times in range(1, MOST_ROW_STATIONARY // rows + 1)}
        return np.array(sorted({1, *multiples})), np.arange(1, MOST_ROW_STATIONARY + 1)
    rows, columns = set[int](), set[int]()
    every = np.arange(1, SIDE.most + 1)
    for one in works:
        on_rows, on_columns = _sides(one.work, array)
        rows.update(largest_parts(on_rows))
        parts = [side for side in largest_parts(on_columns) if side <= SIDE.most]
        if one.multiplies and array.multiplier_share is not None:  # the fewest columns of which so many multiply
            parts = (np.searchsorted(array.multiplying_columns(every), parts) + 1).tolist()
        columns.update(parts)
    return _within_limit(rows), _within_limit(columns)


def _sides(work: MatrixWork, array: SystolicArray) -> tuple[int, int]:
    """What of a layer lies along the rows of an array, and along its columns."""
    if array.broadcast is not None:
        return -(-work.k // taps_in_turn(work, array.broadcast)), work.n
    on_rows, on_columns, _ = systolic_dataflow(array.systolic).sides(work)
    return int(on_rows), int(on_columns)


def _within_limit(sides: set[int]) -> IntArray:
    return np.array(sorted(side for side in sides if side <= SIDE.most))


def bounds(costs: ShapeCosts, rows: IntArray, columns: IntArray) -> Bounds:
    """Bounds of all pairs of sides, both rising and the useful ones among them.

    Raises
    ------
    HardwareError
        Not even the smallest array can run the network; the message is that of `estimate`.
    """
    trace = skipping_zeros(costs.trace, costs.machine.array)
    smallest = costs.smallest()
    buffers, row_stationary = smallest.buffers, smallest.array.row_stationary is not None
    many_ways = buffers.l2 is not None or buffers.fuse_layers
    base = estimate(costs.trace, smallest, costs.prices, costs.batch, None if row_stationary else "dram")
    folds = {one: _folds(one, costs.machine, rows[:, None], columns[None, :]) for one in costs.works}
    overlapped = costs.machine.buffers.double_buffered
    cycles = np.zeros((len(rows), len(columns)))
    for _, stage in groupby(range(len(trace.layers)), key=schedule(trace).stages.__getitem__):
        array, vector, dram = np.zeros_like(cycles), 0, 0
        for index in stage:
            layer, priced = trace.layers[index], base.layers[index]
            if layer.work is None:
                vector += priced.compute_cycles
            else:
                array += folds[PlacedWork.of(layer, costs.batch)][0]
            known = not many_ways and (layer.work is None or not row_stationary)
            dram += priced.dram_cycles if known else 0
        on_chip = np.maximum(array, vector)
        cycles += np.maximum(on_chip, dram) if overlapped else on_chip + dram
    movement = MovementEnergy(costs.machine, costs.prices)
    energy = np.full_like(cycles, sum(_fixed_pj(one, row_stationary, many_ways) for one in base.layers))
    for layer in trace.layers:
        if layer.work is not None and (moved := folds[PlacedWork.of(layer, costs.batch)][1]) is not None:
            energy += _reads_pj(layer, moved, movement)
    standing = (Leakage(costs.trace, smallest, costs.prices), IdlePower(smallest))
    cycle_pj = sum(part.energy_pj for one in standing for part in one.parts(1))
    return Bounds(cycles, (energy + (cycle_pj * cycles if cycle_pj else 0.0)) * _ROUNDING)


def _kernel_rows(work: MatrixWork) -> int:
    return work.geometry.kernel[0] if work.geometry else 1


def _folds(placed: PlacedWork, machine: Accelerator, rows: Any, all_columns: Any) -> tuple[FloatArray, Folds | None]:
    """Least cycles of a layer's array, and how the folds go through it where they do."""
    array, work = machine.array, placed.work
    columns: Any = placed.columns(array, all_columns)
    if array.row_stationary is not None:
        return _row_cycles(work, machine, rows, columns), None
    sizes, one = (work.m, work.n, work.k), (1, 1, 1)
    if array.broadcast is None:
        moved = fold(work, rows, columns, array.systolic)  # what passes through them
        least = FoldTimes(_Sides(rows, columns, array), sizes, sizes, one, np.False_, work.groups).cycles()
    else:
        moved = fold(work, array.fold_rows, columns, array.folded)
        trees, sides = array.broadcast, _Sides(array.fold_rows, columns, array)
        in_turn, load_cycles = taps_in_turn(work, trees), trees.load_cycles
        least = TreeTimes(sides, sizes, sizes, one, np.False_, work.groups, in_turn, rows, load_cycles).cycles()
    at_least = np.asarray(least, np.float64)
    return np.minimum.accumulate(np.minimum.accumulate(at_least, axis=0), axis=1), moved


class _Sides:
    """Arrays of every number of rows and columns, as `FoldTimes` asks for one array."""

    def __init__(self, rows: Any, columns: Any, array: SystolicArray) -> None:
        self.fold_rows, self.columns = rows, columns
        self.folded, self.overlapped_folds = array.folded, array.overlapped_folds


def _row_cycles(work: MatrixWork, machine: Accelerator, rows: IntArray, columns: IntArray) -> FloatArray:
    """Least cycles of a row stationary array: of all strips, as if filters and channels filled all sets."""
    assert work.geometry is not None
    assert work.image is not None
    (kernel_rows, kernel_columns), (high, wide) = work.geometry.kernel, work.geometry.output_size(*work.image)
    planes = work.n * work.k // (kernel_rows * kernel_columns)
    images = work.m // (high * wide)
    least = np.full((len(rows), columns.size), np.inf)
    for strip in largest_parts(high):
        above = rows // kernel_rows
        sets = np.where(strip <= columns, above * (columns // strip), above // -(-strip // columns))
        turns = np.divide(planes, sets, out=np.full(sets.shape, np.inf), where=sets > 0)
        least = np.minimum(least, work.groups * images * wide * kernel_columns * -(-high // strip) * np.ceil(turns))
    return least


def _fixed_pj(layer: LayerCost, row_stationary: bool, many_ways: bool) -> float:
    """Energy of a layer that the shape does not change, or makes no less.

    With a second level, or layers that run depth first, values may lie elsewhere on another shape: then arithmetic alone.
    """
    if many_ways:
        return sum(part.energy_pj for part in layer.parts if part.component in ("array", "vector"))
    if not layer.taps:
        return sum(part.energy_pj for part in layer.parts if part.component not in ("leakage", "idle"))
    least = ("array",) if row_stationary else ("array", "dram")
    outputs = sum(part.energy_pj for part in layer.parts if (part.component, part.of) == ("buffer", "output"))
    return outputs + sum(part.energy_pj for part in layer.parts if part.component in least)


def _reads_pj(layer: LayerTrace, moved: Folds, movement: MovementEnergy) -> FloatArray:
    """Energy of what the folds read from the memories, and of sums that wait there."""
    widths = Widths.of(layer)
    of_input, _ = movement.per_operand("buffer", "input", widths.input)
    of_weight, _ = movement.per_operand("buffer", "weight", widths.weight)
    of_sum = sum(movement.per_operand("buffer", "partial_sum", widths.partial_sum))
    return np.asarray(moved.input_reads * of_input + moved.weight_reads * of_weight + moved.partial_sums * of_sum)
