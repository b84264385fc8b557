"""The row stationary mapping that costs least: a search over all the cuts that differ, without chance.

Of the cuts of a dimension only those are tried that need different numbers of blocks, each with blocks as even as can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.hardware.arrays import BoolOrArray, FloatArray, IntArray, IntOrArray
from addersim.hardware.dataflow.row_stationary import (
    InputKept,
    RowMapping,
    RowShape,
    WeightKept,
    footprints,
)
from addersim.hardware.even_parts import largest_parts
from addersim.hardware.traffic import Widths

__all__ = ["Fits", "MappingCosts", "RowArray", "check_room", "check_row_array", "row_mapping"]

Fits = Callable[[IntOrArray, IntOrArray, IntOrArray], BoolOrArray]
"""Whether the buffers hold numbers of inputs, weights and sums at a time."""

_AT_ONCE = 32
"""Mappings whose exact values are found at once."""

_LOOKED_AT = 1 << 14
"""Mappings that are looked at in one go, so that arrays of them stay in a core's cache."""

_KEPT: tuple[tuple[InputKept, WeightKept], ...] = (
    ("pass", "pass"),
    ("pass", "held"),
    ("pass", "all"),
    ("strip", "pass"),
    ("strip", "all"),
    ("all", "pass"),
    ("all", "held"),
    ("all", "all"),
)


