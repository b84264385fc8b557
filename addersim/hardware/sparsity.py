"""Zero weights that an array skips: the facts of a trace as hardware has them that stores and computes N of each M weights."""

from __future__ import annotations

from dataclasses import replace

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.hardware.accelerator import SystolicArray, read_pattern
from addersim.trace import LayerTrace, Operand, Trace

__all__ = ["skipping_zeros"]


def skipping_zeros(trace: Trace, array: SystolicArray) -> Trace:
    """The trace with fewer taps and weights in those layers whose weights have the array's pattern.

    The paper's convention bills all taps: it knows no hardware.
    """
    if array.sparsity is None or trace.convention == "paper":
        return trace
    most, group = read_pattern(array.sparsity)
    fitting = (dict(layer.nonzero).get(group, group) <= most for layer in trace.layers)
    pairs = zip(trace.layers, fitting, strict=True)
    return replace(trace, layers=tuple(_skipping(layer, most, group) if fits else layer for layer, fits in pairs))


def _skipping(layer: LayerTrace, most: int, group: int) -> LayerTrace:
    work = layer.work
    assert work is not None, "only window layers know of zeros"
    assert layer.datapath is not None
    assert layer.operand_bits is not None
    assert layer.accumulator_bits is not None
    whole, rest = divmod(work.window, group)
    fewer = replace(work, kept=whole * most + min(rest, most))
    place_bits = (group - 1).bit_length()
    bill = DATAPATHS[layer.datapath].bill(fewer.taps, layer.operand_bits, layer.accumulator_bits, fewer.k)
    weights = Operand(layer.weights.words - work.weights + fewer.weights, layer.weights.bits + place_bits)
    return replace(layer, work=fewer, operations=bill, weights=weights)
