// A residual addition, without registers: the sum of two codes of one scale, or their difference, becomes a code, which
// saturates in low..high, or keeps the last OUTPUT_BITS and then is held there.
module residual_add #(
    parameter FIRST_BITS    = 8,  // 16 at most
    parameter SECOND_BITS   = 8,
    parameter FIRST_SIGNED  = 1,
    parameter SECOND_SIGNED = 1,
    parameter SUBTRACT      = 0,  // 1: the second code is taken from the first
    parameter OUTPUT_BITS   = 8,  // 17 at most
    parameter OUTPUT_SIGNED = 1,
    parameter WRAP          = 0
) (
    input  [FIRST_BITS-1:0] first,
    input  [SECOND_BITS-1:0] second,
    input  signed [17:0] low,
    input  signed [17:0] high,
    output [OUTPUT_BITS-1:0] code
);
  wire signed [17:0] wide_first, wide_second, kept;
  extend #(.FROM(FIRST_BITS), .TO(18), .SIGNED(FIRST_SIGNED)) extend_first (.narrow(first), .wide(wide_first));
  extend #(.FROM(SECOND_BITS), .TO(18), .SIGNED(SECOND_SIGNED)) extend_second (.narrow(second), .wide(wide_second));
  /* verilator lint_off UNUSED */  // codes are narrower than sums
  wire signed [17:0] sum = SUBTRACT == 0 ? wide_first + wide_second : wide_first - wide_second;
  generate
    if (WRAP == 0) assign kept = sum;
    else begin : wraps
      extend #(.FROM(OUTPUT_BITS), .TO(18), .SIGNED(OUTPUT_SIGNED)) extend_code (.narrow(sum[OUTPUT_BITS-1:0]), .wide(kept));
    end
  endgenerate
  wire signed [17:0] held = kept < low ? low : kept > high ? high : kept;
  /* verilator lint_on UNUSED */
  assign code = held[OUTPUT_BITS-1:0];
endmodule
