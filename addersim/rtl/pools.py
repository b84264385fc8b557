"""Pooling layers as compiled Verilog: some channels at a time, a tap of a window a cycle."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from addersim.rtl.compiled import compile_library
from addersim.rtl.layer_harness import ACCESS, SHAPE_WORDS, narrow_lanes
from addersim.rtl.shapes import LayerShape
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import RtlError

__all__ = ["PoolDesign", "run_pool"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.int64]
LANES = 8
"""Channels at a time. No result depends on it."""


@dataclass(frozen=True, slots=True)
class PoolDesign:
    """What is pooled, and the widths of codes and of results."""

    kind: Literal["maximum", "sum"]
    bits: int
    signed: bool
    result_bits: int

    def wrapper(self) -> str:
        """The module ``pool``, with codes in lanes of 32 bits and results in lanes of 64."""
        bits, results = self.bits, self.result_bits
        widened = "".join(
            f"  extend #(.FROM({results}), .TO(64), .SIGNED({int(self.signed)})) result_{i} "
            f"(.narrow(results[{i * results}+:{results}]), .wide(results_lanes[{i * 64}+:64]));\n"
            for i in range(LANES)
        )
        plain = ("clk", "start", "shape", "input_read", "input_address", "input_codes", "result_valid", "result_pixel")
        held = ", ".join(f".{name}({name})" for name in (*plain, "result_channel", "results", "busy", "done"))
        parameters = f'.KIND("{self.kind}"), .LANES({LANES}), .BITS({bits}), .SIGNED({int(self.signed)})'
        return f"""module pool(input clk, input start, input [{SHAPE_WORDS * 32 - 1}:0] shape, output input_read,
  output [31:0] input_address, input [{LANES * 32 - 1}:0] input_codes_lanes, output result_valid, output [31:0] result_pixel,
  output [31:0] result_channel, output [{LANES * 64 - 1}:0] results_lanes, output busy, output done);
  wire [{LANES * bits - 1}:0] input_codes;
  wire [{LANES * results - 1}:0] results;
{narrow_lanes("input_codes", LANES, bits)}{widened}\
  pool_layer #({parameters}, .RESULT_BITS({results})) pool ({held});
endmodule
"""


def run_pool(design: PoolDesign, shape: LayerShape, inputs: Array, verilog: Mapping[str, str] | None = None) -> Words:
    """Results ``(pixels, channels)`` of codes as they are stored, in the order in which the sequencer reads them."""
    sources = sources_text() if verilog is None else verilog
    harness = f"#define LANES {LANES}\n#define SHAPE_WORDS {SHAPE_WORDS}\n{ACCESS}{_LOOP}"
    run = compile_library(sources, ("pool",), (design.wrapper(),), harness).run_pool
    address, number = ctypes.c_void_p, ctypes.c_int64
    run.restype, run.argtypes = ctypes.c_int64, [address, number, address, number, address]
    x = np.ascontiguousarray(inputs, np.int64).reshape(-1)
    words, results = shape.words(), np.zeros((shape.pixels, shape.channels), np.int64)
    cycles = -(-shape.channels // LANES) * shape.pixels * shape.taps
    found = run(words.ctypes.data, cycles, x.ctypes.data, x.size, results.ctypes.data)
    if found:
        raise RtlError(f"module pool_layer: {_FAULTS[found]}")
    return results


_FAULTS = {
    -1: "an address beyond the input was read",
    -2: "it did not finish in a cycle for each tap",
    -3: "a result left it for a place that the layer does not have",
}
_LOOP = """
extern "C" int64_t run_pool(const int64_t *shape, int64_t cycles, const int64_t *x, int64_t x_words, int64_t *results) {
  cxxrtl_design::p_pool m;
  const int64_t pixels = shape[0], channels = shape[3];
  for (int i = 0; i < SHAPE_WORDS; i++) put(m.p_shape, i, (uint32_t)shape[i]);
  put(m.p_start, 0, 1);
  m.step();
  put(m.p_clk, 0, 1);
  m.step();
  put(m.p_start, 0, 0);
  for (int64_t clock = 0; clock < cycles + 2; clock++) {
    put(m.p_clk, 0, 0);
    m.step();
    if (bit(m.p_result__valid, 0)) {
      int64_t pixel = chunk(m.p_result__pixel, 0), first = chunk(m.p_result__channel, 0);
      if (pixel >= pixels || first >= channels) return -3;
      for (int i = 0; i < LANES && first + i < channels; i++)
        results[pixel * channels + first + i] =
            chunk(m.p_results__lanes, 2 * i) | (int64_t)chunk(m.p_results__lanes, 2 * i + 1) << 32;
    }
    if (bit(m.p_done, 0)) return 0;
    if (bit(m.p_input__read, 0)) {
      int64_t at = chunk(m.p_input__address, 0);
      if (at >= x_words) return -1;
      for (int i = 0; i < LANES; i++) put(m.p_input__codes__lanes, i, at + i < x_words ? (uint32_t)x[at + i] : 0);
    }
    put(m.p_clk, 0, 1);
    m.step();
  }
  return -2;
}
"""
