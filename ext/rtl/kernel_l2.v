// -(x - w)^2: the magnitude of x - w times itself in a full multiplier.
// The tap adds term + carry; term is in two's complement.
module kernel_l2 #(
    parameter INPUT_BITS    = 8,
    parameter WEIGHT_BITS   = 8,
    parameter INPUT_SIGNED  = 1,
    parameter WEIGHT_SIGNED = 1,
    parameter INPUT_WIDE    = INPUT_BITS + (INPUT_SIGNED == 0 && WEIGHT_SIGNED != 0 ? 1 : 0),  // these three follow from the others
    parameter WEIGHT_WIDE   = WEIGHT_BITS + (WEIGHT_SIGNED == 0 && INPUT_SIGNED != 0 ? 1 : 0),
    parameter TERM_BITS     = 1 + 2 * (INPUT_WIDE > WEIGHT_WIDE ? INPUT_WIDE : WEIGHT_WIDE)
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  localparam COMMON = (TERM_BITS - 1) / 2;
  wire [COMMON:0] x, w;
  extend #(.FROM(INPUT_BITS), .TO(COMMON + 1), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));
  extend #(.FROM(WEIGHT_BITS), .TO(COMMON + 1), .SIGNED(WEIGHT_SIGNED)) extend_weight (.narrow(weight_code), .wide(w));

  wire [COMMON:0] difference = x - w;
  wire negative = difference[COMMON];
  wire [COMMON-1:0] one;
  extend #(.FROM(1), .TO(COMMON), .SIGNED(0)) extend_negative (.narrow(negative), .wide(one));
  wire [COMMON-1:0] magnitude = (difference[COMMON-1:0] ^ {COMMON{negative}}) + one;

  wire [TERM_BITS-1:0] square;
  wire unused;  // products have no carry
  kernel_mac #(
      .INPUT_BITS(COMMON), .WEIGHT_BITS(COMMON), .INPUT_SIGNED(0), .WEIGHT_SIGNED(0)
  ) multiplier (
      .input_code(magnitude), .weight_code(magnitude), .term(square), .carry(unused)
  );

  assign term  = ~square;
  assign carry = 1'b1;
endmodule
