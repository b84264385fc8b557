// A whole window layer on an output-stationary array: groups one after another, each in folds of ROWS output pixels by COLUMNS
// filters, each of ROWS + COLUMNS + taps - 2 cycles, during which the sums of the fold before drain.
//
// Memories are outside and answer in the same cycle: ROWS words of the input (channels last), COLUMNS words of the weights
// (filter, then its taps in the order of a sum). Where input_inside is 0 a window reaches into the padding, and nothing is read.
module layer_output_stationary #(
    parameter DATAPATH         = "mac",
    parameter ROWS             = 4,
    parameter COLUMNS          = 4,
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ZERO_POINTS      = 0,  // 1: an operand is a code less the input's zero point, a bit wider and signed
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  clk,
    input  start,  // for one edge, with the shape below, which stays until done

    input  [31:0] pixels,  // output pixels of all images
    input  [31:0] height,
    input  [31:0] width,
    input  [31:0] channels,
    input  [31:0] groups,
    input  [31:0] group_channels,
    input  [31:0] group_filters,
    input  [31:0] taps,  // of one output
    input  [31:0] kernel_width,
    input  [31:0] stride_y,
    input  [31:0] stride_x,
    input  [31:0] padding_y,
    input  [31:0] padding_x,
    input  [31:0] dilation_y,
    input  [31:0] dilation_x,
    input  [31:0] out_height,
    input  [31:0] out_width,
    input  [INPUT_BITS-1:0] zero_point,

    output [ROWS-1:0] input_inside,
    output [ROWS*32-1:0] input_address,
    input  [ROWS*INPUT_BITS-1:0] input_codes,
    output [COLUMNS-1:0] weight_read,
    output [COLUMNS*32-1:0] weight_address,
    input  [COLUMNS*WEIGHT_BITS-1:0] weight_codes,

    output [COLUMNS-1:0] sum_valid,  // filters that are there, of a pixel that is there
    output [COLUMNS*32-1:0] sum_pixel,
    output [COLUMNS*32-1:0] sum_filter,
    output [COLUMNS*ACCUMULATOR_BITS-1:0] sums,

    output busy,  // the array runs
    output done   // all sums are out
);
  localparam OPERAND_BITS   = INPUT_BITS + (ZERO_POINTS == 0 ? 0 : 1);
  localparam OPERAND_SIGNED = ZERO_POINTS == 0 ? INPUT_SIGNED : 1;
  localparam [31:0] FILL    = ROWS + COLUMNS - 2;
  localparam [31:0] R       = ROWS;
  localparam [31:0] C       = COLUMNS;
  localparam [1:0] IDLE = 2'd0, SETUP = 2'd1, RUN = 2'd2, DRAIN = 2'd3;

  // Folds: which one runs, and in which of its cycles.
  reg  [1:0] state;
  reg  [31:0] cycle, group, first_pixel, first_filter;
  wire last_cycle   = cycle == taps + FILL - 1;
  wire last_filters = first_filter + C >= group_filters;
  wire last_pixels  = first_pixel + R >= pixels;
  wire last_fold    = last_filters && last_pixels && group + 1 == groups;
  wire setup_ends   = state == SETUP && cycle == R - 1;
  wire fold_ends    = state == RUN && last_cycle;
  assign busy = state == RUN;

  initial state = IDLE;
  always @(posedge clk)
    if (start) begin
      state        <= SETUP;
      cycle        <= 0;
      group        <= 0;
      first_pixel  <= 0;
      first_filter <= 0;
    end else if (setup_ends) begin
      state <= RUN;
      cycle <= 0;
    end else if (fold_ends) begin
      state        <= last_fold ? DRAIN : RUN;
      cycle        <= 0;
      first_filter <= last_filters ? 0 : first_filter + C;
      if (last_filters) begin
        first_pixel <= last_pixels ? 0 : first_pixel + R;
        if (last_pixels) group <= group + 1;
      end
    end else if (done) state <= IDLE;
    else cycle <= cycle + 1;

  // Pixels of the rows: those of the next fold are found while the last fold with the present ones runs.
  wire walks      = state == SETUP || (state == RUN && last_filters && cycle < R);
  wire walk_ends  = walks && cycle == R - 1;
  wire exchange   = setup_ends || (fold_ends && last_filters);
  wire [31:0] walked = state == SETUP || last_pixels ? 0 : first_pixel + R;  // the first of the pixels that are found
  wire pixel_there;
  wire [31:0] pixel_y, pixel_x, pixel_address;
  pixel_walker pixel_walker (
      .clk(clk), .restart(start || (walk_ends && walked + R >= pixels)),
      .step(walks), .pixels(pixels), .out_height(out_height), .out_width(out_width), .stride_y(stride_y),
      .stride_x(stride_x), .padding_y(padding_y), .padding_x(padding_x), .height(height), .width(width),
      .channels(channels), .in_range(pixel_there), .y(pixel_y), .x(pixel_x), .address(pixel_address)
  );

  // The tap that row 0 takes in this cycle.
  wire tap_there, tap_first;
  wire [31:0] tap_y, tap_x, tap_address;
  tap_walker tap_walker (
      .clk(clk), .restart(setup_ends || fold_ends), .step(busy), .taps(taps), .kernel_width(kernel_width),
      .dilation_y(dilation_y), .dilation_x(dilation_x), .width(width), .channels(channels),
      .group_channels(group_channels), .in_range(tap_there), .first(tap_first), .y(tap_y), .x(tap_x),
      .address(tap_address)
  );

  // Rows: each adds its pixel's place to that of the tap, which it hands on to the next row.
  wire [ROWS-1:0] row_valid, row_first;
  wire [ROWS*OPERAND_BITS-1:0] operands;
  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row
      reg next_there, there;
      reg [31:0] next_y, next_x, next_address, own_y, own_x, own_address;
      wire found_there;
      wire [31:0] found_y, found_x, found_address;
      if (r == ROWS - 1) begin : at_walker
        assign {found_there, found_y, found_x, found_address} = walks
            ? {pixel_there, pixel_y, pixel_x, pixel_address} : {next_there, next_y, next_x, next_address};
      end else begin : before_walker
        assign {found_there, found_y, found_x, found_address} = walks
            ? {row[r+1].next_there, row[r+1].next_y, row[r+1].next_x, row[r+1].next_address}
            : {next_there, next_y, next_x, next_address};
      end
      always @(posedge clk) begin
        {next_there, next_y, next_x, next_address} <= {found_there, found_y, found_x, found_address};
        if (exchange) {there, own_y, own_x, own_address} <= {found_there, found_y, found_x, found_address};
      end

      wire valid, first;
      wire [31:0] y, x, address;
      if (r == 0) begin : at_tap
        assign {valid, first, y, x, address} =
            {busy && tap_there, tap_first, tap_y, tap_x, tap_address + group * group_channels};
      end else begin : after_tap
        reg held_valid, held_first;
        reg [31:0] held_y, held_x, held_address;
        initial held_valid = 1'b0;
        always @(posedge clk)
          {held_valid, held_first, held_y, held_x, held_address} <=
              {row[r-1].valid, row[r-1].first, row[r-1].y, row[r-1].x, row[r-1].address};
        assign {valid, first, y, x, address} = {held_valid, held_first, held_y, held_x, held_address};
      end
      wire [31:0] at_y = own_y + y;
      wire [31:0] at_x = own_x + x;
      assign row_valid[r] = valid;
      assign row_first[r] = first;
      assign input_inside[r] = valid && there && at_y < height && at_x < width;  // below zero is beyond the end
      assign input_address[r*32+:32] = own_address + address;

      operand #(.INPUT_BITS(INPUT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .ZERO_POINTS(ZERO_POINTS)) operand (
          .there(input_inside[r]), .code(input_codes[r*INPUT_BITS+:INPUT_BITS]), .zero_point(zero_point),
          .value(operands[r*OPERAND_BITS+:OPERAND_BITS])
      );
    end

    // Columns: each reads the filter after the one of the column before, a cycle later.
    for (c = 0; c < COLUMNS; c = c + 1) begin : column
      localparam [31:0] PLACE = c;
      wire read;
      wire [31:0] address;
      if (c == 0) begin : at_tap
        reg [31:0] tap;
        always @(posedge clk) tap <= setup_ends || fold_ends ? 0 : tap + 1;
        assign read = busy && tap_there;
        assign address = (group * group_filters + first_filter) * taps + tap;
      end else begin : after_tap
        reg held_read;
        reg [31:0] held_address;
        initial held_read = 1'b0;
        always @(posedge clk) begin
          held_read    <= column[c-1].read;
          held_address <= column[c-1].address + taps;
        end
        assign read = held_read;
        assign address = held_address;
      end
      assign weight_read[c] = read && first_filter + PLACE < group_filters;
      assign weight_address[c*32+:32] = address;
    end
  endgenerate

  // A fold's sums are whole two cycles after it; then they drain, those of the last row first.
  reg captures, fold_ended;
  reg [31:0] pixel_1, pixel_2, filter_1, filter_2, group_1, group_2;  // of the fold that ended one and two cycles ago
  reg [31:0] drain_pixel, drain_filter, drain_group, drain_left;
  array_output_stationary #(
      .DATAPATH(DATAPATH), .ROWS(ROWS), .COLUMNS(COLUMNS), .INPUT_BITS(OPERAND_BITS), .WEIGHT_BITS(WEIGHT_BITS),
      .INPUT_SIGNED(OPERAND_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .SATURATE(SATURATE)
  ) array (
      .clk(clk), .valid(row_valid), .clear(row_first), .input_codes(operands), .weight_codes(weight_codes),
      .capture(captures), .drained(sums)
  );

  initial begin
    fold_ended = 1'b0;
    captures   = 1'b0;
    drain_left = 0;
  end
  always @(posedge clk) begin
    fold_ended <= fold_ends;
    captures   <= fold_ended;
    {pixel_1, filter_1, group_1} <= {first_pixel, first_filter, group};
    {pixel_2, filter_2, group_2} <= {pixel_1, filter_1, group_1};
    if (captures) {drain_pixel, drain_filter, drain_group, drain_left} <= {pixel_2, filter_2, group_2, R};
    else if (drain_left != 0) drain_left <= drain_left - 1;
  end

  wire [31:0] leaving = drain_pixel + drain_left - 1;
  generate
    for (c = 0; c < COLUMNS; c = c + 1) begin : finished
      localparam [31:0] PLACE = c;
      assign sum_pixel[c*32+:32] = leaving;
      assign sum_filter[c*32+:32] = drain_group * group_filters + drain_filter + PLACE;
      assign sum_valid[c] = drain_left != 0 && leaving < pixels && drain_filter + PLACE < group_filters;
    end
  endgenerate
  assign done = state == DRAIN && !fold_ended && !captures && drain_left == 0;
endmodule
