"""The tile loop of a window layer on a systolic array: an exhaustive search over all tilings that differ.

Between DRAM and the on-chip memories a layer is cut into tiles along pixels (M), filters (N) and window (K), group after
group. A dimension is cut into a number of parts as even as possible: of whole folds along the two dimensions that lie on the
sides of the array, of any size along the one that passes in time. The three loops run in any order.

- An operand is fetched again in each trip of the loop that does not index it, unless nothing moves inside that loop.
- So is a tile of sums: if it has to leave before its last taps, its partial sums go to DRAM and come back.
- The array takes the stationary operand again for each tile, unless that is one fold and only the dimension in time is cut
  inside. Sums that several folds add to wait in the output memory, where their tile must fit.

Which tile sizes are candidates follows from a lemma. *Every number of a `TilingCost` depends on the tile sizes only through
the numbers of tiles along each dimension, and none falls when one of these rises; what a tile takes of each memory never falls
when its size along a dimension rises.* Hence

1. of the sizes along a dimension that give the same number of tiles, the smallest costs as much as the others and fits
   wherever they fit: only `even_parts.largest_parts` are tried, about 2 sqrt(F) sizes of F folds;
2. for each pair of sizes of M and N, the largest size of K that fits has the fewest tiles along K: no other costs less. (Where
   sums are stationary, an uncut K needs no memory for waiting sums and is tried first.)

Tilings whose stationary operand stays in the array are candidates of their own, since they have to be cut into single folds
along both sides of the array. For example, 10 folds are cut into parts of at most 10, 5, 4, 3, 2 or 1: two tiles of 6 and 4
move as many words as two of 5, but the first one needs more memory. If then, beside M cut into 5 folds and N into 2, up to 7
of 12 folds of K fit, K is cut into two tiles; with 4 folds, which also fit, it would be three, with as much to fetch or more.

Candidates are compared by the energy of all that moves; by cycles; or by bits of DRAM. Those of all layers are compared
together, as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, permutations
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from addersim.hardware.accelerator import SystolicArray
from addersim.hardware.arrays import BoolOrArray, FloatArray, IntArray, IntOrArray
from addersim.hardware.dataflow.capacity import BufferCapacity, at_index
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.stationary import GEMM_DIMENSIONS, Gemm, GemmSizes, systolic_dataflow
from addersim.hardware.dataflow.systolic import Folds, fold
from addersim.hardware.even_parts import largest_parts
from addersim.hardware.traffic import ArrayTraffic

__all__ = [
    "LOOPS",
    "ORDERS",
    "ChosenTiling",
    "LayerOnArray",
    "ObjectiveFunction",
    "TileSizes",
    "TilingCost",
    "choose_tilings",
    "smallest_tile",
    "tiling_costs",
]

LOOPS = ("pixels", "filters", "window")
"""Names of the loops along m, n and k (`GEMM_DIMENSIONS`), as a `Tiling` gives them."""
ORDERS: tuple[tuple[int, ...], ...] = tuple(permutations(range(3)))
"""Loop orders, outermost first, as places in `LOOPS`."""

_AT_ONCE = 1 << 14
"""Candidates that are compared at once, unless a single layer has more: arrays of this length stay in the cache."""
_MOST_AT_ONCE = 1 << 17
"""Candidates of a single layer that are compared at once: a large batch has millions, whose arrays would take gigabytes."""

_INSIDE = np.array([[[b in order[order.index(a) + 1 :] for b in range(3)] for a in range(3)] for order in ORDERS])
"""Whether, in an order, dimension b runs inside dimension a."""


@dataclass(frozen=True, slots=True)
class LayerOnArray:
    """A window layer, batch included, on an array, and the capacity for its tiles; or arrays of numbers for many layers."""

    work: Gemm
    array: SystolicArray
    footprint: Footprint
    capacity: BufferCapacity

    @classmethod
    def of_many(cls, layers: Sequence[LayerOnArray], index: IntArray) -> LayerOnArray:
        """Arrays in place of numbers: for each entry of `index` those of the layer with that number. All have one array."""
        works = [layer.work for layer in layers]
        sizes = GemmSizes(*at_index([(work.m, work.n, work.k, work.groups) for work in works], index))
        footprint = Footprint(*at_index([layer.footprint for layer in layers], index))
        capacity = BufferCapacity.of_many([layer.capacity for layer in layers], index)
        return cls(sizes, layers[0].array, footprint, capacity)

    @property
    def fold_size(self) -> tuple[int, int, int]:
        """Size of one fold along m, n and k; 1 along the dimension that passes in time."""
        return systolic_dataflow(self.array.systolic).fold_size(self.array.rows, self.array.columns)

    @property
    def sizes(self) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """m, n and k."""
        return self.work.m, self.work.n, self.work.k

    @property
    def time(self) -> int:
        """Place, among m, n and k, of the dimension that passes in time."""
        return GEMM_DIMENSIONS.index(systolic_dataflow(self.array.systolic).time)

    @property
    def window(self) -> IntOrArray:
        """Inputs of one output."""
        return self.footprint.products // self.work.m

    @property
    def folds(self) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """Folds along m, n and k."""
        m, n, k = (-(-size // unit) for size, unit in zip(self.sizes, self.fold_size, strict=True))
        return m, n, k

    @property
    def preloaded(self) -> bool:
        """Whether inputs or weights are stationary, not sums."""
        return systolic_dataflow(self.array.systolic).preloaded

    @property
    def adds_up(self) -> BoolOrArray:
        """Whether several folds along k add to sums that wait outside the array, even where no tile is cut."""
        return self.preloaded & (self.folds[2] > 1)


class TileSizes(NamedTuple):
    """Folds along m, n and k in the largest tile, and whether the stationary operand stays in the array; or arrays of them."""

    m: IntOrArray
    n: IntOrArray
    k: IntOrArray
    stays: BoolOrArray

    def trips(self, layer: LayerOnArray) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """Tiles along m, n and k."""
        m, n, k = (-(-folds // tile) for folds, tile in zip(layer.folds, (self.m, self.n, self.k), strict=True))
        return m, n, k


class TilingCost(NamedTuple):
    """What tile sizes and a loop order cost: folds, words from DRAM, and sums that go to DRAM and come back."""

    folds: Folds
    input_fills: IntOrArray
    weight_fills: IntOrArray
    spilled_sums: IntOrArray

    @property
    def words(self) -> ArrayTraffic:
        """All that moves."""
        folds = self.folds
        return ArrayTraffic(*self[1:], folds.input_reads, folds.weight_reads, folds.partial_sums)


ObjectiveFunction = Callable[[TilingCost, IntArray], tuple[FloatArray, ...]]
"""From the costs of tilings, and for each tiling the number of its layer, to arrays to minimise, the most important first.

