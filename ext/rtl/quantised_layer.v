// A window layer on an array of either dataflow with a requantisation unit below each column: sums and codes leave together.
// The constants of each column's sum_filter come from a memory that answers in the same cycle.
//
// Words of `shape`, 32 bits each, the first one lowest: pixels (output pixels of all images), height, width, channels, groups,
// group_channels, group_filters, taps (of one output), kernel_width, stride_y, stride_x, padding_y, padding_x, dilation_y,
// dilation_x, out_height, out_width.
module quantised_layer #(
    parameter DATAFLOW         = "output",  // what is stationary: output or weight
    parameter DATAPATH         = "mac",
    parameter ROWS             = 4,
    parameter COLUMNS          = 4,
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ZERO_POINTS      = 0,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0,
    parameter RULE             = "half-even",
    parameter OUTPUT_BITS      = 8,
    parameter OUTPUT_SIGNED    = 1,
    parameter WRAP             = 0
) (
    input  clk,
    input  start,
    input  [17*32-1:0] shape,
    input  [INPUT_BITS-1:0] zero_point,
    output [ROWS-1:0] input_inside,
    output [ROWS*32-1:0] input_address,
    input  [ROWS*INPUT_BITS-1:0] input_codes,
    output [COLUMNS-1:0] weight_read,
    output [COLUMNS*32-1:0] weight_address,
    input  [COLUMNS*WEIGHT_BITS-1:0] weight_codes,
    input  [COLUMNS*32-1:0] bias,
    input  [COLUMNS*32-1:0] multiplier,
    input  [COLUMNS*64-1:0] addend,
    input  [COLUMNS*8-1:0] shift,
    input  [17:0] output_zero_point,
    input  [17:0] low,
    input  [17:0] high,
    output [COLUMNS-1:0] partial_read,  // by weight-stationary arrays alone
    output [COLUMNS*32-1:0] partial_pixel,
    output [COLUMNS*32-1:0] partial_filter,
    input  [COLUMNS*ACCUMULATOR_BITS-1:0] partial_sums,
    output [COLUMNS-1:0] sum_valid,
    output [COLUMNS-1:0] sum_whole,
    output [COLUMNS*32-1:0] sum_pixel,
    output [COLUMNS*32-1:0] sum_filter,
    output [COLUMNS*ACCUMULATOR_BITS-1:0] sums,
    output [COLUMNS*OUTPUT_BITS-1:0] codes,
    output busy,
    output done
);
  /* verilator lint_off WIDTH */  // names of another length than DATAFLOW's
  generate
    if (DATAFLOW == "weight") begin : weights_stay
      layer_weight_stationary #(
          .DATAPATH(DATAPATH), .ROWS(ROWS), .COLUMNS(COLUMNS), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS),
          .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED), .ZERO_POINTS(ZERO_POINTS),
          .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
      ) layer (
          .clk(clk), .start(start), .shape(shape), .zero_point(zero_point),
          .input_inside(input_inside), .input_address(input_address), .input_codes(input_codes), .weight_read(weight_read),
          .weight_address(weight_address), .weight_codes(weight_codes), .partial_read(partial_read), .partial_pixel(partial_pixel),
          .partial_filter(partial_filter), .partial_sums(partial_sums), .sum_valid(sum_valid), .sum_whole(sum_whole),
          .sum_pixel(sum_pixel),
          .sum_filter(sum_filter), .sums(sums), .busy(busy), .done(done)
      );
    end else begin : sums_stay
      assign partial_read   = {COLUMNS{1'b0}};
      assign partial_pixel  = {COLUMNS * 32{1'b0}};
      assign partial_filter = {COLUMNS * 32{1'b0}};
      assign sum_whole      = {COLUMNS{1'b1}};
      wire unused = &{1'b0, partial_sums};
      layer_output_stationary #(
          .DATAPATH(DATAPATH), .ROWS(ROWS), .COLUMNS(COLUMNS), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS),
          .INPUT_SIGNED(INPUT_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED), .ZERO_POINTS(ZERO_POINTS),
          .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
      ) layer (
          .clk(clk), .start(start), .shape(shape), .zero_point(zero_point),
          .input_inside(input_inside), .input_address(input_address), .input_codes(input_codes), .weight_read(weight_read),
          .weight_address(weight_address), .weight_codes(weight_codes), .sum_valid(sum_valid), .sum_pixel(sum_pixel),
          .sum_filter(sum_filter), .sums(sums), .busy(busy), .done(done)
      );
    end
  endgenerate
  /* verilator lint_on WIDTH */
  genvar c;
  generate
    for (c = 0; c < COLUMNS; c = c + 1) begin : column
      requantize #(
          .RULE(RULE), .SUM_BITS(ACCUMULATOR_BITS), .OUTPUT_BITS(OUTPUT_BITS), .OUTPUT_SIGNED(OUTPUT_SIGNED), .WRAP(WRAP)
      ) requantize (
          .sum(sums[c*ACCUMULATOR_BITS+:ACCUMULATOR_BITS]), .bias(bias[c*32+:32]), .multiplier(multiplier[c*32+:32]),
          .addend(addend[c*64+:64]), .shift(shift[c*8+:8]), .zero_point(output_zero_point), .low(low), .high(high),
          .code(codes[c*OUTPUT_BITS+:OUTPUT_BITS])
      );
    end
  endgenerate
endmodule
