// x * w by Booth's recoding of the weight in digits of -2..2: half as many rows as bits.
// The tap adds term + carry; term is in two's complement.
module kernel_mac_booth #(
    parameter INPUT_BITS    = 8,
    parameter WEIGHT_BITS   = 8,
    parameter INPUT_SIGNED  = 1,
    parameter WEIGHT_SIGNED = 1,
    parameter TERM_BITS     = INPUT_BITS + WEIGHT_BITS + (INPUT_SIGNED == 0 && WEIGHT_SIGNED == 0 ? 1 : 0)  // follows from the others
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [TERM_BITS-1:0] term,
    output carry
);
  localparam X_BITS = INPUT_BITS + (INPUT_SIGNED == 0 ? 1 : 0);
  localparam ROWS   = (WEIGHT_BITS + (WEIGHT_SIGNED == 0 ? 1 : 0) + 1) / 2;
  localparam [TERM_BITS-1:0] ONE = 1;

  wire [X_BITS-1:0] x;
  wire [2*ROWS-1:0] w;
  extend #(.FROM(INPUT_BITS), .TO(X_BITS), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));
  extend #(.FROM(WEIGHT_BITS), .TO(2 * ROWS), .SIGNED(WEIGHT_SIGNED)) extend_weight (.narrow(weight_code), .wide(w));
  wire [2*ROWS:0] digits = {w, 1'b0};

  // A row has its sign bit inverted instead of extended, which adds 2^X_BITS at its place: the constant takes that back.
  function [TERM_BITS-1:0] constant_of_signs(input integer unused);
    integer r;
    begin
      constant_of_signs = 0;
      for (r = 0; r < ROWS; r = r + 1) constant_of_signs = constant_of_signs - (ONE << (X_BITS + 2 * r));
    end
  endfunction

  /* verilator lint_off UNOPTFLAT */  // a chain: word i + 1 needs word i
  wire [TERM_BITS-1:0] partial[0:ROWS];
  /* verilator lint_on UNOPTFLAT */
  wire [TERM_BITS-1:0] minuses;  // the +1 of each row that was inverted
  assign partial[0] = constant_of_signs(0);
  genvar r;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row
      wire [2:0] digit = digits[2*r+2:2*r];
      wire one = digit[1] ^ digit[0];
      wire two = (digit == 3'b011) | (digit == 3'b100);
      wire minus = digit[2] & ~(digit[1] & digit[0]);
      wire [X_BITS:0] multiple = (({x[X_BITS-1], x} & {(X_BITS + 1) {one}}) | ({x, 1'b0} & {(X_BITS + 1) {two}}))
                                 ^ {(X_BITS + 1) {minus}};
      wire [TERM_BITS-1:0] turned;
      extend #(.FROM(X_BITS + 1), .TO(TERM_BITS), .SIGNED(0)) extend_row (
          .narrow({~multiple[X_BITS], multiple[X_BITS-1:0]}), .wide(turned)
      );
      assign partial[r+1] = partial[r] + (turned << (2 * r));
      assign minuses[2*r] = minus;
      if (2 * r + 1 < TERM_BITS) assign minuses[2*r+1] = 1'b0;
    end
    if (TERM_BITS > 2 * ROWS) assign minuses[TERM_BITS-1:2*ROWS] = {(TERM_BITS - 2 * ROWS) {1'b0}};
  endgenerate

  assign term  = partial[ROWS] + minuses;
  assign carry = 1'b0;
endmodule
