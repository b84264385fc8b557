"""What zeros among activations save: taps for which an element rests, and runs that are short in DRAM.

Both as on Eyeriss (Chen et al., JSSC 52(1), 2017), driven by what a simulation saw of each value (`LayerTrace.zeros`):

- **Zero gating** (section V-C): where the input of a tap is zero, the multiplier and adder do not switch and the weight is not
  read from its scratchpad; the input is, and the sum. It takes the same time. Taps on padding are taps on zeros. The share is
  that of the whole value (`LayerTrace.zero_taps`): zeros are taken to lie under as many taps as others do.
- What a tap of zero adds must be nothing: so it is in layers that multiply by weights, exactly. An adder layer takes
  ``|0 - w|``, a Euclidean one ``(0 - w)^2``, a binary one a sign, and a multiplier that is a table what it has there; their
  elements never rest, and notes of the cost name those layers.
- **Run-length coding** (section IV-B): activations to and from DRAM are pairs of a run of zeros and the word behind it, as
  counted (`Zeros.pairs`), channels first. The decoder stands between DRAM and the memories, which hold words as ever. A value
  whose code would be longer is stored as it is, such as an image; so are weights and partial sums. Words that several tiles
  fetch are taken to be as short as all are on average.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from addersim.arithmetic.arithmetics import BY_TABLE
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, RunLengthCoding
from addersim.hardware.schedule import schedule
from addersim.trace import LayerTrace, Operand, Trace
from addersim.zeros import Zeros

__all__ = ["Notes", "coded_bits", "using_zeros"]

Notes = tuple[tuple[str, tuple[str, ...]], ...]
"""What must be known of a cost, and of which layers."""

_GRAIN = 2.0**-20
"""Bits of a coded word are whole multiples of it, so that the sizes of all words are exact."""


def using_zeros(trace: Trace, machine: Accelerator) -> tuple[Trace, Notes]:
    """The trace as hardware has it that makes use of zeros, and what is to be said of that.

    Raises
    ------
    HardwareError
        Nothing was run that would show the zeros, and the accelerator states no share.
    """
    coding = machine.dram.run_length_coding
    if not machine.array.zero_gating and coding is None:
        return trace, ()
    known = _with_zeros(trace, machine)
    gated = known.layers
    if machine.array.zero_gating:
        gated = tuple(_gating(layer) if _rests(layer) else layer for layer in gated)
    if coding is not None:
        gated = tuple(_coding(layer, coding) for layer in gated)
    return replace(trace, layers=gated), tuple(_notes(trace, known, machine))


def coded_bits(operand: Operand, zeros: Zeros | None, coding: RunLengthCoding) -> float | None:
    """Bits of a word of an operand in its code, on average; None where it is stored as it is.

    Examples
    --------
    >>> dense, half = (Zeros(words=3000, zeros=number, runs=0) for number in (0, 1500))
    >>> coded_bits(Operand(3000, 16), dense, RunLengthCoding())
    >>> round(coded_bits(Operand(3000, 16), half, RunLengthCoding()), 3)  # three pairs in 64 bits
    10.667
    """
    if zeros is None or not zeros.words:
        return None
    pair = coding.run_bits + operand.bits
    whole = coding.word_bits // pair
    pair_bits = coding.word_bits / whole if whole else coding.word_bits * math.ceil(pair / coding.word_bits)
    bits = math.floor(zeros.pairs_per_word(coding.run_bits) * pair_bits / _GRAIN) * _GRAIN
    return bits if bits < operand.bits else None


def _rests(layer: LayerTrace) -> bool:
    """Whether a term of this layer is nothing where its input is zero."""
    arithmetic = DATAPATHS[layer.datapath].arithmetic if layer.datapath else None
    return layer.work is not None and arithmetic is not None and arithmetic.linear and arithmetic is not BY_TABLE


def _gating(layer: LayerTrace) -> LayerTrace:
    work, share = layer.work, layer.zero_taps
    assert work is not None
    assert share is not None
    assert layer.datapath is not None
    assert layer.operand_bits is not None
    assert layer.accumulator_bits is not None
    gated = math.floor(share * work.taps)
    bill = DATAPATHS[layer.datapath].bill(work.taps - gated, layer.operand_bits, layer.accumulator_bits, work.k)
    return replace(layer, operations=bill, gated_taps=gated)


def _coding(layer: LayerTrace, coding: RunLengthCoding) -> LayerTrace:
    inputs = tuple(
        operand._replace(coded_bits=coded_bits(operand, zeros, coding))
        for operand, zeros in zip(layer.inputs, layer.zeros, strict=True)
    )
    return replace(
        layer, inputs=inputs, output=layer.output._replace(coded_bits=coded_bits(layer.output, layer.output_zeros, coding))
    )


def _with_zeros(trace: Trace, machine: Accelerator) -> Trace:
    """The trace with the zeros of every value: those that were seen, else as many as the accelerator states."""
    unknown = _unknown(trace, machine)
    if not unknown:
        return trace
    if machine.zero_share is None:
        wanted = "zero_gating" if machine.array.zero_gating else "run_length_coding"
        raise HardwareError(
            f"layer {unknown[0]}: accelerator {machine.name!r} has {wanted}, but nobody saw the zeros of the layer's input; "
            "estimate the trace of a simulation, as addersim report does, or state zero_share and zero_share_source in the "
            "accelerator file"
        )
    share, order = machine.zero_share, schedule(trace)

    def stated(operand: Operand, source: int) -> Zeros:
        return Zeros(operand.words, round(share * operand.words) if source >= 0 else 0, 0)

    layers = tuple(
        layer
        if layer.name not in unknown
        else replace(
            layer,
            zeros=tuple(map(stated, layer.inputs, order.sources[index])),
            output_zeros=stated(layer.output, index) if index in order.last_stage else None,
        )
        for index, layer in enumerate(trace.layers)
    )
    return replace(trace, layers=layers)


def _unknown(trace: Trace, machine: Accelerator) -> list[str]:
    """Layers whose zeros are needed and were not seen."""
    coding = machine.dram.run_length_coding is not None
    return [layer.name for layer in trace.layers if layer.inputs and not layer.zeros and (coding or _rests(layer))]


def _notes(trace: Trace, known: Trace, machine: Accelerator) -> Iterator[tuple[str, tuple[str, ...]]]:
    busy = tuple(layer.name for layer in trace.layers if layer.work is not None and not _rests(layer))
    if machine.array.zero_gating and busy:
        yield "zero gating saves nothing where the term of a zero is not zero", busy
    if known is not trace:
        share = f"share of zeros stated as {machine.zero_share:g}, not seen ({machine.zero_share_source})"
        yield share, tuple(_unknown(trace, machine))
