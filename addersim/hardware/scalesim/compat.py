"""SCALE-Sim's own numbers: its closed form with its conventions, uncorrected, to stand beside its printed reports.

It prints the index of the last cycle, one less than the number of cycles. It knows window layers alone, words of one byte, no
padding (a padded tap is a tap here, too) and no groups: each is a layer of its own, as it makes of a depthwise one, and the
cycles of all are the sum of those that it prints. Output stationary layers write
M N + folds (R + C) words (its issue 166, though only M N exist); the others write a sum in each fold along K and never read it
back. What DRAM does depends on its simulated prefetching and has no closed form; energy it has none. Both are left out.
"""

from __future__ import annotations

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.dataflow.systolic import fold, mapping_efficiency
from addersim.hardware.layer_cost import LayerCost, utilisation
from addersim.hardware.traffic import Access
from addersim.trace import LayerTrace

__all__ = ["UNKNOWN", "check_modelled", "not_modelled", "scalesim_layer"]

WORD_BITS = 8
UNKNOWN = "SCALE-Sim has no such thing, and these numbers leave it out"
"""The note of what an accelerator has and SCALE-Sim does not."""


def check_modelled(accelerator: Accelerator) -> None:
    """Refuse an array that runs other products, or on other elements, than SCALE-Sim's."""
    array = accelerator.array
    if array.sparsity is not None:
        found = f"accelerator {accelerator.name!r} skips zeros {array.sparsity}"
    elif array.multiplier_share is not None:
        found = f"of accelerator {accelerator.name!r} a part of the array multiplies"
    else:
        return
    raise HardwareError(f"compat scalesim: {found}, which it does not model")


def not_modelled(accelerator: Accelerator, objective: Objective | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What was asked for and changes nothing in SCALE-Sim's numbers, as a note."""
    array, buffers = accelerator.array, accelerator.buffers
    asked = {
        "array.overlapped_folds": array.overlapped_folds,
        "array.zero_gating": array.zero_gating,
        "buffers.fuse_layers": buffers.fuse_layers,
        "buffers.keep_weights": bool(buffers.keep_weights),
        "buffers.l2": buffers.l2 is not None,
        "dram.run_length_coding": accelerator.dram.run_length_coding is not None,
        "the objective": objective is not None,
    }
    found = tuple(name for name, there in asked.items() if there)
    return ((UNKNOWN, found),) if found else ()


def scalesim_layer(layer: LayerTrace, accelerator: Accelerator, batch: int) -> LayerCost:
    """A layer as SCALE-Sim 3.0.0 prints it: cycles, utilisation, mapping efficiency, and words read from and written to SRAM.

    Raises
    ------
    HardwareError
        An array whose dataflow it does not have.
    """
    if layer.work is None:
        return LayerCost(layer.name, layer.kind, layer.datapath, 0, "none", 0, 0, 0, 0, 0.0, 0.0, None, (), ())
    array = accelerator.array
    work = layer.work.batched(batch)
    folds = fold(work, array.rows, array.columns, array.systolic)
    printed = int(folds.cycles) - work.groups
    preloaded = systolic_dataflow(array.systolic).preloaded
    beyond = folds.partial_sums if preloaded else folds.folds * (array.rows + array.columns)
    return LayerCost(
        name=layer.name,
        kind=layer.kind,
        datapath=layer.datapath,
        cycles=printed,
        bound="array",
        compute_cycles=printed,
        buffer_cycles=0,
        dram_cycles=0,
        taps=work.taps,
        utilisation=utilisation(work.taps, printed, array.elements),
        mapping_efficiency=mapping_efficiency(work, array.rows, array.columns, array.systolic),
        tiling=None,
        parts=(),
        accesses=(
            Access("buffer", "input", int(folds.input_reads), 0, WORD_BITS),
            Access("buffer", "weight", int(folds.weight_reads), 0, WORD_BITS),
            Access("buffer", "output", 0, int(folds.outputs + beyond), WORD_BITS),
        ),
    )