@dataclass(frozen=True, slots=True)
class RowArray:
    """The array: rows x columns of processing elements, and the words that the scratchpads of each hold."""

    rows: int
    columns: int
    input_words: int
    weight_words: int
    sum_words: int

    def sets(self, kernel_rows: int, strip: int) -> int:
        """Sets of kernel rows x strip that fit side by side."""
        above = self.rows // kernel_rows
        return above * (self.columns // strip) if strip <= self.columns else above // -(-strip // self.columns)


_Valued: TypeAlias = tuple[list[float], RowMapping]
"""Values of a mapping, and the mapping."""


class MappingCosts(Protocol):
    """What mappings cost: rows of values, the most important first, a column a mapping; smaller ones are better.

    Where transfers overlap (`pipelined`), `exact` values take longer to find than bounds that they are never below.
    """

    @property
    def pipelined(self) -> bool: ...
    @property
    def widths(self) -> Widths: ...
    def values(self, mapping: RowMapping, exact: bool = True) -> FloatArray: ...


def row_mapping(shape: RowShape, array: RowArray, fits: Fits, costs: MappingCosts) -> RowMapping:
    """The cheapest mapping of a layer that the search finds; of equals the first.

    DRAM words come out least of all. Energy and cycles come out within 5 % of the least where tests try every mapping of small
    layers, because not all sizes of a pass are tried here.

    Parameters
    ----------
    shape, array
        What runs where.
    fits
        Whether the buffers hold numbers of words of input, weights and sums at a time; larger buffers must never say no where
        smaller ones say yes.
    costs
        Of mappings.

    Raises
    ------
    HardwareError
        The kernel is taller than the array, a kernel row does not fit the scratchpads, or not even one row of outputs fits the
        buffers.
    """
    check_row_array(shape, array)
    best: _Valued | None = None
    blocks = np.array(largest_parts(shape.images))
    for mapping in _candidates(shape, array):
        for input_kept, weight_kept in _KEPT:
            kept = replace(mapping, input_kept=input_kept, weight_kept=weight_kept)
            for option, fitting in _images(shape, kept, blocks, fits, costs.pipelined):
                best = _better(option, np.flatnonzero(fitting), costs, best)
    if best is None:
        check_room(shape, fits, costs.widths)
    assert best is not None, "the smallest pass fits"
    return best[1]


def _better(option: RowMapping, among: IntArray, costs: MappingCosts, best: _Valued | None) -> _Valued | None:
    """The best of some mappings, or the best before if none is better."""
    if not len(among):
        return best
    bounds = np.broadcast_to(costs.values(option, exact=False), (4, len(np.asarray(option.held))))
    first = bounds[0, among]
    among = among[first <= (first.min() if not costs.pipelined else best[0][0] if best else np.inf)]
    ranked = among[np.lexsort(bounds[::-1, among])]
    at_once = _AT_ONCE if costs.pipelined else 1
    for start in range(0, len(ranked), at_once):
        some = ranked[start : start + at_once]
        if best is not None and bounds[:, some[0]].tolist() >= best[0]:
            return best
        values = bounds[:, some] if not costs.pipelined else costs.values(_some(option, some))
        least = np.lexsort(values[::-1])[0]
        if best is None or values[:, least].tolist() < best[0]:
            best = values[:, least].tolist(), _at(option, int(some[least]))
        if not costs.pipelined:
            return best
    return best


def check_room(shape: RowShape, fits: Fits, widths: Widths) -> None:
    """Refuse a layer of which the buffers do not hold the smallest pass."""
    smallest = footprints(shape, RowMapping(1, 1, 1, 1, 1, 1, 1))
    if not np.all(fits(*smallest)):
        inputs, weights, sums = (int(words) for words in smallest)
        raise HardwareError(
            f"the buffers do not hold one row stationary pass: at least {inputs} inputs of {widths.input} bits, "
            f"{weights} weights of {widths.weight} and {sums} sums of {widths.partial_sum} at a time; enlarge them"
        )


def check_row_array(shape: RowShape, array: RowArray) -> None:
    """Refuse a layer whose kernel does not fit the array or its scratchpads."""
    kernel_rows, kernel_columns = shape.geometry.kernel
    if kernel_rows > array.rows:
        raise HardwareError(
            f"a kernel of {kernel_rows} rows is taller than the row stationary array of {array.rows} rows; "
            f"take an array of at least {kernel_rows} rows, or another dataflow"
        )
    for name, words in (("input", array.input_words), ("weight", array.weight_words)):
        if words < kernel_columns:
            raise HardwareError(
                f"a kernel row of {kernel_columns} taps does not fit the {name} scratchpad of {words} words; "
                f"enlarge it to at least {kernel_columns}, or take another dataflow"
            )
    if array.sum_words < 1:
        raise HardwareError("the sum scratchpad holds no word of the accumulator; enlarge it")


def _strips(shape: RowShape) -> Sequence[int]:
    """Output rows of a strip: even parts; any number where some rows read padding alone, for a strip of such reads nothing."""
    geometry, rows = shape.geometry, shape.outputs[0]
    places = np.arange(rows)[:, None] * geometry.stride[0] + np.arange(geometry.kernel[0]) * geometry.dilation[0]
    stored = (places >= geometry.padding[0]) & (places < geometry.padding[0] + shape.image[0])
    return largest_parts(rows) if stored.any(1).all() else range(1, rows + 1)


def _candidates(shape: RowShape, array: RowArray) -> Iterator[RowMapping]:
    """All mappings worth a look, as arrays: of each strip those that fill the array, and those that need least buffer."""
    every = np.concatenate([_of_strip(shape, array, strip) for strip in _strips(shape)], axis=1)
    for some in np.array_split(every, -(-every.shape[1] // _LOOKED_AT), axis=1):
        strip, *cuts = some
        yield RowMapping(strip, 1, *cuts)


def _of_strip(shape: RowShape, array: RowArray, strip: int) -> IntArray:
    """Mappings of strips of some height, a column each: strip, held, filters, channels, filter sets and channel sets."""
    kernel_rows, kernel_columns = shape.geometry.kernel
    turns = min(array.input_words, array.weight_words) // kernel_columns
    sets = array.sets(kernel_rows, strip)
    if not sets:
        return np.empty((6, 0), np.int64)
    side_by_side = sorted({min(sets // other, shape.channels) for other in range(1, sets + 1)})
    axes = (range(1, min(turns, shape.channels) + 1), side_by_side)
    channels, channel_sets = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    blocks = -(-shape.channels // (channels * channel_sets))
    channel_sets = -(-shape.channels // (blocks * channels))
    differing = np.sort(np.unique(channels * (sets + 1) + channel_sets, return_index=True)[1])  # most are the same cut
    every_held = np.array(largest_parts(shape.filters))
    held, chosen = (axis.ravel() for axis in np.meshgrid(every_held, differing, indexing="ij"))
    channels, channel_sets = channels[chosen], channel_sets[chosen]
    most_filters = np.minimum(array.sum_words, array.weight_words // (channels * kernel_columns))
    filter_sets = sets // channel_sets
    blocks = -(-held // (most_filters * filter_sets))
    filters = -(-held // (blocks * filter_sets))
    filter_sets = -(-held // (blocks * filters))
    filling = np.stack([np.full_like(held, strip), held, filters, channels, filter_sets, channel_sets])
    smallest = np.ones((6, len(every_held)), np.int64)
    smallest[:2] = np.full_like(every_held, strip), every_held
    return np.concatenate([filling, smallest], axis=1)


def _images(
    shape: RowShape, mapping: RowMapping, blocks: IntArray, fits: Fits, pipelined: bool
) -> Iterator[tuple[RowMapping, npt.NDArray[np.bool_]]]:
    """Mappings with blocks of images, and whether the buffers hold them: the largest blocks that fit, or all where transfers
    overlap.

    More images at a time never cost more words: weights come once a block, and nothing else depends on it. But where transfers
    overlap a smaller first block is there sooner.
    """

    def held(images: IntArray) -> npt.NDArray[np.bool_]:
        option = replace(mapping, images=images)
        words = footprints(shape, option)
        return np.broadcast_to(np.asarray(fits(*(_exchanged(shape, option, words) if pipelined else words))), images.shape)

    if pipelined:
        for images in blocks.tolist():
            every = np.full_like(mapping.held, images)
            yield replace(mapping, images=every), held(every)
        return
    low = np.zeros_like(mapping.held)
    fitting = held(blocks[low])
    high = np.full_like(low, len(blocks))
    while (high - low > 1).any():
        middle = (low + high) // 2
        fit = held(blocks[middle])
        low, high = np.where(fit, middle, low), np.where(fit, high, middle)
    yield replace(mapping, images=blocks[low]), fitting


def _exchanged(
    shape: RowShape, mapping: RowMapping, words: tuple[IntOrArray, IntOrArray, IntOrArray]
) -> tuple[IntOrArray, IntOrArray, IntOrArray]:
    """Words that each half of double-buffered memories holds: what stays for the whole layer lies in both halves."""
    inputs, weights, sums = words
    alone = shape.geometry.groups == 1
    inputs = -(-inputs // 2) if alone and mapping.input_kept == "all" else inputs
    return inputs, -(-weights // 2) if alone and mapping.weight_kept == "all" else weights, sums


def _some(mappings: RowMapping, places: IntArray) -> RowMapping:
    """The mappings at some places of arrays of mappings."""
    shape = np.shape(mappings.held)
    return _picked(mappings, lambda values: np.broadcast_to(values, shape)[places])


def _at(mappings: RowMapping, index: int) -> RowMapping:
    """The mapping at an index of arrays of mappings."""
    return _picked(mappings, lambda values: int(np.asarray(values)[index]))


def _picked(mappings: RowMapping, pick: Callable[[IntOrArray], IntOrArray]) -> RowMapping:
    return replace(
        mappings,
        strip=pick(mappings.strip),
        images=pick(mappings.images),
        held=pick(mappings.held),
        filters=pick(mappings.filters),
        channels=pick(mappings.channels),
        filter_sets=pick(mappings.filter_sets),
        channel_sets=pick(mappings.channel_sets),
    )
