"""Adder layers, their learning rate and their batch norm statistics, for torch networks and training loops of your own."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("addersim.nn needs torch; install it with: pip install 'addersim[train]'")

from addersim.train.nn import Adder2d, AdderLinear, Euclidean2d, EuclideanLinear
from addersim.train.rate import AdderRate
from addersim.train.statistics import reestimate_batch_norm

__all__ = ["Adder2d", "AdderLinear", "AdderRate", "Euclidean2d", "EuclideanLinear", "reestimate_batch_norm"]
