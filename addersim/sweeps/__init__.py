"""Sweeps: studies of many networks, bit widths and accelerators, kept on disk point by point, run here or on a cluster."""

from addersim.sweeps.run import Sweep, sweep
from addersim.sweeps.study import Study, load_study

__all__ = ["Study", "Sweep", "load_study", "sweep"]
