"""Which layers' weights stay on chip where not all of them fit: for some parts of all weights, the layers that fill each best.

Weights that stay save what DRAM would deliver for every image, a bit for each of their bits; so of all sets of layers that fit
a part the one with the most bits is taken, exactly (a knapsack), where a network has no more than `GRAINS` words of weights,
else with the sizes of layers rounded up to so many grains. The parts are fixed shares of all weights, whatever the memory has,
and the largest layer alone: a larger memory may keep whatever a smaller one may, and has more left, so that it is never worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

__all__ = ["GRAINS", "SIXTEENTHS", "fullest_subsets"]

SIXTEENTHS = (14, 12, 10, 8, 6, 4, 3, 2, 1)
"""Parts of all weights that may stay, in sixteenths: chosen, for each is a way that has to be tried."""
GRAINS = 8192
"""Grains into which all weights are divided at most: chosen, exact for 64 KiB in words of 64 bits."""
_FILLED = 4
"""How many times as large as the memory a part may be: layers fill half of it, and in the worst case half of their words."""


def fullest_subsets(words: Mapping[int, int], bits: Mapping[int, int], room: int) -> list[frozenset[int]]:
    """Sets of layers whose weights may stay in a memory, none twice, the largest part first.

    Parameters
    ----------
    words, bits
        Of the weights of layers: the words of the memory that they take, and their bits.
    room
        Words that the memory has.

    Examples
    --------
    >>> sizes = {0: 1, 2: 6, 4: 3, 5: 6}
    >>> [sorted(one) for one in fullest_subsets(sizes, sizes, 12)]
    [[2, 5], [0, 2, 4], [0, 2], [2], [0, 4], [4], [0]]
    """
    total = sum(words.values())
    grain = -(-total // GRAINS)
    parts = tuple([total * part // (16 * grain) for part in SIXTEENTHS if total * part <= 16 * _FILLED * room])
    sizes = tuple([-(-one // grain) for one in words.values()])
    places = tuple(words)
    chosen = _fullest(sizes, tuple([bits[place] for place in places]), parts) if parts else ()
    largest = max(places, key=lambda at: bits[at])
    found = dict.fromkeys([*(frozenset(places[at] for at in one) for one in chosen if one), frozenset({largest})])
    taken = {one: sum(words[at] for at in one) for one in found}
    return sorted((one for one in found if taken[one] <= room), key=lambda one: -taken[one])


@lru_cache(maxsize=256)  # designs by the thousand ask for those of one network
def _fullest(sizes: Sequence[int], gains: Sequence[int], rooms: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """For each room the things of the largest gain together that fit it; of equal sets that with the earlier things."""
    most = max(rooms, default=0)
    best = np.zeros(most + 1, np.int64)
    taken = np.zeros((len(sizes), most + 1), bool)
    for at, (size, gain) in enumerate(zip(sizes, gains, strict=True)):
        if size <= most:
            with_it = best[: most + 1 - size] + gain
            taken[at, size:] = with_it > best[size:]
            best[size:] = np.maximum(best[size:], with_it)
    found = []
    for room in rooms:
        things, left = list[int](), room
        for at in range(len(sizes) - 1, -1, -1):
            if taken[at, left]:
                things.append(at)
                left -= sizes[at]
        found.append(tuple(things))
    return tuple(found)
