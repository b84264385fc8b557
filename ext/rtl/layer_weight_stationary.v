// A whole window layer on a weight-stationary array: groups one after another, each in folds of up to ROWS taps by up
// to COLUMNS filters. A fold lasts twice the rows and once the columns that it uses, plus pixels - 2, cycles: as many as rows to
// load the weights, the rest for all output pixels to pass.
//
// Memories are outside and answer in the same cycle, as those of layer_output_stationary; sums that a further fold goes on with
// go to a memory of partial sums and come back from it.
module layer_weight_stationary #(
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

    output [COLUMNS-1:0] partial_read,
    output [COLUMNS*32-1:0] partial_pixel,
    output [COLUMNS*32-1:0] partial_filter,
    input  [COLUMNS*ACCUMULATOR_BITS-1:0] partial_sums,

    output [COLUMNS-1:0] sum_valid,  // filters that are there
    output [COLUMNS-1:0] sum_whole,  // with all taps in
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
  localparam [1:0] IDLE = 2'd0, LOAD = 2'd1, STREAM = 2'd2, DRAIN = 2'd3;

  // Folds: which one runs, and in which of its cycles.
  reg  [1:0] state;
  reg  [31:0] cycle, group, first_tap, first_filter;
  wire [31:0] taps_left    = taps - first_tap;
  wire [31:0] filters_left = group_filters - first_filter;
  wire last_taps    = taps_left <= R;
  wire last_filters = filters_left <= C;
  wire [31:0] used_rows    = last_taps ? taps_left : R;
  wire [31:0] used_columns = last_filters ? filters_left : C;
  wire load         = state == LOAD;
  wire load_ends    = load && cycle == used_rows - 1;
  wire fold_ends    = state == STREAM && cycle == pixels + used_rows + used_columns - 3;
  assign busy = load || state == STREAM;

  initial state = IDLE;
  always @(posedge clk)
    if (start) begin
      state        <= LOAD;
      cycle        <= 0;
      group        <= 0;
      first_tap    <= 0;
      first_filter <= 0;
    end else if (load_ends) begin
      state <= STREAM;
      cycle <= 0;
    end else if (fold_ends) begin
      state     <= last_taps && last_filters && group + 1 == groups ? DRAIN : LOAD;
      cycle     <= 0;
      first_tap <= last_taps ? 0 : first_tap + R;
      if (last_taps) begin
        first_filter <= last_filters ? 0 : first_filter + C;
        if (last_filters) group <= group + 1;
      end
    end else if (done) state <= IDLE;
    else cycle <= cycle + 1;

  // Taps of the rows are found while the weights are loaded; the pixel that row 0 takes passes down, a row a cycle.
  wire tap_there, unused;
  wire [31:0] tap_y, tap_x, tap_address;
  tap_walker tap_walker (
      .clk(clk), .restart(start || (load_ends && last_taps)), .step(load), .shape(shape),
      .in_range(tap_there), .first(unused), .y(tap_y), .x(tap_x), .address(tap_address)
  );
  wire pixel_there;
  wire [31:0] pixel_y, pixel_x, pixel_address;
  pixel_walker pixel_walker (
      .clk(clk), .restart(load), .step(state == STREAM), .shape(shape),
      .in_range(pixel_there), .y(pixel_y), .x(pixel_x), .address(pixel_address)
  );
  wire pixel_comes = state == STREAM && pixel_there;

  wire [ROWS*OPERAND_BITS-1:0] operands;
  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row
      localparam [31:0] PLACE = r;
      reg there;
      reg [31:0] own_y, own_x, own_address;
      always @(posedge clk)
        if (load && cycle == PLACE)
          {there, own_y, own_x, own_address} <= {tap_there, tap_y, tap_x, tap_address + group * group_channels};
        else if (load && cycle == 0) there <= 1'b0;

      wire valid;
      wire [31:0] y, x, address;
      if (r == 0) begin : at_pixel
        assign {valid, y, x, address} = {pixel_comes, pixel_y, pixel_x, pixel_address};
      end else begin : after_pixel
        reg held_valid;
        reg [31:0] held_y, held_x, held_address;
        initial held_valid = 1'b0;
        always @(posedge clk)
          {held_valid, held_y, held_x, held_address} <= {row[r-1].valid, row[r-1].y, row[r-1].x, row[r-1].address};
        assign {valid, y, x, address} = {held_valid, held_y, held_x, held_address};
      end
      wire [31:0] at_y = own_y + y;
      wire [31:0] at_x = own_x + x;
      assign input_inside[r] = valid && there && at_y < height && at_x < width;  // below zero is beyond the end
      assign input_address[r*32+:32] = own_address + address;
      operand #(.INPUT_BITS(INPUT_BITS), .INPUT_SIGNED(INPUT_SIGNED), .ZERO_POINTS(ZERO_POINTS)) operand (
          .there(input_inside[r]), .code(input_codes[r*INPUT_BITS+:INPUT_BITS]), .zero_point(zero_point),
          .value(operands[r*OPERAND_BITS+:OPERAND_BITS])
      );
    end
  endgenerate

  // Weights: those of the last row first.
  wire [31:0] loaded_tap = first_tap + used_rows - 1 - cycle;

  // A pixel's fold goes with it: past the top of each column, where its sum comes in, and past its last row, where it leaves.
  wire [ROWS+COLUMNS:0] passes, begins, ends;
  wire [(ROWS+COLUMNS+1)*32-1:0] passing, of_filter, of_columns, of_rows;
  reg [31:0] pixel;
  always @(posedge clk) pixel <= load ? 0 : pixel + 1;
  assign {passes[0], begins[0], ends[0]} = {pixel_comes, first_tap == 0, last_taps};
  assign passing[31:0] = pixel;
  assign of_filter[31:0] = group * group_filters + first_filter;
  assign of_columns[31:0] = used_columns;
  assign of_rows[31:0] = used_rows;
  generate
    for (r = 1; r <= ROWS + COLUMNS; r = r + 1) begin : later
      reg passed, began, ended;
      reg [31:0] of_pixel, filter, columns, rows;
      initial passed = 1'b0;
      always @(posedge clk) begin
        {passed, began, ended} <= {passes[r-1], begins[r-1], ends[r-1]};
        of_pixel <= passing[(r-1)*32+:32];
        filter   <= of_filter[(r-1)*32+:32];
        columns  <= of_columns[(r-1)*32+:32];
        rows     <= of_rows[(r-1)*32+:32];
      end
      assign {passes[r], begins[r], ends[r]} = {passed, began, ended};
      assign passing[r*32+:32] = of_pixel;
      assign of_filter[r*32+:32] = filter;
      assign of_columns[r*32+:32] = columns;
      assign of_rows[r*32+:32] = rows;
    end
  endgenerate

  wire [COLUMNS*ACCUMULATOR_BITS-1:0] sums_in;
  wire [ROWS*COLUMNS*ACCUMULATOR_BITS-1:0] all_sums;
  generate
    for (c = 0; c < COLUMNS; c = c + 1) begin : column
      localparam [31:0] PLACE = c;
      localparam TOP = c + 1;
      assign weight_read[c] = load && PLACE < filters_left;
      assign weight_address[c*32+:32] = (group * group_filters + first_filter + PLACE) * taps + loaded_tap;
      assign partial_read[c] = passes[TOP] && !begins[TOP] && PLACE < of_columns[TOP*32+:32];
      assign partial_pixel[c*32+:32] = passing[TOP*32+:32];
      assign partial_filter[c*32+:32] = of_filter[TOP*32+:32] + PLACE;
      assign sums_in[c*ACCUMULATOR_BITS+:ACCUMULATOR_BITS] =
          partial_read[c] ? partial_sums[c*ACCUMULATOR_BITS+:ACCUMULATOR_BITS] : {ACCUMULATOR_BITS{1'b0}};

      // Of the rows the last one that has a tap: one pixel leaves a column at a time.
      /* verilator lint_off UNOPTFLAT */  // a chain: word r + 1 needs word r
      wire [65+ACCUMULATOR_BITS:0] leaving[0:ROWS];
      /* verilator lint_on UNOPTFLAT */
      assign leaving[0] = 0;
      for (r = 0; r < ROWS; r = r + 1) begin : below
        localparam AT = r + c + 2;
        localparam [31:0] ROW = r;
        wire leaves = passes[AT] && of_rows[AT*32+:32] == ROW + 1 && PLACE < of_columns[AT*32+:32];
        assign leaving[r+1] = leaves
            ? {1'b1, ends[AT], passing[AT*32+:32], of_filter[AT*32+:32] + PLACE,
               all_sums[(r*COLUMNS+c)*ACCUMULATOR_BITS+:ACCUMULATOR_BITS]}
            : leaving[r];
      end
      assign {sum_valid[c], sum_whole[c], sum_pixel[c*32+:32], sum_filter[c*32+:32],
              sums[c*ACCUMULATOR_BITS+:ACCUMULATOR_BITS]} = leaving[ROWS];
    end
  endgenerate
  array_weight_stationary #(
      .DATAPATH(DATAPATH), .ROWS(ROWS), .COLUMNS(COLUMNS), .INPUT_BITS(OPERAND_BITS), .WEIGHT_BITS(WEIGHT_BITS),
      .INPUT_SIGNED(OPERAND_SIGNED), .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
      .SATURATE(SATURATE)
  ) array (
      .clk(clk), .load(load), .weight_codes(weight_codes), .input_codes(operands),
      .sums_in(sums_in), .sums_out(all_sums)
  );
  assign done = state == DRAIN && passes[ROWS+COLUMNS:1] == 0;
endmodule
