// A whole number over 2 ** places, rounded to nearest, ties to even. `more`: the number is larger by a part of one.
module round_even #(
    parameter BITS = 64
) (
    input  [BITS-1:0] whole,
    input  more,
    input  [7:0] places,
    output [BITS-1:0] rounded
);
  localparam [BITS-1:0] ONE = 1;
  wire [BITS-1:0] floor = whole >> places;
  wire [BITS-1:0] rest  = whole - (floor << places);
  wire [BITS-1:0] half  = (ONE << places) >> 1;
  wire up = half != 0 && (rest > half || (rest == half && (more || floor[0])));
  assign rounded = floor + (up ? ONE : {BITS{1'b0}});
endmodule
