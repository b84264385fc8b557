// The largest code of a window, one code an edge; `clear` marks its first.
module pool_maximum #(
    parameter BITS   = 8,
    parameter SIGNED = 1
) (
    input  clk,
    input  clear,
    input  enable,  // everything is held where 0
    input  [BITS-1:0] code,
    output reg [BITS-1:0] maximum
);
  // Signed codes compare as unsigned ones do once their first bit is turned.
  wire [BITS-1:0] turned = SIGNED == 0 ? {BITS{1'b0}} : {BITS{1'b1}} << (BITS - 1);

  always @(posedge clk) if (enable && (clear || (code ^ turned) > (maximum ^ turned))) maximum <= code;
endmodule
