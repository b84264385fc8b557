"""Sweeps: studies of many networks, bit widths and accelerators, kept on disk point by point, run here or on a cluster.

Nothing is imported here, so that a worker loads `jobs` alone.
"""
