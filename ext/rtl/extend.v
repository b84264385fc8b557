// A code of FROM bits in TO bits, by its sign where it is signed; of fewer bits, its last ones.
module extend #(
    parameter FROM   = 8,
    parameter TO     = 9,
    parameter SIGNED = 1
) (
    /* verilator lint_off UNUSED */  // first bits that are dropped
    input  [FROM-1:0] narrow,
    /* verilator lint_on UNUSED */
    output [TO-1:0] wide
);
  generate
    if (TO > FROM) assign wide = {{(TO - FROM) {(SIGNED != 0) & narrow[FROM-1]}}, narrow};
    else assign wide = narrow[TO-1:0];
  endgenerate
endmodule
