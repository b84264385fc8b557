"""Tiles one after another, while DRAM fetches the next and takes the one before: their cycles in closed form.

Where transfers overlap with computing, a tile computes while DRAM stores what the tile before it finished and then loads what
the next one needs; a tile starts when both are done. So a layer lasts

    load of the first + sum over tiles of max(computing, store of the one before + load of the next) + store of the last.

What a tile loads depends on which loops move between it and the one before, and sizes only on whether a loop is at its last
turn. Of a loop's turns it is therefore enough to look at the first, the last, the one before the last, and one of all others,
which stand for their number: a few hundred terms at most, however many tiles there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import NamedTuple

import numpy as np

from addersim.hardware.arrays import AnyArray, IntOrArray

__all__ = ["LoopNest", "Steps", "Tile", "pipelined_cycles", "pipelined_steps"]


@dataclass(frozen=True, slots=True)
class LoopNest:
    """Loops over tiles: for each loop how often it turns, and the size of its tiles, the last one's apart.

    Numbers are arrays over candidates. `inside[a][b]` says whether loop b runs inside loop a.
    """

    trips: Sequence[IntOrArray]
    tile: Sequence[IntOrArray]
    rest: Sequence[IntOrArray]
    inside: AnyArray

    def size(self, loop: int, last: AnyArray) -> IntOrArray:
        """Size of a loop's tile."""
        return self.rest[loop] if last is np.True_ else np.where(last, self.rest[loop], self.tile[loop])


@dataclass(frozen=True, slots=True)
class Tile:
    """Tiles, one for each term of the sum: the size along each loop, which loops are at their first or last turn, and which
    turn differs from that of the neighbour that the tile follows or is followed by."""

    size: Sequence[IntOrArray]
    first: Sequence[AnyArray]
    last: Sequence[AnyArray]
    moved: Sequence[AnyArray]

    def any_moved(self, loops: Sequence[int]) -> AnyArray:
        """Whether any of some loops moved."""
        return reduce(np.logical_or, [self.moved[loop] for loop in loops])

    def all_first(self, loops: Sequence[int]) -> AnyArray:
        """Whether all of some loops are at their first turn."""
        return reduce(np.logical_and, [self.first[loop] for loop in loops], np.True_)


TileCycles = Callable[[Tile], AnyArray]


class Steps(NamedTuple):
    """What the cycles of all tiles are made of: the first load, the last store, and between them steps, several of one kind.

    Attributes
    ----------
    first, last
        Cycles of DRAM before the first tile and after the last one.
    tile
        The tile that computes in each step.
    transfers
        Cycles of DRAM in each step.
    number
        How many steps each stands for.
    """

    first: AnyArray
    last: AnyArray
    tile: Tile
    transfers: AnyArray
    number: AnyArray


def pipelined_cycles(nest: LoopNest, compute: TileCycles, load: TileCycles, store: TileCycles) -> AnyArray:
    """Cycles of all tiles: `load` is asked for tiles as they follow others, `store` for tiles as others follow them."""
    found = pipelined_steps(nest, load, store)
    steps = np.maximum(compute(found.tile), found.transfers) * found.number
    return found.first + steps.sum(axis=tuple(range(steps.ndim - 1))) + found.last


def pipelined_steps(nest: LoopNest, load: TileCycles, store: TileCycles) -> Steps:
    """The steps of all tiles, with what DRAM does meanwhile."""
    loops = range(len(nest.trips))
    several = [trips > 1 for trips in nest.trips]
    turning = [loop for loop in loops if np.any(several[loop])]  # the others never move
    turns = [_turns(trips, len(nest.trips) - 1 - loop) for loop, trips in enumerate(nest.trips)]
    first, last, next_last, number = ([turn[what] for turn in turns] for what in range(4))
    here = Tile([nest.size(loop, last[loop]) for loop in loops], first, last, several)
    outside, single = ~np.asarray(nest.inside), [~one for one in several]
    coming_first, coming_last, gone_last = first.copy(), last.copy(), last.copy()
    coming_moved, gone_moved = several.copy(), several.copy()
    for at in turning:
        carried = _all([last[b] | outside[at][b] for b in turning if b != at])
        borrowed = _all([first[b] | outside[at][b] for b in turning if b != at])
        coming_first[at] = np.where(carried, last[at], first[at])
        coming_last[at] = np.where(carried, np.where(last[at], single[at], next_last[at]), last[at])
        coming_moved[at], gone_moved[at] = carried & several[at], borrowed & several[at]
        gone_last[at] = np.where(borrowed, first[at], last[at])
    coming = Tile([nest.size(loop, coming_last[loop]) for loop in loops], coming_first, coming_last, coming_moved)
    gone = Tile([nest.size(loop, gone_last[loop]) for loop in loops], first, gone_last, gone_moved)
    transfers = np.where(_all(last), 0.0, load(coming)) + np.where(_all(first), 0.0, store(gone))
    start = Tile(list(nest.tile), [np.True_] * len(loops), single, [np.True_] * len(loops))
    end = Tile(list(nest.rest), single, [np.True_] * len(loops), [np.True_] * len(loops))
    return Steps(load(start), store(end), here, transfers, reduce(np.multiply, number, np.ones_like(nest.trips[0])))


def _turns(trips: AnyArray, inner: int) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """Of a loop's representative turns: whether each is the first, the last, or followed by the last, and how many it stands
    for; on an axis of their own, with `inner` axes and the candidates' after it."""
    most = int(trips.max())
    if most == 1:
        return np.True_, np.True_, np.False_, np.int64(1)
    kinds = np.arange(min(most, 4)).reshape((-1, *(1,) * (inner + 1)))  # first, last, before the last, another
    first = np.broadcast_to(kinds == 0, np.broadcast_shapes(kinds.shape, trips.shape))
    last = (kinds == 1) | (first & (trips == 1))
    next_last = (kinds == 2) | (first & (trips == 2))
    number = np.where(kinds < 3, trips > kinds, np.maximum(trips - 3, 0))
    return first, last, next_last, number


def _all(conditions: Sequence[AnyArray]) -> AnyArray:
    return reduce(and_, conditions, np.True_)
