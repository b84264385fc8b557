// The sum of a window's codes, one code an edge; `clear` marks its first. A mean is this sum through a requantisation unit.
module pool_sum #(
    parameter BITS     = 8,
    parameter SIGNED   = 1,
    parameter SUM_BITS = 16
) (
    input  clk,
    input  clear,
    input  enable,  // everything is held where 0
    input  [BITS-1:0] code,
    output reg [SUM_BITS-1:0] sum
);
  wire [SUM_BITS-1:0] wide;
  extend #(.FROM(BITS), .TO(SUM_BITS), .SIGNED(SIGNED)) extend_code (.narrow(code), .wide(wide));

  always @(posedge clk) if (enable) sum <= (clear ? {SUM_BITS{1'b0}} : sum) + wide;
endmodule
