// Goes through the taps of a window in the order of a sum: kernel row, kernel column, input channel of the group.
module tap_walker (
    input clk,
    input restart,
    input step,
    /* verilator lint_off UNUSED */  // a module reads its words alone
    input [17*32-1:0] shape,  // words of 32 bits: quantised_layer.v
    /* verilator lint_on UNUSED */
    output in_range,  // there is such a tap
    output first,
    output [31:0] y,  // beyond the window's corner
    output [31:0] x,
    output [31:0] address
);
  wire [31:0] width          = shape[2*32+:32];
  wire [31:0] channels       = shape[3*32+:32];
  wire [31:0] group_channels = shape[5*32+:32];
  wire [31:0] taps           = shape[7*32+:32];
  wire [31:0] kernel_width   = shape[8*32+:32];
  wire [31:0] dilation_y     = shape[13*32+:32];
  wire [31:0] dilation_x     = shape[14*32+:32];

  reg [31:0] tap, row, column, channel;
  assign in_range = tap < taps;
  assign first = tap == 0;
  assign y = row * dilation_y;
  assign x = column * dilation_x;
  assign address = (y * width + x) * channels + channel;

  always @(posedge clk)
    if (restart) begin
      tap     <= 0;
      row     <= 0;
      column  <= 0;
      channel <= 0;
    end else if (step) begin
      tap     <= tap + 1;
      channel <= channel + 1 == group_channels ? 0 : channel + 1;
      if (channel + 1 == group_channels) begin
        column <= column + 1 == kernel_width ? 0 : column + 1;
        if (column + 1 == kernel_width) row <= row + 1;
      end
    end
endmodule
