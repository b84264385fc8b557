"""Whole window layers as compiled Verilog: the array, its sequencer and a requantisation unit below each column."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.rtl.compiled import compile_library
from addersim.rtl.layer_harness import layer_loop, layer_wrapper
from addersim.rtl.shapes import ArrayDesign, LayerShape
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import RtlError

__all__ = ["CompiledArray", "LayerConstants", "LayerRun", "compile_array"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.int64]


class LayerConstants(NamedTuple):
    """Constants of requantisation: one a filter, and the ends of the codes."""

    bias: Words
    multiplier: Words
    addend: Words
    shift: Words
    zero_point: int
    low: int
    high: int


_ZERO = np.zeros(1, np.int64)
NO_CONSTANTS = LayerConstants(_ZERO, _ZERO, _ZERO, _ZERO, zero_point=0, low=0, high=0)
"""Where only sums are wanted."""


class LayerRun(NamedTuple):
    """What the Verilog gave: sums, and codes as stored, ``(pixels, filters)``; and the cycles during which the array ran."""

    sums: Words
    codes: Words
    cycles: int


class CompiledArray:
    """An array as machine code, which runs one layer after another."""

    def __init__(self, design: ArrayDesign, library: ctypes.CDLL) -> None:
        self.design = design
        self._run = library.run_layer
        self._run.restype = ctypes.c_int64
        address, number = ctypes.c_void_p, ctypes.c_int64
        self._run.argtypes = [address, address, address, number, address, number, address, address, address]

    def run(self, shape: LayerShape, inputs: Array, weights: Array, constants: LayerConstants | None = None) -> LayerRun:
        """Run a layer on codes as they are stored, in the order in which the sequencer reads them."""
        design, filters = self.design, shape.groups * shape.group_filters
        x, w = (np.ascontiguousarray(one, np.int64).reshape(-1) for one in (inputs, weights))
        given = constants or NO_CONSTANTS
        of_filters = np.stack([np.broadcast_to(one, filters).astype(np.int64) for one in given[:4]])
        ends = np.array(given[4:], np.int64)
        sums, codes = np.full((2, shape.pixels, filters), _UNWRITTEN)
        down, across = shape.folds(design)
        waits = (shape.groups * down * across + 2) * (2 * design.rows + design.columns + 8)
        numbers = np.append(shape.words(), [shape.cycles(design) + waits, filters])
        cycles = self._run(
            numbers.ctypes.data,
            ends.ctypes.data,
            x.ctypes.data,
            x.size,
            w.ctypes.data,
            w.size,
            of_filters.ctypes.data,
            sums.ctypes.data,
            codes.ctypes.data,
        )
        if cycles < 0:
            raise RtlError(f"module quantised_layer: {_FAULTS[cycles]}")
        return LayerRun(sums, codes, cycles)


def compile_array(design: ArrayDesign, verilog: Mapping[str, str] | None = None) -> CompiledArray:
    """The machine code of an array; `verilog` are other sources than the package's."""
    sources = sources_text() if verilog is None else verilog
    apart = ("element_output_stationary", "element_weight_stationary", "requantize")
    return CompiledArray(design, compile_library(sources, ("layer",), (layer_wrapper(design),), layer_loop(design), apart))


_UNWRITTEN = -(1 << 40) - 1
"""In memories of sums before they are written: whoever reads it is seen."""
_FAULTS = {
    -1: "an address beyond the inputs or weights was read",
    -2: "it did not finish in the cycles that its folds, and the most that they wait, take",
    -3: "a sum left it for a place that the layer does not have",
}
