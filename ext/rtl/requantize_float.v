// A whole number of 32 bits times a scale as float32 has it, bit for bit, out of whole numbers: the number becomes a float32 (24
// significant bits, ties to even), the product is rounded to one, and that to a whole number. The scale is
// multiplier / 2 ** shift, of a multiplier of 24 significant bits and a sign.
//
// float        the product, rounded to nearest, ties to even; without the zero point (ONNX Runtime)
// quant-round, quant-ceil, quant-floor   the product over a divisor, of 24 significant bits too and whose exponent is in the
//              shift; plus the zero point, each step a float32; then rounded to nearest, up or down (QONNX)
//
// quantize-linear   as quant-round, of no zero point, which is added after (ONNX)
//
// Numbers of float32 are taken to have any exponent. Results beyond 2 ** 30 either way count as that.
module requantize_float #(
    parameter RULE = "float"
) (
    input  signed [31:0] value,
    input  signed [31:0] multiplier,
    input  [23:0] divisor,
    input  signed [7:0] shift,
    input  signed [17:0] zero_point,
    output signed [63:0] scaled
);
  localparam [63:0] LIMIT = 64'h40000000;
  localparam FRACTION = 49;  // bits behind the point where the zero point is added, the last of which says that there is more

  // The product of two mantissas, as 24 significant bits: product * 2 ** exponent.
  wire negative = value[31] ^ multiplier[31];
  wire [31:0] size = value[31] ? -value : value;
  wire [31:0] factor = multiplier[31] ? -multiplier : multiplier;
  wire [24:0] mantissa, product;
  wire [7:0] value_places, product_places;
  significant #(.BITS(32)) of_value (.whole(size), .more(1'b0), .kept(mantissa), .places(value_places));
  significant #(.BITS(57)) of_product (
      .whole({32'd0, mantissa} * {25'd0, factor}), .more(1'b0), .kept(product), .places(product_places)
  );
  wire signed [9:0] exponent = {2'd0, value_places} + {2'd0, product_places} - {{2{shift[7]}}, shift};

  /* verilator lint_off WIDTH */  // names of other lengths than RULE's
  generate
    if (RULE == "float") begin : of_float
      wire [9:0] left = exponent[9] ? 10'd0 : exponent > 10'sd31 ? 10'd31 : exponent;
      wire [7:0] right = !exponent[9] ? 8'd0 : exponent < -10'sd63 ? 8'd63 : -exponent;
      wire [63:0] moved = {39'd0, product} << left;
      wire [63:0] whole;
      round_even #(.BITS(64)) round (.whole(moved), .more(1'b0), .places(right), .rounded(whole));
      wire [63:0] held = whole > LIMIT ? LIMIT : whole;
      assign scaled = negative ? -held : held;
      wire unused = &{1'b0, divisor, zero_point};
    end else begin : of_quant
      // A quotient of 26 bits or more, and whether there is a rest, as 24 significant bits.
      wire [51:0] numerator = {27'd0, product} << 27;
      wire [51:0] quotient = divisor == 24'd0 ? 52'd0 : numerator / {28'd0, divisor};
      wire rest = quotient * {28'd0, divisor} != numerator;
      wire [24:0] ratio;
      wire [7:0] ratio_places;
      significant #(.BITS(52)) of_ratio (.whole(quotient), .more(rest), .kept(ratio), .places(ratio_places));
      wire signed [9:0] ratio_exponent = exponent + {2'd0, ratio_places} - 10'sd27;

      // As a number with a point, of which the last bit says that there is more behind it; and the zero point added.
      wire signed [9:0] up = ratio_exponent + 10'sd48;
      wire [9:0] left = up[9] ? 10'd0 : up > 10'sd56 ? 10'd56 : up;
      wire [9:0] right = !up[9] ? 10'd0 : up < -10'sd31 ? 10'd31 : -up;
      wire [83:0] whole_ratio = {59'd0, ratio} << left;
      wire [83:0] moved = whole_ratio >> right;
      wire lost = (moved << right) != whole_ratio;
      wire signed [84:0] signless = {moved, lost};
      wire signed [84:0] wide_zero = {{67{zero_point[17]}}, zero_point};
      wire signed [84:0] sum = (negative ? -signless : signless) + (wide_zero <<< FRACTION);
      wire below = sum[84];
      wire [84:0] sum_size = below ? -sum : sum;
      wire [24:0] total;
      wire [7:0] total_places;
      significant #(.BITS(85)) of_sum (.whole(sum_size), .more(1'b0), .kept(total), .places(total_places));
      wire [84:0] real_sum = {60'd0, total} << total_places;

      wire [84:0] nearest;
      round_even #(.BITS(85)) round (.whole(real_sum), .more(1'b0), .places(8'd49), .rounded(nearest));
      wire away = RULE == "quant-ceil" ? !below : RULE == "quant-floor" ? below : 1'b0;
      wire [84:0] cut = (real_sum >> FRACTION) + (away && real_sum[FRACTION-1:0] != 0 ? 85'd1 : 85'd0);
      wire [84:0] whole = RULE == "quant-round" || RULE == "quantize-linear" ? nearest : cut;
      wire [63:0] held = whole > {21'd0, LIMIT} ? LIMIT : whole[63:0];
      assign scaled = below ? -held : held;
    end
  endgenerate
  /* verilator lint_on WIDTH */
endmodule
