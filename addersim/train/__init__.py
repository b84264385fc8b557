"""Everything that needs torch: training and lowering."""