The value of a tiling that fetches more, or folds more often, must never be less.
"""


class ChosenTiling(NamedTuple):
    """The best tiling of a layer: its loop order, tiles along m, n and k, cycles of the array and words that move."""

    order: tuple[int, ...]
    trips: tuple[int, ...]
    cycles: int
    words: ArrayTraffic


def choose_tilings(layers: Sequence[LayerOnArray], objective: ObjectiveFunction) -> list[ChosenTiling | None]:
    """For each layer, all on one array, the tiling with the least objective; None where no tile fits.

    Of equals it is the one with the largest tiles. The candidates of several layers are compared together, as arrays.
    """
    chosen: list[ChosenTiling | None] = []
    candidates = [_most_candidates(layer) for layer in layers]
    while len(chosen) < len(layers):
        end = len(chosen) + 1
        together = candidates[end - 1]
        while end < len(layers) and together + candidates[end] <= _AT_ONCE:
            together, end = together + candidates[end], end + 1
        chosen += _choose_together(layers[len(chosen) : end], objective, len(chosen))
    return chosen


def _choose_together(layers: Sequence[LayerOnArray], objective: ObjectiveFunction, first: int) -> list[ChosenTiling | None]:
    """The best tiling of each of a few layers; `first` is the number that the objective knows the first of them by."""
    best: list[tuple[tuple[float, ...], ChosenTiling] | None] = [None] * len(layers)
    for tiles, index in _candidates(layers):
        if len(index):
            for number, value, tiling in _best_of(layers, objective, first, tiles, index):
                known = best[number]
                best[number] = (value, tiling) if known is None or value < known[0] else known
    return [None if one is None else one[1] for one in best]


def _best_of(
    layers: Sequence[LayerOnArray], objective: ObjectiveFunction, first: int, tiles: TileSizes, index: IntArray
) -> Iterator[tuple[int, tuple[float, ...], ChosenTiling]]:
    """For each layer with candidates among `tiles`: its number, and the value and tiling of its best candidate."""
    layer = LayerOnArray.of_many(layers, index)
    cost = tiling_costs(layer, tiles)
    left = np.array([order[-1] == layer.time for order in ORDERS])[:, None] | np.logical_not(tiles.stays)
    _, starts, counts = np.unique(index, return_index=True, return_counts=True)
    foremost, *others = objective(cost, first + index)
    least = np.where(left, foremost, np.inf).min(axis=0)
    left &= foremost == np.repeat(np.minimum.reduceat(least, starts), counts)
    orders, places = np.nonzero(left)
    ranked = np.lexsort((orders, places, *(one[orders, places] for one in reversed(others)), index[places]))
    orders, places = orders[ranked], places[ranked]
    numbers, best = np.unique(index[places], return_index=True)
    orders, places = orders[best], places[best]

    def of_the_best(*arrays: Any) -> list[list[Any]]:
        return [np.broadcast_to(one, left.shape)[orders, places].tolist() for one in arrays]

    values = zip(*of_the_best(foremost, *others), strict=True)
    trips = np.stack(tiles.trips(layer))[:, places].T.tolist()
    moved = of_the_best(cost.folds.cycles, *cost.words)
    for number, value, order, counted, cycles, *words in zip(numbers, values, orders, trips, *moved, strict=True):
        yield number, value, ChosenTiling(ORDERS[order], tuple(counted), cycles, ArrayTraffic(*words))


def smallest_tile(layer: LayerOnArray) -> tuple[int, int, int]:
    """Inputs, weights and waiting sums of the smallest tile of a layer: one fold, one step in time."""
    m, n, k = (min(unit, int(size)) for unit, size in zip(layer.fold_size, layer.sizes, strict=True))
    return int(layer.footprint.of_tile(m, k)), k * n, m * n * int(layer.adds_up)


def tiling_costs(layer: LayerOnArray, tiles: TileSizes) -> TilingCost:
    """Costs of tile sizes in each of `ORDERS`: arrays of orders x tile sizes."""
    work, array, trips = layer.work, layer.array, np.stack(tiles.trips(layer))
    again = (_INSIDE[:, :, :, None] & (trips > 1)).any(axis=2)
    m_passes, n_passes, k_passes = np.where(again, trips, 1).transpose(1, 0, 2)
    inputs = layer.footprint.fetched(trips[0], trips[2]) * n_passes * work.groups
    weights = m_passes * (work.k * work.n * work.groups)
    spilled = (k_passes - 1) * (work.m * work.n * work.groups)
    parts = np.where(tiles.stays, 1, trips[layer.time])
    folds = fold(work, array.rows, array.columns, array.systolic, parts, array.overlapped_folds, layer.window)
    return TilingCost(folds, inputs, weights, spilled)


def _candidates(layers: Sequence[LayerOnArray]) -> Iterator[tuple[TileSizes, IntArray]]:
    """The tile sizes that the lemma leaves, and for each the number of its layer, some at a time.

    For each pair of sizes of m and n the largest of k that fits; then single folds, beside which the stationary operand may
    stay in the array while the rest passes.
    """
    m_sizes: list[int] = []
    n_sizes: list[int] = []
    repeats: list[int] = []
    counts: list[int] = []
    time, preloaded = layers[0].time, layers[0].preloaded
    folds = [(int(layer.folds[0]), int(layer.folds[1])) for layer in layers]
    sizes = {number: largest_parts(number)[::-1] for number in set(chain.from_iterable(folds))}
    for m_folds, n_folds in folds:
        both = sizes[m_folds], sizes[n_folds]
        single = both[0] if time == 0 else [1], both[1] if time == 1 else [1]
        for along_m, along_n in (both, single):
            m_sizes += along_m
            n_sizes += along_n * len(along_m)
            repeats += [len(along_n)] * len(along_m)
            counts.append(len(along_m) * len(along_n))
    index, stays = np.divmod(np.repeat(np.arange(len(counts)), counts), 2)
    m_all, n_all = np.repeat(m_sizes, repeats), np.array(n_sizes)
    for start in range(0, len(index), _MOST_AT_ONCE):
        part = slice(start, start + _MOST_AT_ONCE)
        number, m, n, staying = index[part], m_all[part], n_all[part], stays[part] > 0
        largest = np.asarray(_largest_k(LayerOnArray.of_many(layers, number), m, n, staying))
        k, fits = np.where(staying & preloaded, 1, largest), largest > 0
        yield TileSizes(m[fits], n[fits], k[fits], staying[fits]), number[fits]


def _largest_k(layer: LayerOnArray, m: IntArray, n: IntArray, stays: BoolOrArray) -> IntOrArray:
    """For each pair of sizes of m and n the most folds of k that fit, beside the sums where these have to wait."""
    whole, folds = layer.sizes[2], layer.folds[2]
    pixels, filters = (np.minimum(tile * layer.fold_size[at], layer.sizes[at]) for at, tile in enumerate((m, n)))

    def fitting(sums: IntOrArray) -> IntOrArray:
        taps = layer.capacity.largest_window(layer.footprint, whole, pixels, filters, sums)
        return np.where(taps >= whole, folds, taps // layer.fold_size[2])

    if layer.preloaded:
        return fitting(pixels * filters * layer.adds_up)
    uncut = fitting(0)
    return np.where((uncut == folds) | stays, uncut, fitting(pixels * filters))


def _most_candidates(layer: LayerOnArray) -> int:
    """Upper bound of the pairs of sizes of m and n."""
    m, n = int(layer.folds[0]), int(layer.folds[1])
    return 4 * (isqrt(m) + 1) * (isqrt(n) + 1)
