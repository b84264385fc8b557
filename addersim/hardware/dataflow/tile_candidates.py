"""The tile sizes among which the systolic mapper chooses.

Along a dimension tiles have every size where it is small. Else they are whole folds, along the sides of the array, and in
small layers even parts too, as always in time: `tile_sizes`. *Words and array cycles depend on a size through the number of
tiles and of folds alone, and do not fall when these rise; what a tile takes of each memory does not fall when its size rises,
but that a whole dimension may take less than half of it, since what is never exchanged lies in both halves of a memory.* Hence

1. of the whole folds, and of the parts, that give the same number of tiles only the smallest are tried, about 2 sqrt(F) sizes
   of F folds;
2. for each pair of sizes along m and n a window that fits uncut, or else the largest part that fits, has the fewest tiles
   along k: where only words count no other is tried, unless smaller parts may have fewer folds. (Where sums are stationary, an
   uncut k needs no memory for waiting sums.) Where cycles count all that fit are tried: a smaller first tile is sooner there.

Tilings whose stationary operand stays in the array are candidates of their own: single folds along both sides of the array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from addersim.hardware.arrays import AnyArray, BoolArray, BoolOrArray, IntArray
from addersim.hardware.dataflow.layer_on_array import LayerOnArray, LayersOnArray, fold_size, time_of
from addersim.hardware.dataflow.tiling_costs import TileSizes
from addersim.hardware.even_parts import largest_parts

__all__ = [
    "Sizes",
    "all_sizes",
    "largest_that_fit",
    "pairs",
    "pairs_that_fit",
    "smallest_tile",
    "tile_sizes",
    "whole_windows_fit",
    "with_smaller_windows",
]

_SMALL = 32
"""Dimensions up to this size are cut in every way."""
_FEW_SUMS = 1 << 13
"""In layers of up to so many sums even parts are tried beside whole folds."""
_MOST_AT_ONCE = 1 << 17
"""Candidates of a single layer that are compared at once: a large batch has millions, whose arrays would take gigabytes."""


@lru_cache(maxsize=4096)  # as in `even_parts`
def tile_sizes(size: int, side: int, fine: bool) -> tuple[int, ...]:
    """Sizes of tiles along a dimension, falling; `side` is that of the array along it, 1 in time.

    Examples
    --------
    >>> tile_sizes(100, 16, fine=False)  # 7, 4, 3, 2 or 1 folds
    (100, 64, 48, 32, 16)
    >>> tile_sizes(40, 16, fine=True)  # 3, 2 or 1 folds, and 1 to 40 parts
    (40, 32, 20, 16, 14, 10, 8, 7, 6, 5, 4, 3, 2, 1)
    >>> tile_sizes(5, 16, fine=False)
    (5, 4, 3, 2, 1)
    """
    if size <= _SMALL:
        return tuple(range(size, 0, -1))
    folds = {min(size, part * side) for part in largest_parts(-(-size // side))}
    return tuple(sorted({*folds, *largest_parts(size)} if fine else folds, reverse=True))


Sizes: TypeAlias = tuple[tuple[int, ...], ...]
"""Sizes of tiles along m, n and k, falling."""


def all_sizes(layers: Sequence[LayerOnArray]) -> list[Sizes]:
    """Sizes of tiles of layers, all on one array.

    Whether even parts are tried depends neither on the array nor on the memories: larger ones have them all.
    """
    every: list[Sizes] = []
    for layer in layers:
        m, n, k = (int(size) for size in layer.sizes)
        if layer.strip is not None:
            every.append(((min(layer.strip, m),), (n,), (k,)))
            continue
        sides = (*layer.fold_size[:2], int(layer.window_step))
        few = m * n <= _FEW_SUMS
        along_m, along_n, along_k = [tile_sizes(size, side, few) for size, side in zip((m, n, k), sides, strict=True)]
        if layer.array.broadcast is not None:
            along_k = _with_whole_channels(along_k, k, int(layer.in_turn))
        every.append((along_m, along_n, along_k))
    return every


def _with_whole_channels(sizes: tuple[int, ...], window: int, in_turn: int) -> tuple[int, ...]:
    """Sizes along k, and those of whole channels: as many as there are, or even parts of many, whatever a tree sums."""
    channels = -(-window // in_turn)
    parts = range(1, channels + 1) if channels <= _SMALL else largest_parts(channels)
    return tuple(sorted({*sizes, *(min(window, in_turn * part) for part in parts)}, reverse=True))


def smallest_tile(layer: LayerOnArray) -> tuple[int, int, int]:
    """Inputs, weights and waiting sums that the smallest tile of a layer holds: at most one fold, one step in time."""
    m, n, k = (sizes[-1] for sizes in all_sizes([layer])[0])
    inputs, weights, sums = (int(words) for words in layer.held(m, n, k, m * n * int(layer.adds_up)))
    return inputs, weights, sums


def pairs_that_fit(layers: LayersOnArray, sizes: Sequence[Sizes]) -> Iterator[tuple[TileSizes, IntArray]]:
    """Tiles with the largest part of the window that fits, and for each the number of its layer, some at a time."""
    index, m_all, n_all, stays = pairs(layers, sizes)
    for start in range(0, len(index), _MOST_AT_ONCE):
        part = slice(start, start + _MOST_AT_ONCE)
        yield largest_that_fit(layers, sizes, index[part], m_all[part], n_all[part], stays[part])


def pairs(layers: LayersOnArray, sizes: Sequence[Sizes]) -> tuple[IntArray, IntArray, IntArray, BoolArray]:
    """Pairs of sizes along m and n: the number of the layer of each (rising), both sizes, and whether what is stationary
    stays in the array."""
    m_sizes: list[int] = []
    n_sizes: list[int] = []
    repeats: list[int] = []
    counts: list[int] = []
    time, sides = time_of(layers.array), fold_size(layers.array)
    for strip, both in zip(layers.strips, sizes, strict=True):
        single = [both[at] if time == at else [one for one in both[at] if one <= sides[at]] for at in (0, 1)]
        if strip is not None:  # strips of other layers have the array in between
            single = [[], []]
        for along_m, along_n in (both[:2], single):
            m_sizes += along_m
            n_sizes += list(along_n) * len(along_m)
            repeats += [len(along_n)] * len(along_m)
            counts.append(len(along_m) * len(along_n))
    index, stays = np.divmod(np.repeat(np.arange(len(counts)), counts), 2)
    return index, np.repeat(m_sizes, repeats), np.array(n_sizes), stays > 0


def largest_that_fit(
    layers: LayersOnArray, sizes: Sequence[Sizes], index: IntArray, m: IntArray, n: IntArray, stays: AnyArray
) -> tuple[TileSizes, IntArray]:
    """Pairs of the layers `index` (rising) with the largest part of the window that fits, those where none does left out."""
    taps = _largest_window(layers.at(index), m, n, stays)
    k = _rounded_down(sizes, bool((layers.window_steps == 1).all()), index, taps)
    fits = k > 0
    return TileSizes(m[fits], n[fits], k[fits], stays[fits]), index[fits]


def whole_windows_fit(layer: LayerOnArray, m: IntArray, n: IntArray, stays: AnyArray) -> AnyArray:
    """For each pair of sizes along m and n whether it may have the whole window, and that fits."""
    fits = layer.capacity.fits(*layer.held(m, n, layer.work.k, m * n * layer.adds_up))
    return fits & np.logical_not(_one_fold(layer, stays))


def _one_fold(layer: LayerOnArray, stays: AnyArray) -> AnyArray:
    """Where a tile takes no more of the window than one fold, which is not all of it."""
    return stays & layer.preloaded & (layer.work.k > layer.fold_size[2])


def _largest_window(layer: LayerOnArray, m: IntArray, n: IntArray, stays: BoolOrArray) -> IntArray:
    """For each pair of sizes along m and n the most taps that fit, beside the sums where these have to wait; 0 where none
    do."""
    whole, side, waiting = layer.work.k, layer.fold_size[2], m * n
    sums = waiting * layer.adds_up
    one_fold, uncut = _one_fold(layer, stays), whole_windows_fit(layer, m, n, stays)
    cut_sums = layer.held(m, n, 1, waiting if not layer.preloaded else sums)[2]
    cut_sums = np.where(stays, sums, cut_sums) if not layer.preloaded else cut_sums
    taps = np.asarray(layer.capacity.largest_window(layer.footprint, whole, m, n, cut_sums))
    taps = np.minimum(np.where(one_fold, np.minimum(taps, side), taps), np.maximum(whole - 1, 0))
    return np.where(uncut, whole, np.maximum(taps, 0))


def _rounded_down(sizes: Sequence[Sizes], in_time: bool, index: IntArray, taps: IntArray) -> IntArray:
    """For numbers of taps of the layers `index` (rising) the largest sizes that are not larger; 0 where none is.

    In time only even parts: the others have as many tiles.
    """
    windows = [of_layer[2] for of_layer in sizes]
    cut = np.flatnonzero(taps < np.array([window[0] for window in windows])[index])  # few layers have any
    if not len(cut):
        return taps
    numbers, apart = index[cut], max(window[0] for window in windows) + 1  # the sizes of each layer lie above those before it
    of_each = ((number, windows[number]) for number in np.unique(numbers).tolist())
    parts = [(n, (0, *(largest_parts(one[0]) if in_time and len(one) > 1 else one[::-1]))) for n, one in of_each]
    rising = np.array([number * apart + size for number, rising in parts for size in rising])
    rounded = taps.copy()
    rounded[cut] = rising[np.searchsorted(rising, numbers * apart + taps[cut], side="right") - 1] - numbers * apart
    return rounded


def with_smaller_windows(
    layers: LayersOnArray, sizes: Sequence[Sizes], tiles: TileSizes, index: IntArray, all_that_fit: bool
) -> Iterator[tuple[TileSizes, IntArray]]:
    """Further tiles, with smaller parts of the window: those that may have fewer folds, or all that fit."""
    side = layers.window_steps[index]
    whole = np.array([window[0] for _, _, window in sizes])
    fine = np.array([window[0] <= _SMALL or m[0] * n[0] <= _FEW_SUMS for m, n, window in sizes])
    wanted = np.asarray(all_that_fit) | ((side > 1) & fine[index] & (tiles.k < whole[index]))
    alike: dict[tuple[int, ...], list[int]] = {}
    for number in np.unique(index[np.broadcast_to(wanted, index.shape)]).tolist():
        alike.setdefault(sizes[number][2], []).append(number)
    for window, numbers in alike.items():
        mine = np.flatnonzero(np.isin(index, numbers) & wanted)
        for start in range(0, len(mine), step := max(1, _MOST_AT_ONCE // len(window))):
            part = mine[start : start + step]
            m, n, most, stays = (np.repeat(np.asarray(of)[part], len(window)) for of in tiles)
            k = np.tile(window, len(part))
            number = np.repeat(index[part], len(window))
            layer = layers.at(number)
            waiting = layer.adds_up | (
                not layer.preloaded and ~stays
            )  # an uncut window needs no memory for sums, a cut one does
            smaller = (k < most) & layer.capacity.fits(*layer.held(m, n, k, m * n * waiting))
            yield TileSizes(m[smaller], n[smaller], k[smaller], stays[smaller]), number[smaller]
