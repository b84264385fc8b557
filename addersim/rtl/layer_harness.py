"""What stands around a compiled layer: Verilog with each word in lanes of 32 bits, and memories in C++ that answer at once."""

from __future__ import annotations

from dataclasses import fields

from addersim.rtl.shapes import ArrayDesign, LayerShape

__all__ = ["ACCESS", "SHAPE_WORDS", "layer_loop", "layer_wrapper", "narrow_lanes"]

SHAPE_WORDS = len(fields(LayerShape)) - 1
"""Of the port ``shape``; the zero point stands behind them."""


def narrow_lanes(port: str, lanes: int, bits: int) -> str:
    """Words of a port out of lanes of 32 bits."""
    return "".join(f"  assign {port}[{i * bits}+:{bits}] = {port}_lanes[{i * 32}+:{bits}];\n" for i in range(lanes))


def layer_wrapper(design: ArrayDesign) -> str:
    """The module ``layer``, with each word in a lane of 32 bits, and sums in 64."""
    rows, columns = design.rows, design.columns
    plain = (
        "clk start shape input_inside input_address weight_read weight_address bias multiplier addend shift "
        "partial_read partial_pixel partial_filter sum_valid sum_pixel sum_filter busy done"
    )
    held = ", ".join(f".{name}({name})" for name in plain.split())
    sum_bits, code_bits = design.accumulator_bits, design.output_bits
    widened = "".join(
        f"  extend #(.FROM({sum_bits}), .TO(64)) sum_{c} (.narrow(sums[{c * sum_bits}+:{sum_bits}]), "
        f".wide(sums_lanes[{c * 64}+:64]));\n"
        f"  assign partial_sums[{c * sum_bits}+:{sum_bits}] = partial_lanes[{c * 64}+:{sum_bits}];\n"
        f"  assign codes_lanes[{c * 32}+:32] = codes[{c * code_bits}+:{code_bits}];\n"
        for c in range(columns)
    )
    return f"""module layer(input clk, input start, input [{SHAPE_WORDS * 32 - 1}:0] shape, input [31:0] zero_point,
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
{narrow_lanes("input_codes", rows, design.input_bits)}{narrow_lanes("weight_codes", columns, design.weight_bits)}{widened}\
  quantised_layer #({design.parameters()}) layer ({held}, .zero_point(zero_point[{design.input_bits - 1}:0]),
    .input_codes(input_codes), .weight_codes(weight_codes), .output_zero_point(output_zero_point[17:0]), .low(low[17:0]),
    .high(high[17:0]), .partial_sums(partial_sums), .sum_whole(),
    .sums(sums), .codes(codes));
endmodule
"""


def layer_loop(design: ArrayDesign) -> str:
    """C++: memories, places for what comes out, and the loop around the clock."""
    sizes = {"ROWS": design.rows, "COLUMNS": design.columns, "SHAPE_WORDS": SHAPE_WORDS}
    return "".join(f"#define {name} {size}\n" for name, size in sizes.items()) + ACCESS + _LOOP


ACCESS = """
template <size_t B> static uint32_t chunk(const cxxrtl::value<B> &port, size_t place) { return port.data[place]; }
template <size_t B> static uint32_t chunk(const cxxrtl::wire<B> &port, size_t place) { return port.curr.data[place]; }
template <size_t B> static void put(cxxrtl::value<B> &port, size_t place, uint32_t word) { port.data[place] = word; }
template <class Port> static bool bit(const Port &port, size_t place) { return chunk(port, place / 32) >> place % 32 & 1; }
"""
"""C++ that reads and writes words of ports."""
_LOOP = """
extern "C" int64_t run_layer(const int64_t *shape, const int64_t *ends, const int64_t *x, int64_t x_words, const int64_t *w,
                             int64_t w_words, const int64_t *constants, int64_t *sums, int64_t *codes) {
  cxxrtl_design::p_layer m;
  const int64_t limit = shape[SHAPE_WORDS + 1], filters = shape[SHAPE_WORDS + 2], pixels = shape[0];
  const int64_t *bias = constants, *multiplier = bias + filters, *addend = multiplier + filters, *shift = addend + filters;
  for (int i = 0; i < SHAPE_WORDS; i++) put(m.p_shape, i, (uint32_t)shape[i]);
  put(m.p_zero__point, 0, (uint32_t)shape[SHAPE_WORDS]);
  put(m.p_output__zero__point, 0, (uint32_t)ends[0]);
  put(m.p_low, 0, (uint32_t)ends[1]);
  put(m.p_high, 0, (uint32_t)ends[2]);
  m.p_start.data[0] = 1;
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
