"""The array runs a layer: one place where the dataflow decides which model does it."""

from __future__ import annotations

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.mapping import ArrayRun, Loop, Placement, Tiling
from addersim.hardware.memory import array_accesses, fold_layer
from addersim.hardware.movement import MovementPrices
from addersim.hardware.row_array import run_rows
from addersim.hardware.systolic import mapping_efficiency
from addersim.trace import LayerTrace

__all__ = ["run_on_array"]


def run_on_array(
    layer: LayerTrace, accelerator: Accelerator, batch: int, placement: Placement, prices: MovementPrices
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

    Raises
    ------
    HardwareError
        The array lacks the layer's datapath, a memory is too small, or the trace contradicts itself.
    """
    check_layer(layer, accelerator)
    if accelerator.array.row_stationary is not None:
        return run_rows(layer, accelerator, batch, placement)
    folds = fold_layer(layer, accelerator, batch)
    work, array = folds.work, accelerator.array
    accesses = array_accesses(layer, folds, accelerator.buffers, batch, placement.input_kept)
    sizes = (("filters", work.filters), ("pixels", work.pixels), ("window", work.window))
    tiling = Tiling(tuple(Loop(name, 1, size) for name, size in sizes))
    return ArrayRun(folds.cycles, mapping_efficiency(work, array.rows, array.columns, array.systolic), accesses, tiling)


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
