// An element of an output-stationary array: operands come from the left and from above and go on to the right and below, a
// sum stays until `capture` copies it into the chain that drains upwards, one row an edge.
module element_output_stationary #(
    parameter DATAPATH         = "mac",
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  clk,
    input  valid_in,  // a tap comes
    input  clear_in,  // the first of a sum
    input  [INPUT_BITS-1:0] input_in,
    input  [WEIGHT_BITS-1:0] weight_in,
    input  capture,
    input  [ACCUMULATOR_BITS-1:0] drain_in,
    output reg valid_out,
    output reg clear_out,
    output reg [INPUT_BITS-1:0] input_out,
    output reg [WEIGHT_BITS-1:0] weight_out,
    output reg [ACCUMULATOR_BITS-1:0] drain_out
);
  reg  [ACCUMULATOR_BITS-1:0] sum;
  wire [ACCUMULATOR_BITS-1:0] sum_after;
  tap #(
      .DATAPATH(DATAPATH), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED),
      .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
  ) tap (
      .input_code(input_out), .weight_code(weight_out),
      .sum_before(clear_out ? {ACCUMULATOR_BITS{1'b0}} : sum), .sum_after(sum_after)
  );

  initial valid_out = 1'b0;
  always @(posedge clk) begin
    valid_out  <= valid_in;
    clear_out  <= clear_in;
    input_out  <= input_in;
    weight_out <= weight_in;
    if (valid_out) sum <= sum_after;
    drain_out <= capture ? sum : drain_in;
  end
endmodule
