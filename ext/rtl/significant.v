// The 24 leading bits of a whole number, rounded to nearest, ties to even, as the mantissa of a float32 has them: about
// kept * 2 ** places. `more`: the number is larger by a part of one.
module significant #(
    parameter BITS = 32  // more than 25
) (
    input  [BITS-1:0] whole,
    input  more,
    output [24:0] kept,  // 2 ** 24 where 24 ones were rounded up
    output [7:0] places
);
  reg [7:0] top;
  integer i;
  always @* begin
    top = 8'd0;
    for (i = 0; i < BITS; i = i + 1) if (whole[i]) top = i[7:0];
  end
  assign places = top > 8'd23 ? top - 8'd23 : 8'd0;

  wire [BITS-1:0] rounded;
  round_even #(.BITS(BITS)) round (.whole(whole), .more(more), .places(places), .rounded(rounded));
  assign kept = rounded[24:0];
  wire unused = &{1'b0, rounded[BITS-1:25]};
endmodule
