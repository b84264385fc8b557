// Processing element: a product that a table of magnitudes has, with the sign. The table and the term: kernel_table.v.
module pe_table_magnitude #(
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  clk,
    input  clear,   // the first tap of a sum: it adds to zero
    input  enable,  // everything is held where 0
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [ACCUMULATOR_BITS-1:0] sum  // with a tap two edges after its operands
);
  pe #(
      .DATAPATH("table_magnitude"), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED),
      .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
  ) pe (
      .clk(clk), .clear(clear), .enable(enable), .input_code(input_code), .weight_code(weight_code), .sum(sum)
  );
endmodule
