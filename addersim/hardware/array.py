"""The array runs a layer: one place where the dataflow decides which model does it."""

from __future__ import annotations

from dataclasses import replace

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Objective, Stored
from addersim.hardware.footprint import Footprint
from addersim.hardware.mapper import DIMENSIONS, Problem, best_cut, smallest_tile
from addersim.hardware.mapping import ArrayRun, Loop, Placement, Tiling
from addersim.hardware.memory import array_accesses
from addersim.hardware.movement import MovementPrices
from addersim.hardware.room import Room, Widths, tile_words
from addersim.hardware.row_array import run_rows
from addersim.hardware.score import score_of
from addersim.hardware.systolic import mapping_efficiency
from addersim.trace import LayerTrace

__all__ = ["array_problem", "run_on_array"]


def run_on_array(
    layer: LayerTrace,
    accelerator: Accelerator,
    batch: int,
    placement: Placement,
    prices: MovementPrices,
    objective: Objective | None = None,
) -> ArrayRun:
    """Cycles, accesses and tiles of a window layer.

    Parameters
    ----------
    layer
        A layer with a matrix product.
    accelerator, batch
        Where, and how many images at once.
    placement
        What is already, or stays, on chip.
    prices
        What movement costs, for a choice of tiles by energy.
    objective
        What the choice of tiles makes least; None for energy, or what a row stationary array says.

    Raises
    ------
    HardwareError
        The array lacks the layer's datapath, a memory is too small, or the trace contradicts itself.
    """
    check_layer(layer, accelerator)
    if accelerator.array.row_stationary is not None:
        return run_rows(layer, accelerator, batch, placement, objective)
    problem = array_problem(layer, accelerator, batch, placement)
    found = best_cut(problem, score_of(layer, accelerator, batch, placement, prices, objective or "energy"))
    if found is None:
        raise _too_small(layer, accelerator, problem)
    cut, order, step = found
    loops = []
    for place in order:
        trips = int(cut.trips(problem)[place])
        parts = -(-problem.folds[place] // trips)  # as even as can be
        loops.append(Loop(DIMENSIONS[place], trips, min(parts * problem.units[place], problem.sizes[place])))
    accesses = tuple(access for access in array_accesses(layer, step.words, placement.input_kept) if access.words)
    array = accelerator.array
    filled = mapping_efficiency(problem.work, array.rows, array.columns, array.systolic)
    return ArrayRun(step.folds.cycles, filled, accesses, Tiling(tuple(loops)))


def array_problem(layer: LayerTrace, accelerator: Accelerator, batch: int, placement: Placement) -> Problem:
    """What the mapper has to place."""
    assert layer.work is not None
    widths = Widths(layer.inputs[0].bits, layer.weights.bits, layer.accumulator_bits or layer.output.bits)
    return Problem(
        work=replace(layer.work, pixels=layer.work.pixels * batch, geometry=None, image=None),
        array=accelerator.array,
        footprint=Footprint.of(layer.work, layer.inputs[0], batch),
        room=Room.of(accelerator.buffers, widths, placement.input_kept),
    )


def check_layer(layer: LayerTrace, accelerator: Accelerator) -> None:
    """Refuse a layer that no array of this accelerator can run."""
    assert layer.work is not None, "run_on_array takes window layers"
    datapaths = accelerator.array.datapaths
    if datapaths is not None and layer.datapath not in datapaths:
        raise HardwareError(
            f"layer {layer.name}: needs the datapath {layer.datapath}, but the array of accelerator {accelerator.name!r} has "
            f"{', '.join(datapaths)}; allowed: these, or no array.datapaths for an array made for the network"
        )
    if len(layer.inputs) != 1:
        raise HardwareError(f"layer {layer.name}: a matrix product of {len(layer.inputs)} stored inputs; the array takes 1")
    needed = layer.work.window * layer.work.filters * layer.work.groups
    if layer.weights.words < needed:
        raise HardwareError(f"layer {layer.name}: {layer.weights.words} stored weights, but its matrix product takes {needed}")


def _too_small(layer: LayerTrace, accelerator: Accelerator, problem: Problem) -> HardwareError:
    """The memory that has no room for the smallest tile, in one line."""
    inputs, weights, sums = smallest_tile(problem)
    name = problem.room.too_small(inputs, weights, sums)
    assert name is not None, "the smallest tile fits"
    buffers = accelerator.buffers
    memory = buffers.memories()[name]
    bits = layer.accumulator_bits or layer.output.bits
    operands: tuple[tuple[Stored, int, int], ...] = (
        ("input", inputs, layer.inputs[0].bits), ("weight", weights, layer.weights.bits), ("partial_sum", sums, bits),
    )  # fmt: skip
    here = [operand for operand in operands if operand[1] and buffers.memory(operand[0]) == name]
    needed = [f"{words} {operand.replace('_', ' ')}s of {width} bits" for operand, words, width in here]
    return HardwareError(
        f"layer {layer.name}: accelerator {accelerator.name!r}: buffers.{name} of {memory.capacity_kib:g} KiB gives tiles "
        f"{tile_words(buffers, name)} words of {memory.word_bits} bits; the smallest, one fold, holds {' and '.join(needed)}"
    )
