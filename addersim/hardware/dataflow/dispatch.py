"""The array runs layers: one place where the dataflow decides which model does it."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.errors import HardwareError, PriceError
from addersim.hardware.accelerator import Accelerator, Objective, Stored
from addersim.hardware.dataflow.array_run import ArrayRun, Placement
from addersim.hardware.dataflow.capacity import Room, tile_words
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.objective import score_of
from addersim.hardware.dataflow.row_array import run_rows
from addersim.hardware.dataflow.systolic import mapping_efficiency
from addersim.hardware.dataflow.systolic_mapper import DIMENSIONS, Found, Problem, best_cuts, smallest_tile
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Loop, Tiling, Widths, array_accesses, unused_weights
from addersim.trace import LayerTrace, MatrixWork

__all__ = ["array_problems", "run_on_array"]


def run_on_array(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    energies: MovementEnergy,
    objective: Objective | None = None,
) -> list[ArrayRun]:
    """Cycles, accesses and tiles of window layers.

    Parameters
    ----------
    layers
        Layers with a matrix product, and what of each is already, or stays, on chip.
    accelerator, batch
        Where, and how many images at once.
    energies
        Unit energies of what moves, for a choice of tiles by energy.
    objective
        What the choice of tiles makes least; None for energy, or what a row stationary array says.

    Raises
    ------
    HardwareError
        The array lacks a layer's datapath, a memory is too small, or the trace contradicts itself.
    """
    for layer, _ in layers:
        check_layer(layer, accelerator)
    if not layers:
        return []
    if accelerator.array.row_stationary is not None:
        return [run_rows(layer, accelerator, batch, placement, objective) for layer, placement in layers]
    problems = array_problems(layers, accelerator, batch)
    try:
        score = score_of(layers, accelerator, batch, energies, objective or "energy")
    except PriceError:
        _check_room(layers, accelerator, problems)  # a memory too small is that under any table, so it is told first
        raise
    cuts = best_cuts(problems, score)
    found = []
    for (layer, placement), problem, cut in zip(layers, problems, cuts, strict=True):
        if cut is None:
            _check_room(layers, accelerator, problems)
        assert cut is not None, "the smallest tile fits"
        found.append(_run(layer, placement, problem, cut))
    return found


def _run(layer: LayerTrace, placement: Placement, problem: Problem, cut: Found) -> ArrayRun:
    folds, units, sizes, loops = problem.folds, problem.units, problem.sizes, []
    for place in cut.order:
        parts = -(-folds[place] // cut.trips[place])  # as even as can be
        loops.append(Loop(DIMENSIONS[place], cut.trips[place], min(parts * units[place], sizes[place])))
    accesses = array_accesses(Widths.of(layer), cut.words.beside(unused_weights(layer)), placement.input_kept)
    array = problem.array
    filled = mapping_efficiency(problem.work, array.rows, array.columns, array.systolic)
    return ArrayRun(cut.cycles, filled, tuple(access for access in accesses if access.words), Tiling(tuple(loops)))


def array_problems(layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, batch: int) -> list[Problem]:
    """What the mapper has to place."""
    rooms: dict[tuple[Widths, bool], Room] = {}
    found = []
    for layer, placement in layers:
        work = layer.work
        assert work is not None
        key = widths, kept = Widths.of(layer), placement.input_kept
        if key not in rooms:
            rooms[key] = Room.of(accelerator.buffers, widths, kept)
        products = MatrixWork(work.pixels * batch, work.window, work.filters, work.groups)
        found.append(Problem(products, accelerator.array, Footprint.of(work, layer.inputs[0], batch), rooms[key]))
    return found


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


def _check_room(layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, problems: Sequence[Problem]) -> None:
    """Refuse the first layer whose smallest tile finds no room, with the memory that lacks it."""
    for (layer, _), problem in zip(layers, problems, strict=True):
        held = smallest_tile(problem)
        if name := problem.room.too_small(*held):
            raise _too_small(layer, accelerator, name, *held)


def _too_small(layer: LayerTrace, accelerator: Accelerator, name: str, inputs: int, weights: int, sums: int) -> HardwareError:
    """A memory that has no room for the smallest tile, in one line."""
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
