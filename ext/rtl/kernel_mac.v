// x * w by Baugh and Wooley: one row of bit products a weight bit, those that count negatively inverted, and a constant.
// The rows are one sum, of which synthesis makes a carry-save tree.
// The tap adds term + carry; term is in two's complement.
module kernel_mac #(
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
  localparam [TERM_BITS-1:0] ONE = 1;

  // A bit product p of the sign of just one operand counts -p 2^k, which is (1 - p) 2^k - 2^k.
  function [TERM_BITS-1:0] constant_of_negatives(input integer unused);
    integer i, j;
    begin
      constant_of_negatives = 0;
      for (i = 0; i < WEIGHT_BITS; i = i + 1)
        for (j = 0; j < INPUT_BITS; j = j + 1)
          if ((INPUT_SIGNED != 0 && j == INPUT_BITS - 1) != (WEIGHT_SIGNED != 0 && i == WEIGHT_BITS - 1))
            constant_of_negatives = constant_of_negatives - (ONE << (i + j));
    end
  endfunction

  /* verilator lint_off UNOPTFLAT */  // a chain: word i + 1 needs word i
  wire [TERM_BITS-1:0] partial[0:WEIGHT_BITS];
  /* verilator lint_on UNOPTFLAT */
  assign partial[0] = constant_of_negatives(0);
  genvar i, j;
  generate
    for (i = 0; i < WEIGHT_BITS; i = i + 1) begin : row
      wire [INPUT_BITS-1:0] products;
      for (j = 0; j < INPUT_BITS; j = j + 1) begin : column
        if ((INPUT_SIGNED != 0 && j == INPUT_BITS - 1) != (WEIGHT_SIGNED != 0 && i == WEIGHT_BITS - 1))
          assign products[j] = ~(input_code[j] & weight_code[i]);
        else
          assign products[j] = input_code[j] & weight_code[i];
      end
      assign partial[i+1] = partial[i] + ({{(TERM_BITS - INPUT_BITS) {1'b0}}, products} << i);
    end
  endgenerate

  assign term  = partial[WEIGHT_BITS];
  assign carry = 1'b0;
endmodule
