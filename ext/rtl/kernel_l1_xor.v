// -|x - w| by one subtractor, inverted where it is positive; the missing +1 is the carry of the sum that follows.
// The tap adds term + carry; term is in two's complement.
module kernel_l1_xor #(
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
  wire [TERM_BITS-1:0] x, w;
  extend #(.FROM(INPUT_BITS), .TO(TERM_BITS), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));
  extend #(.FROM(WEIGHT_BITS), .TO(TERM_BITS), .SIGNED(WEIGHT_SIGNED)) extend_weight (.narrow(weight_code), .wide(w));

  wire [TERM_BITS-1:0] difference = x - w;
  wire negative = difference[COMMON];

  assign term  = {1'b1, difference[COMMON-1:0] ^ {COMMON{~negative}}};
  assign carry = ~negative;
endmodule
