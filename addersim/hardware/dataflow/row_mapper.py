"""The row stationary mapping that costs least: a search over all the cuts that differ, without chance.

Of the cuts of a dimension only those are tried that need different numbers of blocks, each with blocks as even as can be. What
is compared is the normalised cost of Eyeriss (ISCA 2016, from a 65 nm process): with a 16-bit multiply-accumulate as
1, a scratchpad access costs 1, a word on the array's network 2, a buffer access 6, a DRAM access 200; here in proportion to an
operand's width. The mapping is thus the array's own, and does not change with the energy table of the estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from math import isqrt
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Objective
from addersim.hardware.dataflow.row_stationary import (
    InputKept,
    RowMapping,
    RowShape,
    WeightKept,
    count_rows,
    fetched,
    footprints,
)
from addersim.hardware.traffic import Whole

__all__ = ["RELATIVE_COST", "Fits", "RowArray", "Widths", "row_mapping"]

Fits = Callable[[Whole, Whole, Whole], Whole]

RELATIVE_COST = MappingProxyType({"register": 1, "network": 2, "buffer": 6, "dram": 200})

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


class Widths(NamedTuple):
    """Bits of an input, a weight and a running sum."""

    input: int
    weight: int
    sum: int


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


def row_mapping(
    shape: RowShape,
    array: RowArray,
    fits: Fits,
    widths: Widths,
    objective: Objective = "energy-delay",
    input_on_chip: bool = False,
) -> RowMapping:
    """The cheapest mapping of a layer that the search finds; of equals the first.

    DRAM words come out least of all. Energy and cycles come out within 5 % of the least where tests try every mapping of small
    layers, because not all sizes of a pass are tried here.

    Parameters
    ----------
    shape, array
        What runs where.
    fits
        Whether so many words of input, weights and sums find room in the buffers at a time; larger buffers must never say no
        where smaller ones say yes.
    widths
        Of the operands.
    objective
        What is least: normalised energy times cycles, normalised energy, cycles, or DRAM bits; the next in line of energy
        times cycles, energy and cycles decides between equals.
    input_on_chip
        Whether the input is in the buffer and costs no DRAM traffic.

    Raises
    ------
    HardwareError
        The kernel is taller than the array, a kernel row does not fit the scratchpads, or not even one row of outputs fits the
        buffers.
    """
    _check_array(shape, array)
    best: tuple[tuple[float, ...], RowMapping] | None = None
    blocks = np.array(_cuts(shape.images))
    for mapping in _candidates(shape, array):
        for input_kept, weight_kept in _KEPT:
            option, fitting = _most_images(
                shape, replace(mapping, input_kept=input_kept, weight_kept=weight_kept), blocks, fits
            )
            if not fitting.any():
                continue
            cycles, energy = _on_chip(shape, option, widths)
            scores = _scores(cycles, energy, _dram_bits(shape, option, widths, input_on_chip), objective)
            scores = [np.broadcast_to(score, fitting.shape) for score in scores]
            first = _least(scores, np.flatnonzero(fitting))
            found = tuple(float(score[first]) for score in scores)
            if best is None or found < best[0]:
                best = found, _one(option, first)
    if best is None:
        least = footprints(shape, RowMapping(1, 1, 1, 1, 1, 1, 1))
        inputs, weights, sums = (int(words) for words in least)
        raise HardwareError(
            f"the buffers do not hold one row stationary pass: at least {inputs} inputs of {widths.input} bits, "
            f"{weights} weights of {widths.weight} and {sums} sums of {widths.sum} at a time; enlarge them"
        )
    return best[1]


def _check_array(shape: RowShape, array: RowArray) -> None:
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


def _candidates(shape: RowShape, array: RowArray) -> Iterator[RowMapping]:
    """All mappings worth a look, as arrays: of each strip those that fill the array, and those that need least buffer."""
    kernel_rows, kernel_columns = shape.geometry.kernel
    turns = min(array.input_words, array.weight_words) // kernel_columns
    for strip in _cuts(shape.outputs[0]):
        sets = array.sets(kernel_rows, strip)
        if not sets:
            continue
        axes = (
            _cuts(shape.filters),
            range(1, min(turns, shape.channels) + 1),
            sorted({min(sets // other, shape.channels) for other in range(1, sets + 1)}),
        )
        held, channels, channel_sets = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        blocks = -(-shape.channels // (channels * channel_sets))
        channel_sets = -(-shape.channels // (blocks * channels))
        room = np.minimum(array.sum_words, array.weight_words // (channels * kernel_columns))
        filter_sets = sets // channel_sets
        blocks = -(-held // (room * filter_sets))
        filters = -(-held // (blocks * filter_sets))
        filter_sets = -(-held // (blocks * filters))
        yield RowMapping(strip, 1, held, filters, channels, filter_sets, channel_sets)
        yield RowMapping(strip, 1, held, *(np.ones_like(held),) * 4)


def _most_images(shape: RowShape, mapping: RowMapping, blocks: Whole, fits: Fits) -> tuple[RowMapping, Whole]:
    """Mappings with the largest of some rising blocks of images that each has room for, and which of them have room for any.

    More images at a time never cost more: weights come once a block, and nothing else depends on it.
    """

    def room(places: Whole) -> Whole:
        return np.asarray(fits(*footprints(shape, replace(mapping, images=blocks[places]))))

    low = np.zeros_like(mapping.held)
    fitting = np.broadcast_to(room(low), low.shape)
    high = np.full_like(low, len(blocks))
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = room(middle)
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return replace(mapping, images=blocks[low]), fitting


def _cuts(size: int) -> list[int]:
    """Block lengths that need different numbers of blocks, each the shortest that does."""
    few = range(1, isqrt(size) + 2)
    return sorted({-(-size // number) for number in chain(few, (-(-size // length) for length in few))})


def _on_chip(shape: RowShape, mapping: RowMapping, widths: Widths) -> tuple[Whole, Whole]:
    """Cycles, and normalised energy of all that moves between scratchpads, network and buffer, in bits."""
    found = count_rows(shape, mapping)
    received = found.network_inputs * widths.input + found.network_weights * widths.weight
    bits = {
        "register": received + shape.taps * (widths.input + widths.weight + 2 * widths.sum),
        "network": received + found.network_sums * widths.sum,
        "buffer": found.input_reads * widths.input + found.weight_reads * widths.weight + 2 * found.partial_sums * widths.sum,
    }
    return found.cycles, sum(RELATIVE_COST[level] * moved for level, moved in bits.items())


def _dram_bits(shape: RowShape, mapping: RowMapping, widths: Widths, input_on_chip: bool) -> Whole:
    inputs, weights = fetched(shape, mapping)
    return (0 if input_on_chip else inputs * widths.input) + weights * widths.weight


def _scores(cycles: Whole, on_chip: Whole, dram_bits: Whole, objective: Objective) -> list[Whole]:
    """What is to be least, first things first. What DRAM delivers is also written into the buffer."""
    energy = on_chip + (RELATIVE_COST["dram"] + RELATIVE_COST["buffer"]) * dram_bits
    product = np.asarray(energy, dtype=float) * cycles
    first = {"energy-delay": product, "energy": energy, "latency": cycles, "dram": dram_bits}[objective]
    return [first, product, energy, cycles]


def _least(scores: list[Whole], among: Whole) -> int:
    """Index of the smallest first score, of those with the smallest second score, and so on; the first of equals."""
    for score in scores:
        found = score[among]
        among = among[found == found.min()]
    return int(among[0])


def _one(batch: RowMapping, index: int) -> RowMapping:
    """One of the mappings of a batch."""
    return replace(
        batch,
        images=int(batch.images[index]),
        held=int(batch.held[index]),
        filters=int(batch.filters[index]),
        channels=int(batch.channels[index]),
        filter_sets=int(batch.filter_sets[index]),
        channel_sets=int(batch.channel_sets[index]),
    )
