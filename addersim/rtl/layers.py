"""Whole window layers as compiled Verilog: the array, its sequencer and a requantisation unit below each column."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Geometry
from addersim.rtl.compiled import compile_library
from addersim.rtl.elements import signed
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import RtlError

__all__ = ["ArrayDesign", "CompiledArray", "LayerConstants", "LayerRun", "LayerShape", "compile_array"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.int64]
Shape4 = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ArrayDesign:
    """Parameters of ``quantised_layer``: an array, its operands and registers, and the rule by which sums become codes."""

    datapath: str
    rows: int
    columns: int
    input_bits: int
    weight_bits: int
    input_signed: bool
    weight_signed: bool
    accumulator_bits: int
    saturate: bool = False
    zero_points: bool = False
    rule: str = "half-even"
    output_bits: int = 8
    output_signed: bool = True
    wrap: bool = False
    dataflow: Literal["output", "weight"] = "output"

    def parameters(self) -> str:
        """As an instance takes them."""
        values = ((one.name.upper(), getattr(self, one.name)) for one in fields(self))
        return ", ".join(f".{name}({_literal(value)})" for name, value in values)


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What the sequencer is told of a layer, by the names of its ports."""

    pixels: int
    height: int
    width: int
    channels: int
    groups: int
    group_channels: int
    group_filters: int
    taps: int
    kernel_width: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int
    out_height: int
    out_width: int
    zero_point: int = 0

    @classmethod
    def of(cls, x: Shape4, weights: Shape4, geometry: Geometry, zero_point: int = 0) -> LayerShape:
        """Of inputs ``(images, height, width, channels)`` and weights ``(filters, height, width, channels / groups)``."""
        images, out_height, out_width, filters = geometry.output_shape(x, weights)
        _, height, width, channels = x
        _, kernel_height, kernel_width, group_channels = weights
        return cls(
            pixels=images * out_height * out_width,
            height=height,
            width=width,
            channels=channels,
            groups=geometry.groups,
            group_channels=group_channels,
            group_filters=filters // geometry.groups,
            taps=kernel_height * kernel_width * group_channels,
            kernel_width=kernel_width,
            stride_y=geometry.stride[0],
            stride_x=geometry.stride[1],
            padding_y=geometry.padding[0],
            padding_x=geometry.padding[1],
            dilation_y=geometry.dilation[0],
            dilation_x=geometry.dilation[1],
            out_height=out_height,
            out_width=out_width,
            zero_point=zero_point,
        )

    def folds(self, design: ArrayDesign) -> tuple[int, int]:
        """Along the rows and the columns of an array, in a group."""
        on_rows = self.taps if design.dataflow == "weight" else self.pixels
        return -(-on_rows // design.rows), -(-self.group_filters // design.columns)

    def cycles(self, design: ArrayDesign) -> int:
        """Of an array, in folds one after another, each as long as the rows and columns that it uses ask.

        With sums in the elements a fold holds rows x columns of pixels and filters and lasts rows + columns + taps - 2 cycles;
        with weights there, of taps and filters, 2 rows + columns + pixels - 2.
        """
        down, across = self.folds(design)
        on_rows, in_time = (2 * self.taps, self.pixels) if design.dataflow == "weight" else (self.pixels, self.taps)
        return self.groups * (on_rows * across + self.group_filters * down + down * across * (in_time - 2))


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
    """What the Verilog gave: sums and codes ``(pixels, filters)``, and the cycles during which the array ran."""

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
        numbers = np.array([getattr(shape, one.name) for one in fields(shape)], np.int64)
        x, w = (np.ascontiguousarray(one, np.int64).reshape(-1) for one in (inputs, weights))
        given = constants or NO_CONSTANTS
        of_filters = np.stack([np.broadcast_to(one, filters).astype(np.int64) for one in given[:4]])
        ends = np.array(given[4:], np.int64)
        sums, codes = np.zeros((2, shape.pixels, filters), np.int64)
        down, across = shape.folds(design)
        waits = (shape.groups * down * across + 2) * (2 * design.rows + design.columns + 8)
        numbers = np.append(numbers, [shape.cycles(design) + waits, filters])
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
        if design.output_signed:
            codes = signed(codes.view(np.uint64), design.output_bits)
        return LayerRun(sums, codes, cycles)


def compile_array(design: ArrayDesign, verilog: Mapping[str, str] | None = None) -> CompiledArray:
    """The machine code of an array; `verilog` are other sources than the package's."""
    harness = f"#define ROWS {design.rows}\n#define COLUMNS {design.columns}\n{_harness()}"
    sources = sources_text() if verilog is None else verilog
    apart = ("element_output_stationary", "element_weight_stationary", "requantize")
    return CompiledArray(design, compile_library(sources, ("layer",), (_wrapper(design),), harness, apart))


_FAULTS = {
    -1: "an address beyond the inputs or weights was read",
    -2: "it did not finish in the cycles that its folds, and the most that they wait, take",
    -3: "a sum left it for a place that the layer does not have",
}
_SHAPE = tuple(one.name for one in fields(LayerShape) if one.name != "zero_point")
_ENDS = ("output_zero_point", "low", "high")


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(int(value))


def _wrapper(design: ArrayDesign) -> str:
    """The layer with each word in a lane of 32 bits, and sums in 64."""
    rows, columns = design.rows, design.columns

    def narrowed(port: str, lanes: int, bits: int) -> str:
        return "".join(f"  assign {port}[{i * bits}+:{bits}] = {port}_lanes[{i * 32}+:{bits}];\n" for i in range(lanes))

    shape = "".join(f"input [31:0] {name}, " for name in _SHAPE)
    plain = ("clk", "start", *_SHAPE, "input_inside", "input_address", "weight_read", "weight_address", "bias", "multiplier")
    plain += ("addend", "shift", "partial_read", "partial_pixel", "partial_filter", "sum_valid", "sum_pixel", "sum_filter")
    plain += ("busy", "done")
    held = ", ".join(f".{name}({name})" for name in plain)
    sum_bits, code_bits = design.accumulator_bits, design.output_bits
    widened = "".join(
        f"  extend #(.FROM({sum_bits}), .TO(64)) sum_{c} (.narrow(sums[{c * sum_bits}+:{sum_bits}]), "
        f".wide(sums_lanes[{c * 64}+:64]));\n"
        f"  assign partial_sums[{c * sum_bits}+:{sum_bits}] = partial_lanes[{c * 64}+:{sum_bits}];\n"
        f"  assign codes_lanes[{c * 32}+:32] = codes[{c * code_bits}+:{code_bits}];\n"
        for c in range(columns)
    )
    return f"""module layer(input clk, input start, {shape}input [31:0] zero_point,
  output [{rows - 1}:0] input_inside, output [{rows * 32 - 1}:0] input_address, input [{rows * 32 - 1}:0] input_codes_lanes,
  output [{columns - 1}:0] weight_read, output [{columns * 32 - 1}:0] weight_address,
  input [{columns * 32 - 1}:0] weight_codes_lanes, input [{columns * 32 - 1}:0] bias, input [{columns * 32 - 1}:0] multiplier,
  input [{columns * 64 - 1}:0] addend, input [{columns * 8 - 1}:0] shift, input [31:0] output_zero_point, input [31:0] low,
  input [31:0] high, output [{columns - 1}:0] partial_read, output [{columns * 32 - 1}:0] partial_pixel,
  output [{columns * 32 - 1}:0] partial_filter, input [{columns * 64 - 1}:0] partial_lanes,
  output [{columns - 1}:0] sum_valid, output [{columns * 32 - 1}:0] sum_pixel, output [{columns * 32 - 1}:0] sum_filter,
  output [{columns * 64 - 1}:0] sums_lanes, output [{columns * 32 - 1}:0] codes_lanes, output busy, output done);
  wire [{rows * design.input_bits - 1}:0] input_codes;
  wire [{columns * design.weight_bits - 1}:0] weight_codes;
  wire [{columns * sum_bits - 1}:0] sums, partial_sums;
  wire [{columns * code_bits - 1}:0] codes;
{narrowed("input_codes", rows, design.input_bits)}{narrowed("weight_codes", columns, design.weight_bits)}{widened}\
  quantised_layer #({design.parameters()}) layer ({held}, .zero_point(zero_point[{design.input_bits - 1}:0]),
    .input_codes(input_codes), .weight_codes(weight_codes), .output_zero_point(output_zero_point[17:0]), .low(low[17:0]),
    .high(high[17:0]), .partial_sums(partial_sums), .sum_whole(),
    .sums(sums), .codes(codes));
endmodule
"""


def _harness() -> str:
    """The loop around the clock: memories that answer at once, and places for what comes out."""
    shape = "".join(
        f"  put(m.p_{name.replace('_', '__')}, 0, (uint32_t)shape[{place}]);\n"
        for place, name in enumerate((*_SHAPE, "zero_point"))
    )
    ends = "".join(f"  put(m.p_{name.replace('_', '__')}, 0, (uint32_t)ends[{place}]);\n" for place, name in enumerate(_ENDS))
    return _LOOP.replace("SHAPE_PORTS", shape).replace("END_PORTS", ends).replace("NUMBERS", str(len(_SHAPE) + 1))


_LOOP = """
template <size_t B> static uint32_t chunk(const cxxrtl::value<B> &port, size_t place) { return port.data[place]; }
template <size_t B> static uint32_t chunk(const cxxrtl::wire<B> &port, size_t place) { return port.curr.data[place]; }
template <size_t B> static void put(cxxrtl::value<B> &port, size_t place, uint32_t word) { port.data[place] = word; }
template <class Port> static bool bit(const Port &port, size_t place) { return chunk(port, place / 32) >> place % 32 & 1; }

extern "C" int64_t run_layer(const int64_t *shape, const int64_t *ends, const int64_t *x, int64_t x_words, const int64_t *w,
                             int64_t w_words, const int64_t *constants, int64_t *sums, int64_t *codes) {
  cxxrtl_design::p_layer m;
  const int64_t limit = shape[NUMBERS], filters = shape[NUMBERS + 1], pixels = shape[0];
  const int64_t *bias = constants, *multiplier = bias + filters, *addend = multiplier + filters, *shift = addend + filters;
SHAPE_PORTSEND_PORTS  m.p_start.data[0] = 1;
  m.step();
  m.p_clk.data[0] = 1;
  m.step();
  m.p_start.data[0] = 0;
  int64_t cycles = 0, constants_of[COLUMNS];
  for (int c = 0; c < COLUMNS; c++) constants_of[c] = -1;
  for (int64_t clock = 0; clock < limit; clock++) {
    m.p_clk.data[0] = 0;
    m.step();
    if (bit(m.p_done, 0)) return cycles;
    cycles += bit(m.p_busy, 0);
    for (int r = 0; r < ROWS; r++)
      if (bit(m.p_input__inside, r)) {
        uint32_t at = chunk(m.p_input__address, r);
        if (at >= x_words) return -1;
        put(m.p_input__codes__lanes, r, (uint32_t)x[at]);
      }
    bool leaves = false;
    for (int c = 0; c < COLUMNS; c++) {
      if (bit(m.p_weight__read, c)) {
        uint32_t at = chunk(m.p_weight__address, c);
        if (at >= w_words) return -1;
        put(m.p_weight__codes__lanes, c, (uint32_t)w[at]);
      }
      if (bit(m.p_partial__read, c)) {
        int64_t pixel = chunk(m.p_partial__pixel, c), filter = chunk(m.p_partial__filter, c);
        if (pixel >= pixels || filter >= filters) return -1;
        put(m.p_partial__lanes, 2 * c, (uint32_t)sums[pixel * filters + filter]);
        put(m.p_partial__lanes, 2 * c + 1, (uint32_t)(sums[pixel * filters + filter] >> 32));
      }
      if (bit(m.p_sum__valid, c)) {
        int64_t filter = chunk(m.p_sum__filter, c);
        if (filter >= filters) return -3;
        leaves = true;
        if (filter == constants_of[c]) continue;
        constants_of[c] = filter;
        put(m.p_bias, c, (uint32_t)bias[filter]);
        put(m.p_multiplier, c, (uint32_t)multiplier[filter]);
        put(m.p_addend, 2 * c, (uint32_t)addend[filter]);
        put(m.p_addend, 2 * c + 1, (uint32_t)(addend[filter] >> 32));
        uint32_t place = c % 4 * 8, kept = m.p_shift.data[c / 4] & ~(0xffu << place);
        put(m.p_shift, c / 4, kept | ((uint32_t)shift[filter] & 0xff) << place);
      }
    }
    if (leaves) {
      m.step();
      for (int c = 0; c < COLUMNS; c++)
        if (bit(m.p_sum__valid, c)) {
          int64_t pixel = chunk(m.p_sum__pixel, c), at = pixel * filters + chunk(m.p_sum__filter, c);
          if (pixel >= pixels) return -3;
          sums[at] = chunk(m.p_sums__lanes, 2 * c) | (int64_t)chunk(m.p_sums__lanes, 2 * c + 1) << 32;
          codes[at] = chunk(m.p_codes__lanes, c);
        }
    }
    m.p_clk.data[0] = 1;
    m.step();
  }
  return -2;
}
"""
