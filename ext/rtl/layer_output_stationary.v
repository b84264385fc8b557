// A whole window layer on an output-stationary array: groups one after another, each in folds of up to ROWS output pixels by up to
// COLUMNS filters. A fold lasts as many cycles as it uses rows and columns, plus taps - 2; meanwhile the sums of the fold before
// drain, and the pixels of the next rows are found. A fold that is shorter than these waits for them, and is not busy.
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

    /* verilator lint_off UNUSED */  // a module reads its words alone
    input  [17*32-1:0] shape,  // words of 32 bits: quantised_layer.v
    /* verilator lint_on UNUSED */
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
  wire [31:0] pixels         = shape[0*32+:32];
  wire [31:0] height         = shape[1*32+:32];
  wire [31:0] width          = shape[2*32+:32];
  wire [31:0] groups         = shape[4*32+:32];
  wire [31:0] group_channels = shape[5*32+:32];
  wire [31:0] group_filters  = shape[6*32+:32];
  wire [31:0] taps           = shape[7*32+:32];

  localparam OPERAND_BITS   = INPUT_BITS + (ZERO_POINTS == 0 ? 0 : 1);
  localparam OPERAND_SIGNED = ZERO_POINTS == 0 ? INPUT_SIGNED : 1;
  localparam [31:0] R       = ROWS;
  localparam [31:0] C       = COLUMNS;
  localparam [2:0] IDLE = 3'd0, SETUP = 3'd1, RUN = 3'd2, HOLD = 3'd3, DRAIN = 3'd4;

  // Folds: which one runs, and in which of its cycles.
  reg  [2:0] state;
  reg  [31:0] cycle, group, first_pixel, first_filter;
  wire [31:0] pixels_left  = pixels - first_pixel;
  wire [31:0] filters_left = group_filters - first_filter;
  wire last_pixels  = pixels_left <= R;
  wire last_filters = filters_left <= C;
  wire [31:0] used_rows    = last_pixels ? pixels_left : R;
  wire [31:0] used_columns = last_filters ? filters_left : C;
  wire last_fold    = last_filters && last_pixels && group + 1 == groups;

  // The pixels of the next rows are found while the last fold with the present ones runs; of the first rows, before.
  reg  [31:0] walk_left;
  reg  walked;
  wire walks     = walk_left != 0;
  wire walk_ends = walk_left == 1;

  // A fold ends where what it needs of its surroundings is done.
  reg  captures, fold_ended;  // one and two cycles after a fold's end: its sums are whole then
  reg  [31:0] drain_left;
  wire drained     = drain_left <= 3 && !fold_ended && !captures;
  wire found       = !last_filters || last_fold || walked || walk_ends;
  wire last_cycle  = cycle == taps + used_rows + used_columns - 3;
  wire setup_ends  = state == SETUP && walk_ends;
  wire fold_ends   = ((state == RUN && last_cycle) || state == HOLD) && drained && found;
  wire exchange    = setup_ends || (fold_ends && last_filters);
  assign busy = state == RUN;

  initial begin
    state     = IDLE;
    walk_left = 0;
  end
  always @(posedge clk) begin
    cycle <= start || setup_ends || fold_ends ? 0 : cycle + 1;
    if (start || (state == RUN && cycle == 0 && last_filters && !last_fold)) walk_left <= R;
    else if (walks) walk_left <= walk_left - 1;
    walked <= !(start || setup_ends || fold_ends) && (walked || walk_ends);

    if (start) begin
      state        <= SETUP;
      group        <= 0;
      first_pixel  <= 0;
      first_filter <= 0;
    end else if (setup_ends) state <= RUN;
    else if (fold_ends) begin
      state        <= last_fold ? DRAIN : RUN;
      first_filter <= last_filters ? 0 : first_filter + C;
      if (last_filters) begin
        first_pixel <= last_pixels ? 0 : first_pixel + R;
        if (last_pixels) group <= group + 1;
      end
    end else if (state == RUN && last_cycle) state <= HOLD;
    else if (done) state <= IDLE;
  end

  wire [31:0] walked_from = state == SETUP || last_pixels ? 0 : first_pixel + R;  // the first of the pixels that are found
  wire unused;
  wire [31:0] pixel_y, pixel_x, pixel_address;
  pixel_walker pixel_walker (
      .clk(clk), .restart(start || (walk_ends && walked_from + R >= pixels)),
      .step(walks), .shape(shape), .in_range(unused), .y(pixel_y), .x(pixel_x), .address(pixel_address)
  );

  // The tap that row 0 takes in this cycle.
  wire tap_there, tap_first;
  wire [31:0] tap_y, tap_x, tap_address;
  tap_walker tap_walker (
      .clk(clk), .restart(setup_ends || fold_ends), .step(busy), .shape(shape),
      .in_range(tap_there), .first(tap_first), .y(tap_y), .x(tap_x), .address(tap_address)
  );

  // Rows: each adds its pixel's place to that of the tap, which it hands on to the next row.
  wire [ROWS-1:0] row_valid, row_first;
  wire [ROWS*OPERAND_BITS-1:0] operands;
  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row
      localparam [31:0] PLACE = r;
      reg [31:0] next_y, next_x, next_address, own_y, own_x, own_address;
      wire [31:0] found_y, found_x, found_address;
      if (r == ROWS - 1) begin : at_walker
        assign {found_y, found_x, found_address} = walks
            ? {pixel_y, pixel_x, pixel_address} : {next_y, next_x, next_address};
      end else begin : before_walker
        assign {found_y, found_x, found_address} = walks
            ? {row[r+1].next_y, row[r+1].next_x, row[r+1].next_address}
            : {next_y, next_x, next_address};
      end
      always @(posedge clk) begin
        {next_y, next_x, next_address} <= {found_y, found_x, found_address};
        if (exchange) {own_y, own_x, own_address} <= {found_y, found_x, found_address};
      end

      wire valid, first;
      wire [31:0] rows, y, x, address;  // rows that the tap's fold uses
      if (r == 0) begin : at_tap
        assign {valid, first, rows, y, x, address} =
            {busy && tap_there, tap_first, used_rows, tap_y, tap_x, tap_address + group * group_channels};
      end else begin : after_tap
        reg held_valid, held_first;
        reg [31:0] held_rows, held_y, held_x, held_address;
        initial held_valid = 1'b0;
        always @(posedge clk)
          {held_valid, held_first, held_rows, held_y, held_x, held_address} <=
              {row[r-1].valid, row[r-1].first, row[r-1].rows, row[r-1].y, row[r-1].x, row[r-1].address};
        assign {valid, first, rows, y, x, address} = {held_valid, held_first, held_rows, held_y, held_x, held_address};
      end
      wire [31:0] at_y = own_y + y;
      wire [31:0] at_x = own_x + x;
      assign row_valid[r] = valid;
      assign row_first[r] = first;
      assign input_inside[r] = valid && PLACE < rows && at_y < height && at_x < width;  // below zero is beyond the end
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
      wire [31:0] columns, address;  // columns that the tap's fold uses
      if (c == 0) begin : at_tap
        reg [31:0] tap;
        always @(posedge clk) tap <= setup_ends || fold_ends ? 0 : tap + 1;
        assign read = busy && tap_there;
        assign columns = used_columns;
        assign address = (group * group_filters + first_filter) * taps + tap;
      end else begin : after_tap
        reg held_read;
        reg [31:0] held_columns, held_address;
        initial held_read = 1'b0;
        always @(posedge clk) begin
          held_read    <= column[c-1].read;
          held_columns <= column[c-1].columns;
          held_address <= column[c-1].address + taps;
        end
        assign read = held_read;
        assign columns = held_columns;
        assign address = held_address;
      end
      assign weight_read[c] = read && PLACE < columns;
      assign weight_address[c*32+:32] = address;
    end
  endgenerate

  // A fold's sums are whole two cycles after it; then they drain, those of the first row first.
  reg [31:0] pixel_1, pixel_2, filter_1, filter_2, group_1, group_2, rows_1, rows_2;  // of the fold one and two cycles ago
  reg [31:0] drain_pixel, drain_filter, drain_group;
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
    {pixel_1, filter_1, group_1, rows_1} <= {first_pixel, first_filter, group, used_rows};
    {pixel_2, filter_2, group_2, rows_2} <= {pixel_1, filter_1, group_1, rows_1};
    if (captures) {drain_pixel, drain_filter, drain_group, drain_left} <= {pixel_2, filter_2, group_2, rows_2};
    else if (drain_left != 0) {drain_pixel, drain_left} <= {drain_pixel + 32'd1, drain_left - 32'd1};
  end

  generate
    for (c = 0; c < COLUMNS; c = c + 1) begin : finished
      localparam [31:0] PLACE = c;
      assign sum_pixel[c*32+:32] = drain_pixel;
      assign sum_filter[c*32+:32] = drain_group * group_filters + drain_filter + PLACE;
      assign sum_valid[c] = drain_left != 0 && drain_filter + PLACE < group_filters;
    end
  endgenerate
  assign done = state == DRAIN && !fold_ended && !captures && drain_left == 0;
endmodule
