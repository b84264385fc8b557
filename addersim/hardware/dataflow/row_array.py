"""A layer on a row stationary array of an accelerator: its mapping, cycles and accesses at every level.

Rules beyond those of `row_stationary`: every tap reads an input, a weight and a running sum from the scratchpads and writes
the sum back; every word that an element receives is written into a scratchpad; padded pixels are delivered like others but are
no DRAM traffic. The buffers hold as many words of a mapping as `capacity.tile_words` says.
"""

from __future__ import annotations

from functools import lru_cache

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Buffers, Objective, Stored
from addersim.hardware.arrays import BoolOrArray, IntOrArray
from addersim.hardware.dataflow.array_run import ArrayRun, Placement
from addersim.hardware.dataflow.capacity import tile_words
from addersim.hardware.dataflow.row_mapper import RowArray, row_mapping
from addersim.hardware.dataflow.row_stationary import RowMapping, RowShape, count_rows, fetched
from addersim.hardware.traffic import Access, Loop, Tiling, Widths
from addersim.trace import LayerTrace

__all__ = ["row_shape", "run_rows"]


def run_rows(
    layer: LayerTrace, accelerator: Accelerator, batch: int, placement: Placement, objective: Objective | None = None
) -> ArrayRun:
    """Cycles, accesses and tiles of a window layer.

    Raises
    ------
    HardwareError
        The trace does not say how the window moves, or the array, a scratchpad or a memory is too small.
    """
    shape, array = row_shape(layer, batch), accelerator.array
    scratchpads = array.row_stationary
    assert scratchpads is not None
    widths = Widths.of(layer)
    words = (scratchpads.input_words, scratchpads.weight_words, scratchpads.sum_words)
    operands = (_scratchpad_operands(held, scratchpads.word_bits, bits) for held, bits in zip(words, widths, strict=True))
    elements = RowArray(array.rows, array.columns, *operands)
    try:
        mapping = _mapping(shape, elements, accelerator.buffers, widths, objective or scratchpads.least, *placement[::2])
    except HardwareError as error:
        raise HardwareError(f"layer {layer.name}: accelerator {accelerator.name!r}: {error}") from None
    used = mapping.filter_sets * mapping.channel_sets * shape.geometry.kernel[0] * mapping.strip
    return ArrayRun(
        cycles=int(count_rows(shape, mapping).cycles),
        mapping_efficiency=int(used) / array.elements,
        accesses=_accesses(shape, mapping, widths, layer.weights.words, placement),
        tiling=_tiling(shape, mapping),
    )


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
def _mapping(
    shape: RowShape,
    elements: RowArray,
    buffers: Buffers,
    widths: Widths,
    least: Objective,
    input_kept: bool,
    weights_kept: bool,
) -> RowMapping:
    operands: tuple[Stored, ...] = ("input", "weight", "partial_sum")

    def fits(*held: IntOrArray) -> BoolOrArray:
        fitting: BoolOrArray = True
        for name, memory in buffers.memories().items():
            taken: IntOrArray = 0
            for operand, words, bits in zip(operands, held, widths, strict=True):
                if buffers.memory(operand) == name and not (operand == "weight" and weights_kept):
                    taken = taken + memory.words(words, bits)
            fitting = fitting & (taken <= tile_words(buffers, name))
        return fitting

    return row_mapping(shape, elements, fits, widths, least, input_kept)


def _accesses(
    shape: RowShape, mapping: RowMapping, widths: Widths, stored_weights: int, placement: Placement
) -> tuple[Access, ...]:
    moved = count_rows(shape, mapping)
    inputs, weights = (int(words) for words in fetched(shape, mapping))
    constants = stored_weights - shape.geometry.groups * shape.weights
    inputs, fills = 0 if placement.input_kept else inputs, 0 if placement.weights_kept else weights + constants
    sums = int(moved.partial_sums)
    delivered, kernels, added = (int(words) for words in (moved.network_inputs, moved.network_weights, moved.network_sums))
    accesses = (
        Access("register", "input", shape.taps, delivered, widths.input),
        Access("register", "weight", shape.taps, kernels, widths.weight),
        Access("register", "partial_sum", shape.taps, shape.taps, widths.partial_sum),
        Access("network", "input", delivered, 0, widths.input),
        Access("network", "weight", kernels, 0, widths.weight),
        Access("network", "partial_sum", added, 0, widths.partial_sum),
        Access("buffer", "input", int(moved.input_reads), inputs, widths.input),
        Access("buffer", "weight", int(moved.weight_reads) + constants, fills, widths.weight),
        Access("buffer", "partial_sum", sums, sums, widths.partial_sum),
        Access("dram", "input", inputs, 0, widths.input),
        Access("dram", "weight", fills, 0, widths.weight),
    )
    return tuple(access for access in accesses if access.words)


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
