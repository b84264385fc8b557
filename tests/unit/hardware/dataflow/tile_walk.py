"""The slow twin of a tiled systolic layer: every tile visited in order, words counted as they move, and time as events."""

from itertools import product
from math import ceil

from addersim.hardware.dataflow.stationary import GEMM_DIMENSIONS, systolic_dataflow


def cut(size, tile):
    """Sizes of all tiles along a dimension: the last one is what remains."""
    return [min(tile, size - start) for start in range(0, size, tile)]


def even(size, most):
    """Sizes of as few parts as are not larger than `most`, as even as possible."""
    parts = ceil(size / most)
    return [size * (part + 1) // parts - size * part // parts for part in range(parts)]


class TileWalk:
    """One layer in tiles of m x n x k in a loop order.

    `cycles` are those of the array; `reads` what goes into and out of it; `tiles` what each tile computes, loads and stores:
    (cycles, share of the taps, inputs, weights, sums that come back; finished sums, sums that leave).
    """

    def __init__(self, tiled, tile, order, stays):
        self.tiled, self.stays, self.order = tiled, stays, order
        self.how = systolic_dataflow(tiled.array.folded)
        self.cuts = [cut(int(size), one) for size, one in zip(tiled.sizes, tile, strict=True)]
        self.places = [GEMM_DIMENSIONS.index(one) for one in (self.how.rows, self.how.columns, self.how.time)]
        self.reads = dict.fromkeys(("input", "weight", "sum"), 0)
        self.tiles = []
        overlapped, apart = (sum(one) for one in zip(*self.visit(count=True), strict=True))
        self.overlap = tiled.array.overlapped_folds and overlapped < apart
        self.cycles = overlapped if self.overlap else apart
        self.visit(count=False)

    def visit(self, count):
        """Visit all tiles; give their cycles with folds overlapped, and without, to choose from, or keep them."""
        work, held, previous, found = self.tiled.work, {}, None, []
        begun = set()
        whole_m, whole_n, whole_k = (int(size) for size in self.tiled.sizes)
        for group in range(work.groups):
            for turns in product(*(range(len(self.cuts[place])) for place in self.order)):
                at = dict(zip(self.order, turns, strict=True))
                size = [self.cuts[place][at[place]] for place in range(3)]
                first = not found
                cycles = self.fold(size, at, first, not count)
                found.append(cycles)
                if count:
                    continue
                keys = {"input": (group, at[0], at[2]), "weight": (group, at[1], at[2]), "sum": (group, at[0], at[1])}
                new = {name: held.get(name) != key for name, key in keys.items()}
                back = new["sum"] and keys["sum"] in begun
                if new["sum"] and self.tiles:
                    self.leave(held["sum"], previous)
                held, previous = keys, size
                begun.add(keys["sum"])
                m, n, k = size
                self.tiles.append({
                    "cycles": cycles[0 if self.overlap else 1],
                    "share": m * n * k / (work.groups * whole_m * whole_n * whole_k),
                    "input": new["input"] * m * k / (whole_m * whole_k), "weight": new["weight"] * n * k,
                    "input again": at[1] > 0, "weight again": at[0] > 0,
                    "back": back * m * n, "finished": 0, "away": 0, "last": at[2] == len(self.cuts[2]) - 1,
                })  # fmt: skip
        if not count:
            self.leave(held["sum"], previous)
        return found

    def leave(self, key, size):
        """The sums of the tile before go: to DRAM for now, or for good."""
        tile = self.tiles[-1]
        tile["finished" if tile["last"] else "away"] = size[0] * size[1]

    def fold(self, size, at, first, count):
        """Cycles of one tile, overlapped and not, fold by fold; and what its folds read."""
        array, (rows, columns, time) = self.tiled.array, (size[place] for place in self.places)
        if array.broadcast is not None:
            if count:
                self.read(size, rows, columns, at[2] == 0 or not self.stays)
            return (self.in_trees(size),) * 2
        begins = at[self.places[2]] == 0
        loads = begins or not self.stays
        together = apart = 0
        times = self.cuts[self.places[2]]
        for used_rows, used_columns in product(even(rows, array.rows), even(columns, array.columns)):
            fill = (2 if self.how.preloaded else 1) * used_rows + used_columns - 2
            apart += fill * loads + time
            if self.stays:
                together += time + (max(0, used_rows - sum(times)) if begins else 0)
            else:
                together += max(time, used_rows)
            if first and together and not apart - fill * loads - time:
                together += (
                    (2 if self.how.preloaded else 1) * max(even(rows, array.rows)) + max(even(columns, array.columns)) - 2
                )
        if count:
            self.read(size, rows, columns, loads)
        return together, apart

    def in_trees(self, size):
        """Cycles of one tile on adder trees: stripe by stripe, tree by tree, tap by tap, block by block."""
        array, (outputs, filters, window) = self.tiled.array, size
        taps = self.tiled.in_turn
        cycles = 0
        for stripe, _ in product(even(outputs, array.broadcast.stripe), cut(filters, array.columns)):
            for _, _ in product(range(taps), cut(ceil(window / taps), array.rows)):
                cycles += max(stripe, array.broadcast.load_cycles)
        return cycles

    def read(self, size, rows, columns, loads):
        array, (m, n, k) = self.tiled.array, size
        folds = {
            self.how.rows: ceil(rows / array.fold_rows),
            self.how.columns: ceil(columns / array.columns),
            self.how.time: 1,
        }
        words = {"input": m * k * folds["n"], "weight": k * n * folds["m"], "sum": m * n * folds["k"]}
        stationary = {"partial_sum": "sum"}.get(self.how.stationary, self.how.stationary)
        for name, number in words.items():
            if name != stationary or loads:
                self.reads[name] += number

    def total(self, name):
        return sum(tile[name] for tile in self.tiles)

    def stage_cycles(self, streams, units):
        """Cycles as events: DRAM, and a second level beside it, do one thing after another, in the order in which tiles need
        it; memories have two halves. `streams` are words and their cycles in each of the two."""
        compute = [max(tile["cycles"], units * tile["share"]) for tile in self.tiles]
        load = [
            max(
                one["input again" if tile["input again"] else "input"] * tile["input"]
                + one["weight again" if tile["weight again"] else "weight"] * tile["weight"]
                + one["sum"] * tile["back"]
                for one in streams
            )
            for tile in self.tiles
        ]
        store = [max(one["finished"] * tile["finished"] + one["sum"] * tile["away"] for one in streams) for tile in self.tiles]
        return pipeline(max(one["start"] for one in streams), compute, load, store)


def pipeline(start, compute, load, store):
    """When the last store ends: each tile waits for its load, for the array, and for half of each memory."""
    number = len(compute)
    loaded, computed, stored = {0: start + load[0]}, {-1: 0.0}, {-2: 0.0, -1: 0.0}
    dram = loaded[0]
    for tile in range(number):
        computed[tile] = max(loaded[tile], computed[tile - 1], stored[tile - 2]) + compute[tile]
        if tile:
            dram = stored[tile - 1] = max(dram, computed[tile - 1]) + store[tile - 1]
        if tile + 1 < number:
            dram = loaded[tile + 1] = max(dram, computed[tile - 1]) + load[tile + 1]
    return max(dram, computed[number - 1]) + store[number - 1]
