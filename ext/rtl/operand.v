// What enters the datapath for a code: the code, or with ZERO_POINTS the code less its zero point, a bit wider and signed;
// where nothing is, in the padding, that of the zero point.
module operand #(
    parameter INPUT_BITS   = 8,
    parameter INPUT_SIGNED = 1,
    parameter ZERO_POINTS  = 0,
    parameter OPERAND_BITS = INPUT_BITS + (ZERO_POINTS == 0 ? 0 : 1)  // follows from the others
) (
    input  there,
    input  [INPUT_BITS-1:0] code,
    input  [INPUT_BITS-1:0] zero_point,
    output [OPERAND_BITS-1:0] value
);
  generate
    if (ZERO_POINTS == 0) assign value = there ? code : zero_point;
    else begin : less_zero
      wire [OPERAND_BITS-1:0] wide_code, wide_zero;
      extend #(.FROM(INPUT_BITS), .TO(OPERAND_BITS), .SIGNED(INPUT_SIGNED)) extend_code (.narrow(code), .wide(wide_code));
      extend #(.FROM(INPUT_BITS), .TO(OPERAND_BITS), .SIGNED(INPUT_SIGNED)) extend_zero (.narrow(zero_point), .wide(wide_zero));
      assign value = there ? wide_code - wide_zero : {OPERAND_BITS{1'b0}};
    end
  endgenerate
endmodule
