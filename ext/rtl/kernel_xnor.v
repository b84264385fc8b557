// The signs that agree less those that differ, of LANES pairs at once: 1 is a negative sign.
// The tap adds term + carry; term is in two's complement.
module kernel_xnor #(
    parameter LANES      = 8,
    parameter COUNT_BITS = $clog2(LANES + 1),  // these two follow from LANES
    parameter TERM_BITS  = COUNT_BITS + 1
) (
    input  [LANES-1:0] input_code,
    input  [LANES-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  localparam [31:0] ALL = LANES;

  wire [LANES-1:0] agree = ~(input_code ^ weight_code);
  /* verilator lint_off UNOPTFLAT */  // a chain: word i + 1 needs word i
  wire [COUNT_BITS-1:0] counted[0:LANES];
  /* verilator lint_on UNOPTFLAT */
  assign counted[0] = {COUNT_BITS{1'b0}};
  genvar i;
  generate
    for (i = 0; i < LANES; i = i + 1) begin : lane
      wire [COUNT_BITS-1:0] one;
      extend #(.FROM(1), .TO(COUNT_BITS), .SIGNED(0)) extend_agree (.narrow(agree[i]), .wide(one));
      assign counted[i+1] = counted[i] + one;
    end
  endgenerate

  assign term  = {counted[LANES], 1'b0} - ALL[TERM_BITS-1:0];
  assign carry = 1'b0;
endmodule
