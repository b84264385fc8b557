// A product of two bytes that a table has: a multiplier, exact or approximate, that is known by its 65,536 products. With the
// macro PRODUCTS the memory is read from products.hex: words of 32 bits, at the byte of the input before that of the weight.
// The tap adds term + carry; term is in two's complement.
module kernel_table #(
    parameter INPUT_BITS    = 8,  // 8 at most
    parameter WEIGHT_BITS   = 8,
    parameter INPUT_SIGNED  = 1,
    parameter WEIGHT_SIGNED = 1,
    parameter MAGNITUDES    = 0  // 1: the table has products of magnitudes, and the product has the signs' exclusive or
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    output [31:0] term,
    output carry
);
  wire [7:0] x, w;
  extend #(.FROM(INPUT_BITS), .TO(8), .SIGNED(INPUT_SIGNED)) extend_input (.narrow(input_code), .wide(x));
  extend #(.FROM(WEIGHT_BITS), .TO(8), .SIGNED(WEIGHT_SIGNED)) extend_weight (.narrow(weight_code), .wide(w));
  wire x_sign = MAGNITUDES != 0 && INPUT_SIGNED != 0 && x[7];
  wire w_sign = MAGNITUDES != 0 && WEIGHT_SIGNED != 0 && w[7];
  wire [15:0] address = {(x ^ {8{x_sign}}) + {7'd0, x_sign}, (w ^ {8{w_sign}}) + {7'd0, w_sign}};

  /* verilator lint_off UNDRIVEN */  // without the macro, of no use but to be read
  reg [31:0] products[0:65535];
  /* verilator lint_on UNDRIVEN */
`ifdef PRODUCTS
  initial $readmemh("products.hex", products);
`endif
  assign carry = x_sign ^ w_sign;
  assign term  = products[address] ^ {32{carry}};
endmodule
