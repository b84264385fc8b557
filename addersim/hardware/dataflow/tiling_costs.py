"""What tile sizes and a loop order of a window layer on a systolic array cost: folds, cycles, and words from DRAM.

Between DRAM and the on-chip memories a layer is cut into tiles along pixels (M), filters (N) and window (K), group after
group: tiles of one size, and what remains. The three loops run in any order.

- An operand is fetched again in each trip of the loop that does not index it, unless nothing moves inside that loop.
- So is a tile of sums: if it has to leave before its last taps, its partial sums go to DRAM and come back.
- A tile runs in as few folds as the array allows, as even as possible along both sides, and a fold fills only the rows and
  columns that it uses.
- The array takes the stationary operand again for each tile, unless that is one fold and only the dimension in time is cut
  inside. Sums that several folds add to wait in the output memory, where their tile must fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from addersim.hardware.arrays import BoolArray, BoolOrArray, IntArray, IntOrArray
from addersim.hardware.dataflow.layer_on_array import LayerOnArray
from addersim.hardware.dataflow.systolic import Folds
from addersim.hardware.traffic import ArrayTraffic

__all__ = ["INSIDE", "LOOPS", "ORDERS", "TileSizes", "TilingCost", "distinct_orders", "tiling_costs"]

LOOPS = ("pixels", "filters", "window")
"""Names of the loops along m, n and k (`GEMM_DIMENSIONS`), as a `Tiling` gives them."""
ORDERS: tuple[tuple[int, ...], ...] = tuple(permutations(range(3)))
"""Loop orders, outermost first, as places in `LOOPS`."""
INSIDE = np.array([[[b in order[order.index(a) + 1 :] for b in range(3)] for a in range(3)] for order in ORDERS])
"""Whether, in an order, dimension b runs inside dimension a."""
_CUTS = np.array([[bits >> at & 1 for at in range(3)] for bits in range(8)], bool)
"""Which of the loops have several trips, by the number that `_cut` gives."""
_AGAIN = (INSIDE[:, None] & _CUTS[None, :, None, :]).any(axis=3)
"""By order and cuts, whether something moves inside each of the loops."""
_EVERY_ORDER = np.arange(len(ORDERS))[:, None]


def _distinct(innermost: int | None) -> BoolArray:
    """By cuts and order, whether no order before has the same nest of the cut loops, of those with a loop innermost."""
    found = np.zeros((len(_CUTS), len(ORDERS)), bool)
    for number, cut in enumerate(_CUTS):
        seen = set[tuple[int, ...]]()
        for place, order in enumerate(ORDERS):
            nest = tuple(loop for loop in order if cut[loop])
            found[number, place] = innermost in (None, order[-1]) and nest not in seen
            if found[number, place]:
                seen.add(nest)
    return found


_DISTINCT = np.stack([_distinct(innermost) for innermost in (None, 0, 1, 2)])
"""For tiles whose stationary operand does not stay, and where it does by the dimension that passes in time."""


class TileSizes(NamedTuple):
    """Sizes of a tile along m, n and k, and whether the stationary operand stays in the array; or arrays of them."""

    m: IntOrArray
    n: IntOrArray
    k: IntOrArray
    stays: BoolOrArray

    def trips(self, layer: LayerOnArray) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """Tiles along m, n and k."""
        m, n, k = (-(-size // tile) for size, tile in zip(layer.sizes, (self.m, self.n, self.k), strict=True))
        return m, n, k

    def rests(self, layer: LayerOnArray) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
        """Size of the last tile along m, n and k."""
        tiles, trips = (self.m, self.n, self.k), self.trips(layer)
        m, n, k = (size - (trip - 1) * tile for size, trip, tile in zip(layer.sizes, trips, tiles, strict=True))
        return m, n, k


class TilingCost(NamedTuple):
    """What tile sizes cost: folds, and words from DRAM, of which those of sums go there and come back.

    Attributes
    ----------
    folds
        As the array runs the tiles.
    trips
        Tiles along m, n and k.
    swept
        Inputs that one sweep over the tiles of all groups fetches.
    weights, sums
        All of the layer.
    """

    folds: Folds
    trips: tuple[IntOrArray, IntOrArray, IntOrArray]
    swept: IntOrArray
    weights: IntOrArray
    sums: IntOrArray

    @property
    def words(self) -> ArrayTraffic:
        """All that moves in each of `ORDERS`: arrays of orders x tile sizes."""
        return self.words_in(_EVERY_ORDER, ...)

    @property
    def fewest_words(self) -> ArrayTraffic:
        """All that moves if each operand is fetched once, whatever the order."""
        folds = self.folds
        return ArrayTraffic(self.swept, self.weights, 0, folds.input_reads, folds.weight_reads, folds.partial_sums)

    def words_in(self, orders: IntArray, places: Any) -> ArrayTraffic:
        """All that moves with the tile sizes at some places, in an order each."""
        again = _AGAIN[orders, _cut(self.trips)[places]]
        m_passes, n_passes, k_passes = [np.where(again[..., at], np.asarray(self.trips[at])[places], 1) for at in range(3)]
        swept, weights, sums = (np.broadcast_to(one, np.shape(self.trips[0]))[places] for one in self[2:])
        folds = self.folds
        reads = (np.asarray(one)[places] for one in (folds.input_reads, folds.weight_reads, folds.partial_sums))
        return ArrayTraffic(swept * n_passes, m_passes * weights, (k_passes - 1) * sums, *reads)


def distinct_orders(layer: LayerOnArray, tiles: TileSizes, some: IntArray) -> tuple[IntArray, IntArray]:
    """Loop orders that differ, of some tile sizes those that may be: their places in `ORDERS`, and of the sizes (rising).

    A loop of one trip may stand anywhere: of orders that differ in nothing else only the first is given. What stays in the
    array does so while the innermost loop runs.
    """
    how = np.where(tiles.stays, 1 + layer.time, 0)[some], _cut(tiles.trips(layer))[some]
    places, orders = np.nonzero(_DISTINCT[how])
    return orders, some[places]


def tiling_costs(layer: LayerOnArray, tiles: TileSizes, timed: bool = True) -> TilingCost:
    """Costs of tile sizes; the cycles of their folds only where they are asked for (`timed`)."""
    work, trips = layer.work, tiles.trips(layer)
    swept = layer.footprint.fetched(trips[0], trips[2]) * work.groups
    times = layer.times(tiles[:3], tiles.rests(layer), trips, tiles.stays)
    weights, sums = work.k * work.n * work.groups, work.m * work.n * work.groups
    return TilingCost(times.folds(work, layer.window, timed), trips, swept, weights, sums)


def _cut(trips: Sequence[IntOrArray]) -> IntArray:
    """Which of the loops have several trips, as a number of a bit for each."""
    m, n, k = (np.asarray(one) > 1 for one in trips)
    number: IntArray = m + 2 * n + 4 * k
    return number
