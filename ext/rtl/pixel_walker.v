// Goes through the output pixels of all images in their order; each is the corner of its window in the input.
module pixel_walker (
    input clk,
    input restart,
    input step,
    /* verilator lint_off UNUSED */  // a module reads its words alone
    input [17*32-1:0] shape,  // words of 32 bits: quantised_layer.v
    /* verilator lint_on UNUSED */
    output in_range,  // there is such a pixel
    output [31:0] y,  // corner, below zero in the padding
    output [31:0] x,
    output [31:0] address  // of the corner's first channel, to which the address of a tap is added
);
  wire [31:0] pixels     = shape[0*32+:32];
  wire [31:0] height     = shape[1*32+:32];
  wire [31:0] width      = shape[2*32+:32];
  wire [31:0] channels   = shape[3*32+:32];
  wire [31:0] stride_y   = shape[9*32+:32];
  wire [31:0] stride_x   = shape[10*32+:32];
  wire [31:0] padding_y  = shape[11*32+:32];
  wire [31:0] padding_x  = shape[12*32+:32];
  wire [31:0] out_height = shape[15*32+:32];
  wire [31:0] out_width  = shape[16*32+:32];

  reg [31:0] pixel, image, row, column;
  assign in_range = pixel < pixels;
  assign y = row * stride_y - padding_y;
  assign x = column * stride_x - padding_x;
  assign address = ((image * height + y) * width + x) * channels;

  always @(posedge clk)
    if (restart) begin
      pixel  <= 0;
      image  <= 0;
      row    <= 0;
      column <= 0;
    end else if (step) begin
      pixel  <= pixel + 1;
      column <= column + 1 == out_width ? 0 : column + 1;
      if (column + 1 == out_width) begin
        row <= row + 1 == out_height ? 0 : row + 1;
        if (row + 1 == out_height) image <= image + 1;
      end
    end
endmodule
