"""The row stationary mapping that costs least: a search over all the cuts that differ, without chance.

Of the cuts of a dimension only those are tried that need different numbers of blocks, each with blocks as even as can be. What
is compared is the normalised cost of Eyeriss (ISCA 2016, from a 65 nm process): with a 16-bit multiply-accumulate as
1, a scratchpad access costs 1, a word on the array's network 2, a buffer access 6, a DRAM access 200; here in proportion to an
operand's width. The mapping is thus the array's own, and does not change with the energy table of the estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Objective
from addersim.hardware.arrays import BoolOrArray, IntArray, IntOrArray
from addersim.hardware.dataflow.row_stationary import (
    InputKept,
    RowMapping,
    RowShape,
    WeightKept,
    count_rows,
    fetched,
    footprints,
)
from addersim.hardware.even_parts import largest_parts
from addersim.hardware.traffic import Widths

__all__ = ["RELATIVE_COST", "Fits", "RowArray", "row_mapping"]

Fits = Callable[[IntOrArray, IntOrArray, IntOrArray], BoolOrArray]
"""Whether the buffers hold numbers of inputs, weights and sums at a time."""

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
        Whether the buffers hold numbers of words of input, weights and sums at a time; larger buffers must never say no where
        smaller ones say yes.
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
    blocks = np.array(largest_parts(shape.images))
    for mapping in _candidates(shape, array):
        for input_kept, weight_kept in _KEPT:
            option, fitting = _most_images(
                shape, replace(mapping, input_kept=input_kept, weight_kept=weight_kept), blocks, fits
            )
            if not fitting.any():
                continue
            cycles, energy = _on_chip(shape, option, widths)
            values = _objective_values(cycles, energy, _dram_bits(shape, option, widths, input_on_chip), objective)
            values = [np.broadcast_to(value, fitting.shape) for value in values]
            first = _least(values, np.flatnonzero(fitting))
            least = tuple(float(value[first]) for value in values)
            if best is None or least < best[0]:
                best = least, _at(option, first)
    if best is None:
        inputs, weights, sums = (int(words) for words in footprints(shape, RowMapping(1, 1, 1, 1, 1, 1, 1)))
        raise HardwareError(
            f"the buffers do not hold one row stationary pass: at least {inputs} inputs of {widths.input} bits, "
            f"{weights} weights of {widths.weight} and {sums} sums of {widths.partial_sum} at a time; enlarge them"
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
    for strip in largest_parts(shape.outputs[0]):
        sets = array.sets(kernel_rows, strip)
        if not sets:
            continue
        axes = (
            largest_parts(shape.filters),
            range(1, min(turns, shape.channels) + 1),
            sorted({min(sets // other, shape.channels) for other in range(1, sets + 1)}),
        )
        held, channels, channel_sets = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        blocks = -(-shape.channels // (channels * channel_sets))
        channel_sets = -(-shape.channels // (blocks * channels))
        most_filters = np.minimum(array.sum_words, array.weight_words // (channels * kernel_columns))
        filter_sets = sets // channel_sets
        blocks = -(-held // (most_filters * filter_sets))
        filters = -(-held // (blocks * filter_sets))
        filter_sets = -(-held // (blocks * filters))
        yield RowMapping(strip, 1, held, filters, channels, filter_sets, channel_sets)
        yield RowMapping(strip, 1, held, *(np.ones_like(held),) * 4)


def _most_images(
    shape: RowShape, mapping: RowMapping, blocks: IntArray, fits: Fits
) -> tuple[RowMapping, npt.NDArray[np.bool_]]:
    """Mappings with the largest of some rising blocks of images that the buffers hold, and whether they hold any.

    More images at a time never cost more: weights come once a block, and nothing else depends on it.
    """

    def held(places: IntArray) -> npt.NDArray[np.bool_]:
        return np.asarray(fits(*footprints(shape, replace(mapping, images=blocks[places]))))

    low = np.zeros_like(mapping.held)
    fitting = np.broadcast_to(held(low), low.shape)
    high = np.full_like(low, len(blocks))
    while (high - low > 1).any():
        middle = (low + high) // 2
        fit = held(middle)
        low, high = np.where(fit, middle, low), np.where(fit, high, middle)
    return replace(mapping, images=blocks[low]), fitting


def _on_chip(shape: RowShape, mapping: RowMapping, widths: Widths) -> tuple[IntOrArray, IntOrArray]:
    """Cycles, and normalised energy of all that moves between scratchpads, network and buffer, in bits."""
    counts = count_rows(shape, mapping)
    received = counts.network_inputs * widths.input + counts.network_weights * widths.weight
    bits = {
        "register": received + shape.taps * (widths.input + widths.weight + 2 * widths.partial_sum),
        "network": received + counts.network_sums * widths.partial_sum,
        "buffer": counts.input_reads * widths.input
        + counts.weight_reads * widths.weight
        + 2 * counts.partial_sums * widths.partial_sum,
    }
    return counts.cycles, sum(RELATIVE_COST[level] * moved for level, moved in bits.items())


def _dram_bits(shape: RowShape, mapping: RowMapping, widths: Widths, input_on_chip: bool) -> IntOrArray:
    inputs, weights = fetched(shape, mapping)
    return (0 if input_on_chip else inputs * widths.input) + weights * widths.weight


def _objective_values(
    cycles: IntOrArray, on_chip: IntOrArray, dram_bits: IntOrArray, objective: Objective
) -> list[npt.NDArray[Any]]:
    """What to minimise, the most important first. What DRAM delivers is also written into the buffer."""
    energy = on_chip + (RELATIVE_COST["dram"] + RELATIVE_COST["buffer"]) * dram_bits
    product = np.asarray(energy, dtype=float) * cycles
    first = {"energy-delay": product, "energy": energy, "latency": cycles, "dram": dram_bits}[objective]
    return [np.asarray(value) for value in (first, product, energy, cycles)]


def _least(values: list[npt.NDArray[Any]], among: IntArray) -> int:
    """Index of the smallest first value, of those with the smallest second value, and so on; the first of equals."""
    for value in values:
        left = value[among]
        among = among[left == left.min()]
    return int(among[0])


def _at(mappings: RowMapping, index: int) -> RowMapping:
    """The mapping at an index of arrays of mappings."""

    def number(values: IntOrArray) -> int:
        return int(np.asarray(values)[index])

    return replace(
        mappings,
        images=number(mappings.images),
        held=number(mappings.held),
        filters=number(mappings.filters),
        channels=number(mappings.channels),
        filter_sets=number(mappings.filter_sets),
        channel_sets=number(mappings.channel_sets),
    )
