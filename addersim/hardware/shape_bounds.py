"""Bounds for every shape of an array at once: cycles and energy that no tiling goes below.

Which sides are worth a look: of the rows (or columns) that fold every layer equally often the fewest fill soonest, need the
smallest tiles and take the least area, so that only those are candidates (`even_parts.largest_parts`); of a row stationary
array those rows that hold one kernel more. Where only a share of the columns multiplies, layers that do are bounded by these,
and the fewest columns of which so many multiply are candidates. What bounds a layer from below:

- the array: its folds, each filled as far as it is used (`dataflow.fold_times` without a cut), or the shortest of those of any
  smaller array, for a layer need not use all of it; of a row stationary array its strips with every set in use;
- DRAM: the bits that the layer moves at least on an array of one element, whose tiles may have any size, for any number of
  images together;
- energy: arithmetic, what vector layers move, DRAM as before, what the folds read from the memories, and leakage and idle
  power meanwhile.

Where weights may lie on chip in several ways (`residency`) each has its bounds, and the least of these holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import numpy as np

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import HardwareError, PriceError
from addersim.hardware.accelerator import Accelerator, Objective, SystolicArray
from addersim.hardware.arrays import FloatArray, IntArray, IntOrArray
from addersim.hardware.batches import ways_to_cut
from addersim.hardware.cost import Cost
from addersim.hardware.dataflow.broadcast import TreeTimes, taps_in_turn
from addersim.hardware.dataflow.fold_times import FoldTimes
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.dataflow.systolic import Folds, fold
from addersim.hardware.estimate import estimate, ways_to_run
from addersim.hardware.even_parts import largest_parts
from addersim.hardware.idle import IdlePower
from addersim.hardware.layer_cost import EnergyPart
from addersim.hardware.leakage import Leakage
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.runs import Runs
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
    smallest, buffers = costs.smallest(), costs.machine.buffers
    folds = {one: _folds(one, costs.machine, rows[:, None], columns[None, :]) for one in costs.works}
    nothing = np.zeros((len(rows), len(columns)))
    stages = [list(same) for _, same in groupby(range(len(trace.layers)), key=schedule(trace).stages.__getitem__)]
    array = [
        sum((folds[PlacedWork.of(trace.layers[at], costs.batch)][0] for at in stage if trace.layers[at].work), nothing)
        for stage in stages
    ]
    movement = MovementEnergy(costs.machine, costs.prices)
    reads = nothing.copy()
    for layer in trace.layers:
        if layer.work is not None and (moved := folds[PlacedWork.of(layer, costs.batch)][1]) is not None:
            reads += _reads_pj(layer, moved, movement)
    standing = (Leakage(costs.trace, smallest, costs.prices), IdlePower(smallest))
    cycle_pj = sum(part.energy_pj for one in standing for part in one.parts(1))
    least_cycles, least_energy = np.full_like(nothing, np.inf), np.full_like(nothing, np.inf)
    for way in _ways(costs, trace, smallest):
        cycles = nothing.copy()
        for stage, on_array in zip(stages, array, strict=True):
            on_chip, dram = np.maximum(on_array, way.vector[stage].sum()), way.dram[stage].sum()
            cycles += np.maximum(on_chip, dram) if buffers.double_buffered else on_chip + dram
        energy = reads + way.fixed_pj.sum() + (cycle_pj * cycles if cycle_pj else 0.0)
        least_cycles, least_energy = np.minimum(least_cycles, cycles), np.minimum(least_energy, energy)
    return Bounds(least_cycles * _ROUNDING, least_energy * _ROUNDING)


class _Way(NamedTuple):
    """What the layers take at least, whatever the shape, with the weights where they lie: cycles of the vector unit and of
    DRAM, and energy."""

    vector: FloatArray
    dram: FloatArray
    fixed_pj: FloatArray


def _ways(costs: ShapeCosts, trace: Trace, smallest: Accelerator) -> list[_Way]:
    """The ways in which weights may lie on chip, on the smallest array: the larger one may be better with another of them."""
    row_stationary = smallest.array.row_stationary is not None
    many_ways = smallest.buffers.l2 is not None or smallest.buffers.fuse_layers
    objective: Objective | None = None if row_stationary else "dram"
    found = []
    for runs in ways_to_run(trace, smallest, costs.prices, objective).runs:
        with suppress(HardwareError):  # weights that stay may leave no room for a tile
            numbers = sorted({images for parts in ways_to_cut(costs.batch, row_stationary) for images in parts})
            each = [_layers_of(runs, images, row_stationary, many_ways) for images in numbers]
            found.append(_Way(*(costs.batch * np.min(np.array(column), axis=0) for column in zip(*each, strict=True))))
    if not found:
        estimate(costs.trace, smallest, costs.prices, costs.batch, objective)  # says why
    return found


def _layers_of(runs: Runs, images: int, row_stationary: bool, many_ways: bool) -> tuple[list[float], ...]:
    """What each layer takes of vector unit, DRAM and energy, an image of so many together."""
    rows, parts = runs.together(images)
    vector, dram, fixed = list[float](), list[float](), list[float]()
    for row, energies in zip(rows, parts, strict=True):
        on_array = row.layer.work is not None
        known = not many_ways and not (on_array and row_stationary)
        bits = sum(access.size_bits for access in row.facts.accesses if access.level == "dram") if known else 0.0
        vector.append(row.facts.own.vector / images)
        dram.append(bits / runs.machine.dram_bits_per_cycle / images)
        fixed.append(_fixed_pj(energies, on_array, row_stationary, many_ways) / images)
    return vector, dram, fixed


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


def _fixed_pj(parts: Sequence[EnergyPart], on_array: bool, row_stationary: bool, many_ways: bool) -> float:
    """Energy of a layer that the shape does not change, or makes no less.

    With a second level, or layers that run depth first, values may lie elsewhere on another shape: then arithmetic alone.
    """
    if many_ways:
        return sum(part.energy_pj for part in parts if part.component in ("array", "vector"))
    if not on_array:
        return sum(part.energy_pj for part in parts if part.component not in ("leakage", "idle"))
    least = ("array",) if row_stationary else ("array", "dram")
    outputs = sum(part.energy_pj for part in parts if (part.component, part.of) == ("buffer", "output"))
    return outputs + sum(part.energy_pj for part in parts if part.component in least)


def _reads_pj(layer: LayerTrace, moved: Folds, movement: MovementEnergy) -> FloatArray:
    """Energy of what the folds read from the memories, and of sums that wait there."""
    widths = Widths.of(layer)
    of_input, _ = movement.per_operand("buffer", "input", widths.input)
    of_weight, _ = movement.per_operand("buffer", "weight", widths.weight)
    of_sum = sum(movement.per_operand("buffer", "partial_sum", widths.partial_sum))
    return np.asarray(moved.input_reads * of_input + moved.weight_reads * of_weight + moved.partial_sums * of_sum)
