// ROWS x COLUMNS elements, a tap a row. Row r wants its inputs r edges after row 0; column c is given the sums of its pixels c + 1
// edges after row 0 was given the pixels, and has them with the tap of row r another r + 1 edges later.
module array_weight_stationary #(
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
    input  load,  // weights of the last row come first
    input  [COLUMNS*WEIGHT_BITS-1:0] weight_codes,
    input  [ROWS*INPUT_BITS-1:0] input_codes,
    input  [COLUMNS*ACCUMULATOR_BITS-1:0] sums_in,
    output [ROWS*COLUMNS*ACCUMULATOR_BITS-1:0] sums_out  // of each row
);
  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row
      for (c = 0; c < COLUMNS; c = c + 1) begin : column
        wire [WEIGHT_BITS-1:0] weight_in;
        wire [INPUT_BITS-1:0] input_in;
        wire [ACCUMULATOR_BITS-1:0] sum_in, sum_out;
        /* verilator lint_off UNUSED */  // what leaves the array to the right and below
        wire [WEIGHT_BITS-1:0] weight_out;
        wire [INPUT_BITS-1:0] input_out;
        /* verilator lint_on UNUSED */
        if (c == 0) assign input_in = input_codes[r*INPUT_BITS+:INPUT_BITS];
        else assign input_in = row[r].column[c-1].input_out;
        if (r == 0) begin : top
          assign weight_in = weight_codes[c*WEIGHT_BITS+:WEIGHT_BITS];
          assign sum_in    = sums_in[c*ACCUMULATOR_BITS+:ACCUMULATOR_BITS];
        end else begin : below
          assign weight_in = row[r-1].column[c].weight_out;
          assign sum_in    = row[r-1].column[c].sum_out;
        end
        element_weight_stationary #(
            .DATAPATH(DATAPATH), .INPUT_BITS(INPUT_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INPUT_SIGNED(INPUT_SIGNED),
            .WEIGHT_SIGNED(WEIGHT_SIGNED), .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE)
        ) element (
            .clk(clk), .load(load), .weight_in(weight_in), .input_in(input_in), .sum_in(sum_in),
            .weight_out(weight_out), .input_out(input_out), .sum_out(sum_out)
        );
        assign sums_out[(r*COLUMNS+c)*ACCUMULATOR_BITS+:ACCUMULATOR_BITS] = sum_out;
      end
    end
  endgenerate
endmodule
