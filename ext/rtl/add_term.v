// A sum after one more tap: sum_before + term + carry in a register's ACCUMULATOR_BITS, which wraps or saturates.
module add_term #(
    parameter TERM_BITS        = 9,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  [ACCUMULATOR_BITS-1:0] sum_before,
    input  [TERM_BITS-1:0] term,
    input  carry,
    output [ACCUMULATOR_BITS-1:0] sum_after
);
  localparam WIDEST = TERM_BITS > ACCUMULATOR_BITS ? TERM_BITS : ACCUMULATOR_BITS;
  localparam BITS   = SATURATE == 0 ? ACCUMULATOR_BITS : WIDEST + 1;

  wire [BITS-1:0] wide_before, wide_term;
  extend #(.FROM(ACCUMULATOR_BITS), .TO(BITS)) extend_before (.narrow(sum_before), .wide(wide_before));
  extend #(.FROM(TERM_BITS), .TO(BITS)) extend_term (.narrow(term), .wide(wide_term));
  wire [BITS-1:0] exact = wide_before + wide_term + {{(BITS - 1) {1'b0}}, carry};

  generate
    if (SATURATE == 0) assign sum_after = exact;
    else begin : saturating
      wire negative = exact[BITS-1];
      wire fits = exact[BITS-1:ACCUMULATOR_BITS-1] == {(BITS - ACCUMULATOR_BITS + 1) {negative}};
      assign sum_after = fits ? exact[ACCUMULATOR_BITS-1:0] : {negative, {(ACCUMULATOR_BITS - 1) {~negative}}};
    end
  endgenerate
endmodule
