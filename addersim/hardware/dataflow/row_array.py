"""A layer on a row stationary array of an accelerator: its mapping, cycles and accesses at every level.

Rules beyond those of `row_stationary`: every tap reads an input, a weight and a running sum from the scratchpads and writes
the sum back; every word that an element receives is written into a scratchpad; padded pixels are delivered like others but are
no DRAM traffic. The buffers hold as many words of a mapping as `capacity.tile_words` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import numpy as np

from addersim.errors import HardwareError, PriceError
from addersim.hardware.accelerator import Accelerator, Buffers, Objective, Stored
from addersim.hardware.arrays import BoolOrArray, IntOrArray
from addersim.hardware.dataflow.array_run import ArrayRun, Beside, Placement
from addersim.hardware.dataflow.capacity import tile_words
from addersim.hardware.dataflow.row_costs import RowCosts, ZerosUsed, row_accesses
from addersim.hardware.dataflow.row_mapper import Fits, RowArray, check_room, check_row_array, row_mapping
from addersim.hardware.dataflow.row_stationary import RowMapping, RowShape, count_rows
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Loop, Tiling, Widths, output_traffic, stored_outputs
from addersim.trace import LayerTrace

__all__ = ["best_rows", "check_rows", "row_shape", "run_rows"]


def run_rows(
    layer: LayerTrace,
    accelerator: Accelerator,
    batch: int,
    placement: Placement,
    energies: MovementEnergy,
    objective: Objective | None = None,
    beside: Beside | None = None,
) -> ArrayRun:
    """Cycles, accesses and tiles of a window layer.

    Raises
    ------
    HardwareError
        The trace does not say how the window moves, or the array, a scratchpad or a memory is too small.
    """
    costs, mapping = best_rows(layer, accelerator, batch, placement, energies, objective, beside)
    shape, widths, array = costs.shape, costs.widths, accelerator.array
    used = mapping.filter_sets * mapping.channel_sets * shape.geometry.kernel[0] * mapping.strip
    moved = row_accesses(shape, mapping, widths, costs.constants, placement, costs.zeros)
    accesses = (access._replace(reads=int(access.reads), writes=int(access.writes)) for access in moved)
    return ArrayRun(
        cycles=int(count_rows(shape, mapping).cycles),
        stage_cycles=int(costs.values(_one(mapping))[2, 0]),
        mapping_efficiency=int(used) / array.elements,
        accesses=tuple(access for access in accesses if access.words),
        tiling=_tiling(shape, mapping),
        elements=array.elements,
    )


def best_rows(
    layer: LayerTrace,
    accelerator: Accelerator,
    batch: int,
    placement: Placement,
    energies: MovementEnergy,
    objective: Objective | None = None,
    beside: Beside | None = None,
) -> tuple[RowCosts, RowMapping]:
    """The mapping that a window layer has, and what decides it.

    Raises
    ------
    HardwareError
        As `run_rows`.
    """
    shape, array, widths = row_shape(layer, batch), accelerator.array, Widths.of(layer)
    output, kept = layer.output, placement.output_kept
    stored = output_traffic(stored_outputs(layer, batch), output.bits, kept, output.coded_bits, placement.backing)
    constants = layer.weights.words - shape.geometry.groups * shape.weights
    together, least = (beside or Beside()).with_outputs(stored), objective or array.usual_objective
    zeros = ZerosUsed(layer.gated_taps * batch, layer.inputs[0].coded_bits)
    costs = RowCosts(shape, widths, constants, placement, together, accelerator, least, energies, zeros)
    try:
        costs = costs.priced()
    except PriceError:
        check_rows(layer, accelerator, batch, placement)  # what runs under no table is said first
        raise
    with _naming(layer, accelerator):
        return costs, _mapping(_elements(accelerator, widths), costs)


def check_rows(layer: LayerTrace, accelerator: Accelerator, batch: int, placement: Placement) -> None:
    """Refuse a layer that does not fit the array, its scratchpads or the memories."""
    shape, widths = row_shape(layer, batch), Widths.of(layer)
    with _naming(layer, accelerator):
        check_row_array(shape, _elements(accelerator, widths))
        check_room(shape, _fits(accelerator.buffers, widths, placement), widths)


@contextmanager
def _naming(layer: LayerTrace, accelerator: Accelerator) -> Iterator[None]:
    """Errors say of which layer and accelerator they are."""
    try:
        yield
    except HardwareError as error:
        raise HardwareError(f"layer {layer.name}: accelerator {accelerator.name!r}: {error}") from None


def _elements(accelerator: Accelerator, widths: Widths) -> RowArray:
    """The array, with its scratchpads in operands."""
    array, scratchpads = accelerator.array, accelerator.array.row_stationary
    assert scratchpads is not None
    words = (scratchpads.input_words, scratchpads.weight_words, scratchpads.sum_words)
    operands = (_scratchpad_operands(held, scratchpads.word_bits, bits) for held, bits in zip(words, widths, strict=True))
    return RowArray(array.rows, array.columns, *operands)


def row_shape(layer: LayerTrace, batch: int) -> RowShape:
    """The shape of a layer for a batch, checked against its own numbers."""
    work, where = layer.work, f"layer {layer.name}"
    assert work is not None
    if work.geometry is None or work.image is None:
        raise HardwareError(
            f"{where}: its trace does not say how the window moves (geometry, image); row stationary needs that"
        )
    height, width = work.geometry.kernel
    shape = RowShape(batch, work.k // (height * width), work.n, work.geometry, work.image)
    if shape.taps != work.taps * batch:
        raise HardwareError(f"{where}: its geometry gives {shape.taps // batch} taps, its matrix product has {work.taps}")
    return shape


def _scratchpad_operands(words: int, word_bits: int, bits: int) -> int:
    """Operands that a scratchpad holds."""
    return words * (word_bits // bits) if bits <= word_bits else words // -(-bits // word_bits)


@lru_cache(maxsize=1024)  # networks repeat their layers, and a search takes milliseconds
def _mapping(elements: RowArray, costs: RowCosts) -> RowMapping:
    return row_mapping(costs.shape, elements, _fits(costs.accelerator.buffers, costs.widths, costs.placement), costs)


def _fits(buffers: Buffers, widths: Widths, placement: Placement) -> Fits:
    operands: tuple[Stored, ...] = ("input", "weight", "partial_sum")

    def fits(*held: IntOrArray) -> BoolOrArray:
        fitting: BoolOrArray = True
        for name, memory in buffers.memories().items():
            taken: IntOrArray = 0
            for operand, words, bits in zip(operands, held, widths, strict=True):
                if buffers.memory(operand) == name and not (operand == "weight" and placement.weights_kept):
                    taken = taken + memory.words(words, bits)
            fitting = fitting & (taken <= tile_words(buffers, name))
        return fitting

    return fits


def _one(mapping: RowMapping) -> RowMapping:
    """A mapping as arrays of one."""
    return replace(mapping, images=np.array([mapping.images]), held=np.array([mapping.held]))


def _tiling(shape: RowShape, mapping: RowMapping) -> Tiling:
    """The loops of a mapping, outermost first; the last two are those of the passes."""
    outer: tuple[tuple[str, int, IntOrArray], ...] = (
        ("filters", shape.filters, mapping.held),
        ("rows", shape.outputs[0], mapping.strip),
        ("images", shape.images, mapping.images),
    )
    if mapping.input_kept == "strip":
        outer = (*outer[1:], outer[0])
    inner = (
        ("channels", shape.channels, mapping.channels * mapping.channel_sets),
        ("filters", int(mapping.held), mapping.filters * mapping.filter_sets),
    )
    loops = ((name, size, int(tile)) for name, size, tile in (*outer, *inner))
    return Tiling(tuple(Loop(name, -(-size // tile), min(tile, size)) for name, size, tile in loops))
