"""A processing element of somebody's own, as users give it to ``addersim verify``, and what its tests need."""

import pytest

from addersim.rtl.tools import yosys_candidates

with_yosys = pytest.mark.skipif(
    not any(one.headers for one in yosys_candidates()), reason="no yosys with the headers of its CXXRTL runtime"
)
GOOD = """module my_pe #(parameter ACCUMULATOR_BITS = 24) (
  input clk, input clear, input signed [7:0] input_code, input signed [7:0] weight_code,
  output reg signed [ACCUMULATOR_BITS-1:0] sum);
  reg signed [7:0] x, w;
  reg first;
  always @(posedge clk) begin
    x <= input_code;
    w <= weight_code;
    first <= clear;
    sum <= (first ? 0 : sum) + x * w;
  end
endmodule
"""
LAYER = """module my_layer #(parameter ACCUMULATOR_BITS = 24) (
  input clk, input start, input weight_valid, input signed [7:0] weight_code, input input_valid,
  input signed [7:0] input_code, output reg sum_valid, output reg signed [ACCUMULATOR_BITS-1:0] sum);
  reg signed [7:0] weights[0:149], inputs[0:783];
  reg [7:0] weight; reg [9:0] place; reg busy;
  reg [4:0] row, column; reg [2:0] filter, y, x;
  wire [5:0] down = row + y, along = column + x;
  wire inside = down > 1 && down < 30 && along > 1 && along < 30;
  wire [9:0] at = (down - 2) * 28 + along - 2;
  wire last = y == 4 && x == 4;
  wire signed [15:0] term = inside ? inputs[at] * weights[filter * 25 + y * 5 + x] : 16'sd0;
  wire signed [ACCUMULATOR_BITS-1:0] before = y == 0 && x == 0 ? 0 : sum;
  always @(posedge clk) begin
    sum_valid <= busy && last;
    if (start) begin
      weight <= weight_valid; place <= 0; busy <= 0;
      {row, column, filter, y, x} <= 0;
    end else if (weight_valid) weight <= weight + 1;
    if (weight_valid) weights[start ? 0 : weight] <= weight_code;
    if (input_valid) begin
      inputs[place] <= input_code;
      place <= place + 1;
      busy <= place == 783;
    end
    if (busy && !start) begin
      sum <= before + term;
      x <= x == 4 ? 0 : x + 1;
      if (x == 4) y <= y == 4 ? 0 : y + 1;
      if (last) filter <= filter == 5 ? 0 : filter + 1;
      if (last && filter == 5) column <= column == 27 ? 0 : column + 1;
      if (last && filter == 5 && column == 27) row <= row + 1;
      if (last && filter == 5 && column == 27 && row == 27) busy <= 0;
    end
  end
endmodule
"""
"""A whole layer: LeNet-5's first, 28 x 28 pixels padded by two, six filters of 5 x 5."""
