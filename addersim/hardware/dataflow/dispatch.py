"""The array runs layers: one place where the dataflow decides which model does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from msgspec import structs

from addersim.errors import HardwareError, PriceError
from addersim.hardware.accelerator import Accelerator, Objective, Stored, SystolicArray
from addersim.hardware.dataflow.array_run import ArrayRun, Beside, Placement
from addersim.hardware.dataflow.broadcast import taps_in_turn
from addersim.hardware.dataflow.capacity import BufferCapacity, tile_words
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.known_tilings import AskedTilings
from addersim.hardware.dataflow.layer_on_array import LayerOnArray
from addersim.hardware.dataflow.objective import StageCosts
from addersim.hardware.dataflow.row_array import check_rows, run_rows
from addersim.hardware.dataflow.systolic_mapper import ChosenTiling, choose_tilings
from addersim.hardware.dataflow.tile_candidates import smallest_tile
from addersim.hardware.dataflow.tiling_costs import LOOPS
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Loop, Tiling, Widths, array_traffic, through_l2, unused_weights
from addersim.trace import LayerTrace

__all__ = ["check_on_array", "layers_on_array", "run_in_strips", "run_on_array"]


def run_on_array(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    energies: MovementEnergy,
    objective: Objective | None = None,
    besides: Sequence[Beside] | None = None,
    known: AskedTilings | None = None,
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
    besides
        What else is in the stage of each; None where nothing is.
    known
        Tilings that were found before, under the same energies and objective, and what is asked of each layer.

    Raises
    ------
    HardwareError
        The array lacks a layer's datapath, a memory is too small, or the trace contradicts itself.
    """
    for layer, _ in layers:
        check_layer(layer, accelerator)
    beside = [Beside()] * len(layers) if besides is None else besides
    found = run_in_strips(layers, accelerator, batch, energies, objective, beside, known)
    runs = [run for run in found if run is not None]
    if len(runs) < len(layers):
        check_on_array(layers, accelerator, batch)
    assert len(runs) == len(layers), "the smallest tile fits"
    return runs


def run_in_strips(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    energies: MovementEnergy,
    objective: Objective | None,
    beside: Sequence[Beside],
    known: AskedTilings | None = None,
) -> list[ArrayRun | None]:
    """Runs of layers, as `run_on_array` gives them; None where no tile fits, as of the strips in which layers may run."""
    whole, found = accelerator.array.elements, dict[int, ArrayRun | None]()
    for part, places in _parts_of_array(layers, accelerator):
        chosen = [layers[at] for at in places], part, batch, energies, objective, [beside[at] for at in places]
        share = part.array.elements / whole
        for at, run in zip(places, _run_together(*chosen, known and known.at(places)), strict=True):
            found[at] = run if run is None or share == 1 else replace(run, mapping_efficiency=run.mapping_efficiency * share)
    return [found[at] for at in range(len(layers))]


def _parts_of_array(
    layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator
) -> Iterator[tuple[Accelerator, list[int]]]:
    """The accelerator with each part of its array that runs some of the layers, and the places of these."""
    places: dict[SystolicArray, list[int]] = {}
    for at, (layer, _) in enumerate(layers):
        places.setdefault(accelerator.array.part_for(layer.datapath), []).append(at)
    for array, same in places.items():
        yield accelerator if array is accelerator.array else structs.replace(accelerator, array=array), same


def _run_together(
    layers: Sequence[tuple[LayerTrace, Placement]],
    accelerator: Accelerator,
    batch: int,
    energies: MovementEnergy,
    objective: Objective | None,
    beside: Sequence[Beside],
    known: AskedTilings | None,
) -> Sequence[ArrayRun | None]:
    """Runs of layers that have the whole array; None where no tile fits."""
    if accelerator.array.row_stationary is not None:
        pairs = zip(layers, beside, strict=True)
        return [run_rows(layer, accelerator, batch, placement, energies, objective, one) for (layer, placement), one in pairs]
    on_array = layers_on_array(layers, accelerator, batch)
    chosen = objective or accelerator.array.usual_objective

    def search(places: Sequence[int]) -> list[tuple[ChosenTiling, ArrayRun] | None]:
        some, own = [layers[at] for at in places], [on_array[at] for at in places]
        try:
            costs = StageCosts(some, [beside[at] for at in places], accelerator, batch, energies, chosen)
        except PriceError:
            _check_capacity(some, accelerator, own)  # a memory is too small under any table, so that is said first
            raise
        return [
            None if tiling is None else (tiling, _run(*one, on_own, tiling))
            for one, on_own, tiling in zip(some, own, choose_tilings(own, costs), strict=True)
        ]

    if known is not None:
        return known.completed(on_array, search)
    return [None if found is None else found[1] for found in search(range(len(layers)))]


