// x times a signed sum of two powers of two. The weight is {sign, a, b}: a of two bits chooses 0 or one of three powers, b of
// WEIGHT_BITS - 3 bits 0 or one of those left: 3 bits {0 4 2 1}, 4 bits {0 8 4 1} + {0 2}, 5 bits {0 32 8 2} + {0 16 4 1}.
// The tap adds term + carry; term is in two's complement.
module kernel_apot #(
    parameter INPUT_BITS    = 8,
    parameter WEIGHT_BITS   = 4,
    parameter INPUT_SIGNED  = 1,
    parameter TERM_BITS     = INPUT_BITS + (INPUT_SIGNED == 0 ? 1 : 0) + (WEIGHT_BITS == 3 ? 2 : WEIGHT_BITS == 4 ? 4 : 6)  // follows from the others
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  localparam A1 = WEIGHT_BITS == 3 ? 2 : WEIGHT_BITS == 4 ? 3 : 5;
  localparam A2 = WEIGHT_BITS == 3 ? 1 : WEIGHT_BITS == 4 ? 2 : 3;
  localparam A3 = WEIGHT_BITS == 5 ? 1 : 0;
  localparam B1 = WEIGHT_BITS == 5 ? 4 : 1;
  wire [TERM_BITS-1:0] x;
  extend #(.FROM(INPUT_BITS), .TO(TERM_BITS), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));

  wire sign = weight_code[WEIGHT_BITS-1];
  wire [1:0] a = weight_code[WEIGHT_BITS-2:WEIGHT_BITS-3];
  wire [1:0] b;
  generate
    if (WEIGHT_BITS == 3) assign b = 2'b00;
    else if (WEIGHT_BITS == 4) assign b = {1'b0, weight_code[0]};
    else assign b = weight_code[1:0];
  endgenerate

  wire [TERM_BITS-1:0] first = a == 0 ? {TERM_BITS{1'b0}} : a == 1 ? x << A1 : a == 2 ? x << A2 : x << A3;
  wire [TERM_BITS-1:0] second = b == 0 ? {TERM_BITS{1'b0}} : b == 1 ? x << B1 : b == 2 ? x << 2 : x;

  assign term  = (first + second) ^ {TERM_BITS{sign}};
  assign carry = sign;
endmodule
