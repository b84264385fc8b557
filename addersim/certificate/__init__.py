"""Widths that no input overflows: `addersim.prove`, what it finds, and the inputs that show it."""
