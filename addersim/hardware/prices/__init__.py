"""Prices: unit energies, and what operations and moved words cost by them."""
