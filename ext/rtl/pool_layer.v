// A pooling layer: LANES channels after LANES channels, each output pixel, a tap of its window a cycle. Taps beyond the input,
// in the padding or past it, count for nothing; every window meets the input.
//
// The input is a memory outside, channels last, that answers in the same cycle with LANES words from an address on; those
// beyond the last channel are not looked at.
module pool_layer #(
    parameter KIND        = "maximum",  // or sum
    parameter LANES       = 4,
    parameter BITS        = 8,
    parameter SIGNED      = 1,
    parameter RESULT_BITS = BITS  // of a maximum BITS
) (
    input  clk,
    input  start,  // for one edge, with the shape below, which stays until done
    /* verilator lint_off UNUSED */  // a module reads its words alone
    input  [17*32-1:0] shape,  // words of 32 bits: quantised_layer.v; of one channel a group
    /* verilator lint_on UNUSED */

    output input_read,
    output [31:0] input_address,
    input  [LANES*BITS-1:0] input_codes,

    output reg result_valid,
    output reg [31:0] result_pixel,
    output reg [31:0] result_channel,  // of the first lane
    output [LANES*RESULT_BITS-1:0] results,

    output reg busy,  // a tap a cycle
    output done       // all results are out
);
  wire [31:0] pixels   = shape[0*32+:32];
  wire [31:0] height   = shape[1*32+:32];
  wire [31:0] width    = shape[2*32+:32];
  wire [31:0] channels = shape[3*32+:32];
  wire [31:0] taps     = shape[7*32+:32];

  localparam [31:0] L = LANES;
  reg  [31:0] channel, pixel, tap;
  wire last_tap   = tap + 1 == taps;
  wire last_pixel = pixel + 1 == pixels;
  wire last_lanes = channels - channel <= L;

  reg met;  // the window has met the input
  wire unused_pixel, unused_tap, unused_first;
  wire [31:0] pixel_y, pixel_x, pixel_address, tap_y, tap_x, tap_address;
  pixel_walker pixel_walker (
      .clk(clk), .restart(start || (last_tap && last_pixel)), .step(last_tap), .shape(shape), .in_range(unused_pixel),
      .y(pixel_y), .x(pixel_x), .address(pixel_address)
  );
  tap_walker tap_walker (
      .clk(clk), .restart(start || last_tap), .step(busy), .shape(shape), .in_range(unused_tap), .first(unused_first),
      .y(tap_y), .x(tap_x), .address(tap_address)
  );
  wire [31:0] at_y = pixel_y + tap_y;
  wire [31:0] at_x = pixel_x + tap_x;
  assign input_read    = busy && at_y < height && at_x < width;  // below zero is beyond the end
  assign input_address = pixel_address + tap_address + channel;

  initial begin
    busy         = 1'b0;
    result_valid = 1'b0;
  end
  always @(posedge clk) begin
    if (start) {busy, channel, pixel, tap} <= {1'b1, 96'd0};
    else if (busy) begin
      tap <= last_tap ? 0 : tap + 1;
      if (last_tap) pixel <= last_pixel ? 0 : pixel + 1;
      if (last_tap && last_pixel) {busy, channel} <= {!last_lanes, channel + L};
    end
    met            <= busy && !last_tap && (met || input_read);
    result_valid   <= busy && last_tap;
    result_pixel   <= pixel;
    result_channel <= channel;
  end
  assign done = !busy && !result_valid;

  genvar i;
  /* verilator lint_off WIDTH */  // names of another length than KIND's
  generate
    for (i = 0; i < LANES; i = i + 1) begin : lane
      if (KIND == "sum") begin : sums
        pool_sum #(.BITS(BITS), .SIGNED(SIGNED), .SUM_BITS(RESULT_BITS)) pool (
            .clk(clk), .clear(!met), .enable(input_read), .code(input_codes[i*BITS+:BITS]),
            .sum(results[i*RESULT_BITS+:RESULT_BITS])
        );
      end else begin : maxima
        pool_maximum #(.BITS(BITS), .SIGNED(SIGNED)) pool (
            .clk(clk), .clear(!met), .enable(input_read), .code(input_codes[i*BITS+:BITS]),
            .maximum(results[i*RESULT_BITS+:RESULT_BITS])
        );
      end
    end
  endgenerate
  /* verilator lint_on WIDTH */
endmodule
