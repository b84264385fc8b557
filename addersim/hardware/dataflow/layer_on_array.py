"""Window layers on an array, with the inputs under them and the capacity for their tiles: one alone, and many as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from addersim.hardware.accelerator import SystolicArray
from addersim.hardware.arrays import BoolOrArray, IntArray, IntOrArray
from addersim.hardware.dataflow.broadcast import TreeTimes, tree_steps
from addersim.hardware.dataflow.capacity import BufferCapacity, capacities_of
from addersim.hardware.dataflow.fold_times import FoldTimes
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.stationary import GEMM_DIMENSIONS, Gemm, GemmSizes, SystolicDataflow, systolic_dataflow
from addersim.hardware.dataflow.systolic import mapping_efficiency

__all__ = ["LayerOnArray", "LayersOnArray", "fold_size", "time_of"]


def fold_size(array: SystolicArray) -> tuple[int, int, int]:
    """Size of one fold of an array along m, n and k; 1 along the dimension that passes in time."""
    return systolic_dataflow(array.folded).fold_size(array.fold_rows, array.columns)


def time_of(array: SystolicArray) -> int:
    """Place, among m, n and k, of the dimension that passes in time on an array."""
    return GEMM_DIMENSIONS.index(systolic_dataflow(array.folded).time)


def window_step(array: SystolicArray, in_turn: IntOrArray) -> IntOrArray:
    """Taps that an array takes at once; `in_turn` as in `LayerOnArray`."""
    return fold_size(array)[2] if array.broadcast is None else in_turn * array.rows


@dataclass(frozen=True, slots=True)
class LayerOnArray:
    """A window layer, batch included, on an array, and the capacity for its tiles; or arrays of numbers for many layers.

    Attributes
    ----------
    work, array, footprint, capacity
        What runs, where, the inputs under it, and what the memories hold.
    double_buffered
        Whether a tile that is followed by another needs its place twice.
    in_turn
        Taps that follow each other in the trees of a broadcast array.
    strip
        Output pixels of each tile, which then has the whole window and all filters, where the layer runs depth first; None
        where tiles are free.
    """

    work: Gemm
    array: SystolicArray
    footprint: Footprint
    capacity: BufferCapacity
    double_buffered: bool = False
    in_turn: IntOrArray = 1
    strip: int | None = None

    @property
    def dataflow(self) -> SystolicDataflow:
        """What lies where on the array."""
        return systolic_dataflow(self.array.folded)

    @property
    def fold_size(self) -> tuple[int, int, int]:
        """Size of one fold along m, n and k; 1 along the dimension that passes in time."""
        return fold_size(self.array)

    @property
    def window_step(self) -> IntOrArray:
        """Taps that the array takes at once: parts of a window that are no multiples of it leave elements idle."""
        return window_step(self.array, self.in_turn)

    @property
    def filled(self) -> float:
        """Share of the processing elements that the folds fill, on average, 0 to 1."""
        array, work = self.array, self.work
        if array.broadcast is None:
            return mapping_efficiency(work, array.rows, array.columns, array.systolic)
        steps = int(tree_steps(work.k, self.in_turn, array.rows))
        return int(work.k * work.n) / (steps * array.rows * -(-int(work.n) // array.columns) * array.columns)

    def times(
        self, tile: Sequence[IntOrArray], rest: Sequence[IntOrArray], trips: Sequence[IntOrArray], stays: BoolOrArray
    ) -> FoldTimes:
        """Folds of tiles: their sizes along m, n and k, those of the last ones, and how many there are (`FoldTimes`)."""
        given, trees = (self.array, tile, rest, trips, stays, self.work.groups), self.array.broadcast
        return FoldTimes(*given) if trees is None else TreeTimes(*given, self.in_turn, self.array.rows, trees.load_cycles)

    @property
    def sizes(self) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """m, n and k."""
        return self.work.m, self.work.n, self.work.k

    @property
    def time(self) -> int:
        """Place, among m, n and k, of the dimension that passes in time."""
        return time_of(self.array)

    @property
    def window(self) -> IntOrArray:
        """Inputs of one output."""
        return self.footprint.products // self.work.m

    @property
    def preloaded(self) -> bool:
        """Whether inputs or weights are stationary, not sums."""
        return self.dataflow.preloaded

    @property
    def adds_up(self) -> BoolOrArray:
        """Whether several folds along k add to sums that wait outside the array, even where no tile is cut."""
        return self.preloaded & (self.work.k > self.fold_size[2])

    def held(self, m: IntOrArray, n: IntOrArray, k: IntOrArray, sums: IntOrArray) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """Inputs, weights and sums that tiles of m x n x k hold in one half of double-buffered memories.

        What stays for the whole layer is never exchanged: it lies in both halves.
        """
        (whole_m, whole_n, whole_k), groups = self.sizes, self.work.groups
        inputs, weights = self.footprint.of_tile(m, k), k * n
        if not self.double_buffered:
            return inputs, weights, sums
        alone = groups == 1
        uncut_m, uncut_n, uncut_k = alone & (m >= whole_m), n >= whole_n, k >= whole_k
        return (
            np.where(uncut_m & uncut_k, -(-inputs // 2), inputs),
            np.where(alone & uncut_n & uncut_k, -(-weights // 2), weights),
            np.where(uncut_m & uncut_n, -(-sums // 2), sums),
        )

    def fits(self, tile: tuple[int, int, int], stays: bool) -> bool:
        """Whether the memories hold a tile, with the sums that wait: of a cut window all, unless they stay in the array."""
        m, n, k = tile
        cut = not self.preloaded and not stays and k < int(self.work.k)
        return bool(self.capacity.fits(*self.held(m, n, k, m * n * (bool(self.adds_up) or cut))))


@dataclass(frozen=True, slots=True)
class LayersOnArray:
    """Several window layers on one array, as arrays of numbers.

    Attributes
    ----------
    array, double_buffered
        As in `LayerOnArray`, those of all.
    sizes, footprints
        A row a field of the products and of the inputs under them, a column a layer; one column where all have the same.
    capacities
        By memory, a row a field and a column a layer.
    in_turn, strips
        As in `LayerOnArray`, of each.
    """

    array: SystolicArray
    double_buffered: bool
    sizes: IntArray
    footprints: IntArray
    capacities: Mapping[str, IntArray]
    in_turn: IntArray
    strips: Sequence[int | None]

    @classmethod
    def of(cls, layers: Sequence[LayerOnArray]) -> LayersOnArray:
        """Layers that have one array, and memories of the same names."""
        first, works = layers[0], [layer.work for layer in layers]
        alike = all(one.work is first.work and one.footprint is first.footprint for one in layers)
        sizes = np.array([(work.m, work.n, work.k, work.groups) for work in works[: 1 if alike else None]], np.int64).T
        footprints = np.array([layer.footprint for layer in layers[: 1 if alike else None]], np.int64).T
        capacities = capacities_of([layer.capacity for layer in layers])
        in_turn = np.array([layer.in_turn for layer in layers])
        strips = [layer.strip for layer in layers]
        return cls(first.array, first.double_buffered, sizes, footprints, capacities, in_turn, strips)

    @classmethod
    def joined(cls, several: Sequence[LayersOnArray]) -> LayersOnArray:
        """All of several, on the array of the first."""
        first = several[0]
        sizes = np.concatenate([np.broadcast_to(one.sizes, (len(one.sizes), len(one))) for one in several], axis=1)
        footprints = [np.broadcast_to(one.footprints, (len(one.footprints), len(one))) for one in several]
        capacities = {name: np.concatenate([one.capacities[name] for one in several], axis=1) for name in first.capacities}
        others = np.concatenate([one.in_turn for one in several]), [strip for one in several for strip in one.strips]
        return cls(first.array, first.double_buffered, sizes, np.concatenate(footprints, axis=1), capacities, *others)

    def __len__(self) -> int:
        return len(self.strips)

    def on(self, array: SystolicArray) -> LayersOnArray:
        """The same on another array, without trees."""
        return replace(self, array=array)

    def take(self, places: IntArray) -> LayersOnArray:
        """Some of the layers."""
        return replace(
            self,
            sizes=self.sizes if self._one else self.sizes[:, places],
            footprints=self.footprints if self._one else self.footprints[:, places],
            capacities={name: columns[:, places] for name, columns in self.capacities.items()},
            in_turn=self.in_turn[places],
            strips=[self.strips[place] for place in places.tolist()],
        )

    def at(self, index: IntArray) -> LayerOnArray:
        """Arrays in place of numbers: for each entry of `index` those of the layer with that number."""
        capacity = BufferCapacity.at({name: columns[:, index] for name, columns in self.capacities.items()})
        sizes, footprint = (self._columns(of, index) for of in (self.sizes, self.footprints))
        layer = GemmSizes(*sizes), self.array, Footprint(*footprint), capacity
        return LayerOnArray(*layer, self.double_buffered, self.in_turn[index])

    def kinds(self) -> IntArray:
        """A number for each layer, equal for those of one product with the same inputs."""
        both = np.concatenate([self.sizes, self.footprints])
        return np.broadcast_to(np.unique(both, axis=1, return_inverse=True)[1].ravel(), len(self))

    @property
    def window_steps(self) -> IntArray:
        """`LayerOnArray.window_step` of each."""
        return np.broadcast_to(window_step(self.array, self.in_turn), len(self))

    @property
    def _one(self) -> bool:
        return len(self.sizes[0]) == 1

    def _columns(self, of: IntArray, index: IntArray) -> IntArray:
        if self._one:
            return np.broadcast_to(of.reshape(-1, *[1] * index.ndim), (len(of), *index.shape))
        return of[:, index]
