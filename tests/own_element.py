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