def check_on_array(layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, batch: int) -> None:
    """Refuse layers that do not run on the array whatever energies are."""
    for layer, _ in layers:
        check_layer(layer, accelerator)
    for part, places in _parts_of_array(layers, accelerator):
        chosen = [layers[at] for at in places]
        if accelerator.array.row_stationary is not None:
            for layer, placement in chosen:
                check_rows(layer, part, batch, placement)
        else:
            _check_capacity(chosen, part, layers_on_array(chosen, part, batch))


def _run(layer: LayerTrace, placement: Placement, on_array: LayerOnArray, tiling: ChosenTiling) -> ArrayRun:
    sizes = zip(LOOPS, on_array.sizes, tiling.tile, strict=True)
    loops = [Loop(name, -(-int(size) // tile), tile) for name, size, tile in sizes]
    words = tiling.words.with_constants(unused_weights(layer))
    direct = array_traffic(Widths.of(layer), words, placement.input_kept, placement.weights_kept, layer.inputs[0].coded_bits)
    accesses = through_l2(direct, placement.backing)
    filled, elements = on_array.filled, on_array.array.elements
    moved = tuple(access for access in accesses if access.words)
    ordered = Tiling(tuple(loops[place] for place in tiling.order))
    return ArrayRun(tiling.cycles, tiling.stage_cycles, filled, moved, ordered, elements)


def layers_on_array(
    layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, batch: int
) -> list[LayerOnArray]:
    """Window layers of a batch, with the footprints and capacities that the mapper needs."""
    capacities: dict[tuple[Widths, bool, bool], BufferCapacity] = {}
    on_array = []
    for layer, placement in layers:
        work = layer.work
        assert work is not None
        key = Widths.of(layer), placement.input_kept, placement.weights_kept
        if key not in capacities:
            capacities[key] = BufferCapacity.of(accelerator.buffers, *key)
        footprint = Footprint.of(work, layer.inputs[0], batch)
        doubled, in_turn = accelerator.buffers.double_buffered, taps_in_turn(work, accelerator.array.broadcast)
        on_array.append(
            LayerOnArray(work.batched(batch), accelerator.array, footprint, capacities[key], doubled, in_turn, placement.strip)
        )
    return on_array


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
    needed = layer.work.weights
    if layer.weights.words < needed:
        raise HardwareError(f"layer {layer.name}: {layer.weights.words} stored weights, but its matrix product takes {needed}")


def _check_capacity(
    layers: Sequence[tuple[LayerTrace, Placement]], accelerator: Accelerator, on_array: Sequence[LayerOnArray]
) -> None:
    """Refuse the first layer whose smallest tile does not fit, with the memory that is too small."""
    for (layer, placement), own in zip(layers, on_array, strict=True):
        inputs, weights, sums = smallest_tile(own)
        if name := own.capacity.too_small(inputs, weights, sums):
            raise _too_small(layer, accelerator, name, inputs, 0 if placement.weights_kept else weights, sums)


def _too_small(layer: LayerTrace, accelerator: Accelerator, name: str, inputs: int, weights: int, sums: int) -> HardwareError:
    """A memory that does not hold the smallest tile, in one line."""
    buffers = accelerator.buffers
    memory = buffers.memories()[name]
    widths = Widths.of(layer)
    operands: tuple[tuple[Stored, int, int], ...] = (
        ("input", inputs, widths.input), ("weight", weights, widths.weight), ("partial_sum", sums, widths.partial_sum),
    )  # fmt: skip
    here = [operand for operand in operands if operand[1] and buffers.memory(operand[0]) == name]
    needed = [f"{words} {operand.replace('_', ' ')}s of {width} bits" for operand, words, width in here]
    return HardwareError(
        f"layer {layer.name}: accelerator {accelerator.name!r}: buffers.{name} of {memory.capacity_kib:g} KiB gives tiles "
        f"{tile_words(buffers, name)} words of {memory.word_bits} bits; the smallest, at most one fold, "
        f"holds {' and '.join(needed)}"
    )
