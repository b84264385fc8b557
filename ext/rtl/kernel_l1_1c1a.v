// -|x - w| by a comparator, which orders x and w, and one subtractor.
// The tap adds term + carry; term is in two's complement.
module kernel_l1_1c1a #(
    parameter INPUT_BITS    = 8,
    parameter WEIGHT_BITS   = 8,
    parameter INPUT_SIGNED  = 1,
    parameter WEIGHT_SIGNED = 1,
    parameter INPUT_WIDE    = INPUT_BITS + (INPUT_SIGNED == 0 && WEIGHT_SIGNED != 0 ? 1 : 0),  // these three follow from the others
    parameter WEIGHT_WIDE   = WEIGHT_BITS + (WEIGHT_SIGNED == 0 && INPUT_SIGNED != 0 ? 1 : 0),
    parameter TERM_BITS     = 1 + (INPUT_WIDE > WEIGHT_WIDE ? INPUT_WIDE : WEIGHT_WIDE)
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  localparam COMMON = TERM_BITS - 1;
  wire [COMMON-1:0] x, w;
  extend #(.FROM(INPUT_BITS), .TO(COMMON), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));
  extend #(.FROM(WEIGHT_BITS), .TO(COMMON), .SIGNED(WEIGHT_SIGNED)) extend_weight (.narrow(weight_code), .wide(w));

  // Signed numbers compare as unsigned ones do once their first bit is turned; the difference is the same.
  wire [COMMON-1:0] turned = (INPUT_SIGNED != 0 || WEIGHT_SIGNED != 0) ? {COMMON{1'b1}} << (COMMON - 1) : {COMMON{1'b0}};
  wire larger = (x ^ turned) > (w ^ turned);
  wire [COMMON-1:0] high = larger ? x : w;
  wire [COMMON-1:0] low = larger ? w : x;
  wire [COMMON-1:0] magnitude = high - low;

  assign term  = {1'b1, ~magnitude};
  assign carry = 1'b1;
endmodule
