// x times a signed power of two or nothing. The weight is {sign, k}: magnitude 0 for k = 0, otherwise 2^(k - 1).
// The tap adds term + carry; term is in two's complement.
module kernel_shift #(
    parameter INPUT_BITS    = 8,
    parameter WEIGHT_BITS   = 4,
    parameter INPUT_SIGNED  = 1,
    parameter TERM_BITS     = INPUT_BITS + (INPUT_SIGNED == 0 ? 1 : 0) + (1 << (WEIGHT_BITS - 1)) - 2  // follows from the others
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  wire [TERM_BITS-1:0] x;
  extend #(.FROM(INPUT_BITS), .TO(TERM_BITS), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));

  wire sign = weight_code[WEIGHT_BITS-1];
  wire [WEIGHT_BITS-2:0] k = weight_code[WEIGHT_BITS-2:0];
  wire unused;
  wire [TERM_BITS-1:0] half, shifted;
  assign {half, unused} = {1'b0, x} << k;
  assign shifted = k == 0 ? {TERM_BITS{1'b0}} : half;

  assign term  = shifted ^ {TERM_BITS{sign}};
  assign carry = sign;
endmodule
