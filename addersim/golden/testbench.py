"""A test bench that runs a processing element through a whole layer and stops at the first wrong sum."""

from __future__ import annotations

from addersim.golden.vectors import LayerVectors

__all__ = ["testbench_text"]


def testbench_text(vectors: LayerVectors) -> str:
    """Verilog that reads ``inputs.hex``, ``weights.hex`` and ``sums.hex`` beside it; `ELEMENT` may name another module."""
    element, shape = vectors.element, vectors.shape
    design = element.design()
    values = ", ".join(f".{name}({value})" for name, value in design.parameters)
    sums = vectors.sums.size
    constants = {
        "SUMS": sums, "FILTERS": len(vectors.weights), "HEIGHT": shape.height, "WIDTH": shape.width,
        "CHANNELS": shape.channels, "GROUP_CHANNELS": shape.group_channels, "GROUP_FILTERS": shape.group_filters,
        "TAPS": shape.taps, "KERNEL_WIDTH": shape.kernel_width, "STRIDE_Y": shape.stride_y, "STRIDE_X": shape.stride_x,
        "PADDING_Y": shape.padding_y, "PADDING_X": shape.padding_x, "DILATION_Y": shape.dilation_y,
        "DILATION_X": shape.dilation_x, "OUT_WIDTH": shape.out_width,
    }  # fmt: skip
    held = "".join(f"  localparam {name} = {value};\n" for name, value in constants.items())
    return f"""// Layer {vectors.layer} of {vectors.network}, {vectors.facts["datapath"]}: its sums, by a processing element.
//   iverilog -o test testbench.v RTL.v && vvp test            (RTL.v: the package's files, or your own)
//   iverilog -DELEMENT=my_pe -DNO_PARAMETERS ...              another module, without parameters
//   iverilog -Ptestbench.CHECKED=100 ...                      the first sums only
{"" if vectors.products is None else "`define PRODUCTS"}
`ifndef ELEMENT
`define ELEMENT {element.module}
`endif
module testbench;
  parameter CHECKED = {sums};
{held}
  reg clk, clear;
  reg [{element.input_bits - 1}:0] input_code, inputs[0:{vectors.inputs.size - 1}];
  reg [{element.weight_bits - 1}:0] weight_code, weights[0:{vectors.weights.size - 1}];
  reg [{element.accumulator_bits - 1}:0] sums[0:SUMS-1];
  wire [{element.accumulator_bits - 1}:0] sum;
`ifdef NO_PARAMETERS
  `ELEMENT element (
`else
  `ELEMENT #({values}) element (
`endif
      .clk(clk), .clear(clear), .enable(1'b1), .input_code(input_code), .weight_code(weight_code), .sum(sum));

  integer number, pixel, filter, tap, place, y, x, channel;

  task edge_of_clock;
    begin
      #1 clk = 1'b1;
      #1 clk = 1'b0;
    end
  endtask

  task check(input integer which);  // one edge after its last tap went in
    if (sum !== sums[which]) begin
      $display("WRONG sum %0d: pixel %0d, filter %0d: expected %0d, found %0d", which, which / FILTERS, which % FILTERS,
               $signed(sums[which]), $signed(sum));
      $finish;
      #1;  // the task ends no sooner than the simulation
    end
  endtask

  initial begin
    $readmemh("inputs.hex", inputs);
    $readmemh("weights.hex", weights);
    $readmemh("sums.hex", sums);
    clk = 1'b0;
    for (number = 0; number < CHECKED; number = number + 1) begin
      pixel  = number / FILTERS;
      filter = number % FILTERS;
      for (tap = 0; tap < TAPS; tap = tap + 1) begin
        place   = tap / GROUP_CHANNELS;
        channel = filter / GROUP_FILTERS * GROUP_CHANNELS + tap % GROUP_CHANNELS;
        y = pixel / OUT_WIDTH * STRIDE_Y - PADDING_Y + place / KERNEL_WIDTH * DILATION_Y;
        x = pixel % OUT_WIDTH * STRIDE_X - PADDING_X + place % KERNEL_WIDTH * DILATION_X;
        clear = tap == 0;
        input_code = 0;
        if (y >= 0 && y < HEIGHT && x >= 0 && x < WIDTH) input_code = inputs[(y * WIDTH + x) * CHANNELS + channel];
        weight_code = weights[filter * TAPS + tap];
        edge_of_clock;
        if (tap == 0 && number > 0) check(number - 1);
      end
    end
    clear = 1'b1;
    edge_of_clock;
    check(CHECKED - 1);
    $display("PASS: %0d sums of %0d taps", CHECKED, TAPS);
    $finish;
  end
endmodule
"""
