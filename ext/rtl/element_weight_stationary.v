// An element of a weight-stationary array: its weight is shifted in from above and stays, inputs come from the left and go on to
// the right, a sum comes from above and goes on below with one more tap.
module element_weight_stationary #(
    parameter DATAPATH         = "mac",
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  clk,
    input  load,  // weights go down a row
    input  [WEIGHT_BITS-1:0] weight_in,
    input  [INPUT_BITS-1:0] input_in,
    input  [ACCUMULATOR_BITS-1:0] sum_in,
    output reg [WEIGHT_BITS-1:0] weight_out,
    output reg [INPUT_BITS-1:0] input_out,
    output reg [ACCUMULATOR_BITS-1:0] sum_out
);
  wire [ACCUMULATOR_BITS-1:0] sum_after;
  tap #(
      .DATAPATH(DATAPATH), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED),
      .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
  ) tap (
      .input_code(input_out), .weight_code(weight_out), .sum_before(sum_in), .sum_after(sum_after)
  );

  always @(posedge clk) begin
    if (load) weight_out <= weight_in;
    input_out <= input_in;
    sum_out   <= sum_after;
  end
endmodule
