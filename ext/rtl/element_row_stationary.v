// An element of a row-stationary array, without its scratchpads: these give input, weight and the sum so far of one tap, which are
// held in registers, and take the sum after it. A sum comes back no sooner than two taps later: filters take turns.
module element_row_stationary #(
    parameter DATAPATH         = "mac",
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
    input  [ACCUMULATOR_BITS-1:0] sum_before,
    output reg [ACCUMULATOR_BITS-1:0] sum  // with a tap two edges after its operands
);
  reg [INPUT_BITS-1:0] held_input;
  reg [WEIGHT_BITS-1:0] held_weight;
  reg [ACCUMULATOR_BITS-1:0] held_sum;

  wire [ACCUMULATOR_BITS-1:0] sum_after;
  tap #(
      .DATAPATH(DATAPATH), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED),
      .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
  ) tap (
      .input_code(held_input), .weight_code(held_weight), .sum_before(held_sum), .sum_after(sum_after)
  );

  always @(posedge clk)
    if (enable) begin
      held_input  <= input_code;
      held_weight <= weight_code;
      held_sum    <= clear ? {ACCUMULATOR_BITS{1'b0}} : sum_before;
      sum         <= sum_after;
    end
endmodule
