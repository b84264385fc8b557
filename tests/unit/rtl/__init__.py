from addersim.rtl.sources import verilog_files

OUTERMOST = ("pe_", "quantised_", "pool_", "requantize", "residual_", "element_row")
TOPS = [path.stem for path in verilog_files() if path.stem.startswith(OUTERMOST)]
"""Modules that stand in no other one, and a row stationary element."""
