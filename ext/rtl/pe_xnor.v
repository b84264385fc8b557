// Processing element: signs that agree less those that differ, LANES a step. The weights' bits and the term: kernel_xnor.v.
module pe_xnor #(
    parameter LANES            = 8,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0  // after each step, of all lanes
) (
    input  clk,
    input  clear,   // the first tap of a sum: it adds to zero
    input  enable,  // everything is held where 0
    input  [LANES-1:0] input_code,
    input  [LANES-1:0] weight_code,
    output [ACCUMULATOR_BITS-1:0] sum  // with a tap two edges after its operands
);
  pe #(
      .DATAPATH("xnor"), .INPUT_BITS(LANES), .WEIGHT_BITS(LANES),
      .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
  ) pe (
      .clk(clk), .clear(clear), .enable(enable), .input_code(input_code), .weight_code(weight_code), .sum(sum)
  );
endmodule
