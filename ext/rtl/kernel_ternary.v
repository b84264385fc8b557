// x, its inverse or nothing. The weight is {sign, nonzero}: 00 is 0, 01 is 1, 11 is -1.
// The tap adds term + carry; term is in two's complement.
module kernel_ternary #(
    parameter INPUT_BITS    = 8,
    parameter WEIGHT_BITS   = 2,
    parameter INPUT_SIGNED  = 1,
    parameter TERM_BITS     = INPUT_BITS + (INPUT_SIGNED == 0 ? 1 : 0)  // follows from the others
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  wire [TERM_BITS-1:0] x;
  extend #(.FROM(INPUT_BITS), .TO(TERM_BITS), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));

  assign term  = (weight_code[0] ? x : {TERM_BITS{1'b0}}) ^ {TERM_BITS{weight_code[1]}};
  assign carry = weight_code[1];
endmodule
