// ROWS x COLUMNS elements. Row r wants the inputs of its sums r edges after row 0, column c its weights c edges after column 0.
module array_output_stationary #(
    parameter DATAPATH         = "mac",
    parameter ROWS             = 4,
    parameter COLUMNS          = 4,
    parameter INPUT_BITS       = 8,
    parameter WEIGHT_BITS      = 8,
    parameter INPUT_SIGNED     = 1,
    parameter WEIGHT_SIGNED    = 1,
    parameter ACCUMULATOR_BITS = 20,
    parameter SATURATE         = 0
) (
    input  clk,
    input  [ROWS-1:0] valid,
    input  [ROWS-1:0] clear,
    input  [ROWS*INPUT_BITS-1:0] input_codes,
    input  [COLUMNS*WEIGHT_BITS-1:0] weight_codes,
    input  capture,
    output [COLUMNS*ACCUMULATOR_BITS-1:0] drained  // of the first row first
);
  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row
      for (c = 0; c < COLUMNS; c = c + 1) begin : column
        wire valid_in, clear_in;
        wire [INPUT_BITS-1:0] input_in;
        wire [WEIGHT_BITS-1:0] weight_in;
        /* verilator lint_off UNUSED */  // what leaves the array to the right and below
        wire valid_out, clear_out;
        wire [INPUT_BITS-1:0] input_out;
        wire [WEIGHT_BITS-1:0] weight_out;
        /* verilator lint_on UNUSED */
        wire [ACCUMULATOR_BITS-1:0] drain_in, drain_out;
        if (c == 0) begin : left
          assign valid_in = valid[r];
          assign clear_in = clear[r];
          assign input_in = input_codes[r*INPUT_BITS+:INPUT_BITS];
        end else begin : inner
          assign valid_in = row[r].column[c-1].valid_out;
          assign clear_in = row[r].column[c-1].clear_out;
          assign input_in = row[r].column[c-1].input_out;
        end
        if (r == 0) begin : top
          assign weight_in = weight_codes[c*WEIGHT_BITS+:WEIGHT_BITS];
        end else begin : below
          assign weight_in = row[r-1].column[c].weight_out;
        end
        if (r == ROWS - 1) assign drain_in = {ACCUMULATOR_BITS{1'b0}};
        else assign drain_in = row[r+1].column[c].drain_out;
        element_output_stationary #(
            .DATAPATH(DATAPATH), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED),
            .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
        ) element (
            .clk(clk), .valid_in(valid_in), .clear_in(clear_in), .input_in(input_in), .weight_in(weight_in),
            .capture(capture), .drain_in(drain_in), .valid_out(valid_out), .clear_out(clear_out), .input_out(input_out),
            .weight_out(weight_out), .drain_out(drain_out)
        );
        if (r == 0) assign drained[c*ACCUMULATOR_BITS+:ACCUMULATOR_BITS] = drain_out;
      end
    end
  endgenerate
endmodule
