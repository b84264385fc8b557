"""Arithmetic: what numbers and circuits are, whatever layer uses them."""
