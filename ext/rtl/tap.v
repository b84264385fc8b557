// One tap of a window layer, by the datapath of a name: the sum after it, out of the sum before it. No registers.
module tap #(
    parameter DATAPATH         = "mac",
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  [INPUT_BITS-1:0] input_code,
    input  [WEIGHT_BITS-1:0] weight_code,
    input  [ACCUMULATOR_BITS-1:0] sum_before,
    output [ACCUMULATOR_BITS-1:0] sum_after
);
  localparam X_BITS      = INPUT_BITS + (INPUT_SIGNED == 0 ? 1 : 0);
  localparam INPUT_WIDE  = INPUT_BITS + (INPUT_SIGNED == 0 && WEIGHT_SIGNED != 0 ? 1 : 0);
  localparam WEIGHT_WIDE = WEIGHT_BITS + (WEIGHT_SIGNED == 0 && INPUT_SIGNED != 0 ? 1 : 0);
  localparam COMMON      = INPUT_WIDE > WEIGHT_WIDE ? INPUT_WIDE : WEIGHT_WIDE;
  localparam PRODUCT     = INPUT_BITS + WEIGHT_BITS + (INPUT_SIGNED == 0 && WEIGHT_SIGNED == 0 ? 1 : 0);

  /* verilator lint_off WIDTH */  // names of other lengths than DATAPATH's
  localparam TERM_BITS =
      DATAPATH == "mac" || DATAPATH == "mac_booth" ? PRODUCT
      : DATAPATH == "l2" ? 1 + 2 * COMMON
      : DATAPATH == "ternary" ? X_BITS
      : DATAPATH == "shift" ? X_BITS + (1 << (WEIGHT_BITS - 1)) - 2
      : DATAPATH == "apot" ? X_BITS + (WEIGHT_BITS == 3 ? 2 : WEIGHT_BITS == 4 ? 4 : 6)
      : DATAPATH == "xnor" ? 1 + $clog2(INPUT_BITS + 1)
      : DATAPATH == "table" || DATAPATH == "table_magnitude" ? 32
      : 1 + COMMON;
  wire [TERM_BITS-1:0] term;
  wire carry;
  generate
    if (DATAPATH == "l1_2a") begin : of_l1_2a
      kernel_l1_2a #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "l1_1c1a") begin : of_l1_1c1a
      kernel_l1_1c1a #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "l1_xor") begin : of_l1_xor
      kernel_l1_xor #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "mac") begin : of_mac
      kernel_mac #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "mac_booth") begin : of_mac_booth
      kernel_mac_booth #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "l2") begin : of_l2
      kernel_l2 #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "ternary") begin : of_ternary
      kernel_ternary #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "shift") begin : of_shift
      kernel_shift #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "apot") begin : of_apot
      kernel_apot #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "xnor") begin : of_xnor
      kernel_xnor #(
          .LANES(INPUT_BITS)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "table") begin : of_table
      kernel_table #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED),
          .MAGNITUDES(0)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end else if (DATAPATH == "table_magnitude") begin : of_table_magnitude
      kernel_table #(
          .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED),
          .MAGNITUDES(1)
      ) kernel (
          .input_code(input_code), .weight_code(weight_code), .term(term), .carry(carry)
      );
    end
  endgenerate
  /* verilator lint_on WIDTH */
  add_term #(
      .TERM_BITS(TERM_BITS), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
  ) sum (
      .sum_before(sum_before), .term(term), .carry(carry), .sum_after(sum_after)
  );
endmodule
