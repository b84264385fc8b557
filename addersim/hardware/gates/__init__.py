"""Gates: a Liberty library read, a netlist timed and driven event by event, and what its switching costs."""
