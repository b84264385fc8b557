// A sum becomes a code by a rule, without registers: (sum + bias) times the multiplier, plus the addend, shifted and rounded,
// plus the zero point, into the codes low..high.
//
// half-even, half-up, truncate  rounded to nearest, ties to even or up, or down
// doubling  TensorFlow Lite's reference kernels: the high word of twice a 32-bit product, then a shift, ties away from zero;
//           a negative shift counts to the right, a positive one to the left and before
// single    TOSA with single rounding: ties up; double: with double rounding, beyond shifts of 31
// float, quant-round, quant-ceil, quant-floor, quantize-linear  float32 of ONNX Runtime, QONNX and ONNX: requantize_float.v; the divisor is
//           in addend
/* verilator lint_off UNUSED */  // each rule reads its own constants, and codes are narrower than results
module requantize #(
    parameter RULE        = "half-even",
    parameter SUM_BITS    = 32,
    parameter OUTPUT_BITS = 8,
    parameter OUTPUT_SIGNED = 1,
    parameter WRAP        = 0  // 1: codes keep the last OUTPUT_BITS, and then are held in low..high
) (
    input  signed [SUM_BITS-1:0] sum,
    input  signed [31:0] bias,
    input  signed [31:0] multiplier,
    input  signed [63:0] addend,
    input  signed [7:0] shift,
    input  signed [17:0] zero_point,
    input  signed [17:0] low,
    input  signed [17:0] high,
    output [OUTPUT_BITS-1:0] code
);
  localparam signed [63:0] ONE = 1;
  /* verilator lint_off WIDTH */  // names of other lengths than RULE's
  localparam QUANT = RULE == "quant-round" || RULE == "quant-ceil" || RULE == "quant-floor";  // the zero point is in

  wire signed [63:0] wide_sum, wide_bias, wide_multiplier;
  extend #(.FROM(SUM_BITS), .TO(64)) extend_sum (.narrow(sum), .wide(wide_sum));
  extend #(.FROM(32), .TO(64)) extend_bias (.narrow(bias), .wide(wide_bias));
  extend #(.FROM(32), .TO(64)) extend_multiplier (.narrow(multiplier), .wide(wide_multiplier));
  wire signed [63:0] biased = wide_sum + wide_bias;

  wire signed [63:0] scaled;
  generate
    if (RULE == "doubling") begin : doubling
      wire signed [63:0] all = shift > 0 ? biased <<< shift[5:0] : biased;
      wire signed [31:0] kept = all[31:0];  // what leaves 32 bits is lost
      wire signed [63:0] wide_kept = kept;
      wire signed [63:0] rounded = wide_kept * wide_multiplier + (ONE <<< 30);
      wire signed [63:0] doubled = rounded >>> 31;
      wire signed [63:0] word = doubled > 64'sh7fffffff ? 64'sh7fffffff : doubled;
      wire signed [7:0] places = shift < 0 ? -shift : 8'sd0;
      wire signed [63:0] half = (ONE <<< places[5:0]) >>> 1;
      wire signed [63:0] up = (word[63] ? -word : word) + half;
      wire signed [63:0] magnitude = up >>> places[5:0];
      assign scaled = word[63] ? -magnitude : magnitude;
    end else if (QUANT || RULE == "float" || RULE == "quantize-linear") begin : of_floats
      requantize_float #(
          .RULE(RULE)
      ) real_scale (
          .value(biased[31:0]), .multiplier(multiplier), .divisor(addend[23:0]), .shift(shift),
          .zero_point(QUANT ? zero_point : 18'sd0), .scaled(scaled)
      );
    end else begin : one_shift
      wire signed [63:0] exact = biased * wide_multiplier + addend;
      wire signed [63:0] half = (ONE <<< shift[5:0]) >>> 1;
      if (RULE == "truncate") assign scaled = exact >>> shift[5:0];
      else if (RULE == "half-up" || RULE == "single") begin : up
        wire signed [63:0] rounded = exact + half;
        assign scaled = rounded >>> shift[5:0];
      end else if (RULE == "double") begin : twice
        wire signed [63:0] more = shift > 8'sd31 ? (biased[63] ? -(ONE <<< 30) : (ONE <<< 30)) : 64'sd0;
        wire signed [63:0] rounded = exact + half + more;
        assign scaled = rounded >>> shift[5:0];
      end else begin : even
        wire signed [63:0] floor = exact >>> shift[5:0];
        wire signed [63:0] rest = exact - (floor <<< shift[5:0]);
        assign scaled = floor + ((half != 0 && (rest > half || (rest == half && floor[0]))) ? ONE : 64'sd0);
      end
    end
  endgenerate
  /* verilator lint_on WIDTH */

  wire signed [63:0] wide_zero, wide_low, wide_high, kept;
  extend #(.FROM(18), .TO(64)) extend_zero (.narrow(zero_point), .wide(wide_zero));
  extend #(.FROM(18), .TO(64)) extend_low (.narrow(low), .wide(wide_low));
  extend #(.FROM(18), .TO(64)) extend_high (.narrow(high), .wide(wide_high));
  wire signed [63:0] result = QUANT ? scaled : scaled + wide_zero;
  generate
    if (WRAP == 0) assign kept = result;
    else begin : wraps
      extend #(.FROM(OUTPUT_BITS), .TO(64), .SIGNED(OUTPUT_SIGNED)) extend_code (.narrow(result[OUTPUT_BITS-1:0]), .wide(kept));
    end
  endgenerate
  wire signed [63:0] held = kept < wide_low ? wide_low : kept > wide_high ? wide_high : kept;
  assign code = held[OUTPUT_BITS-1:0];
endmodule
/* verilator lint_on UNUSED */
