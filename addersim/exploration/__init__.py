"""Exploration: many designs in turn: sensitivity, searches of bit widths, sweeps."""
