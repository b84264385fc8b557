"""The datapaths in Verilog: where their sources are, the tools that read them, and engines compiled from them."""
