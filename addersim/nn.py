"""Adder layers and their rivals, the adder layers' learning rate, and batch norm, for torch networks and loops of your own."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("addersim.nn needs torch; install it with: pip install 'addersim[train]'")

from addersim.train.coded import (
    Apot2d,
    ApotLinear,
    Shift2d,
    ShiftLinear,
    Ternary2d,
    TernaryLinear,
    Xnor2d,
    XnorLinear,
)
from addersim.train.nn import Adder2d, AdderLinear, Euclidean2d, EuclideanLinear
from addersim.train.rate import AdderRate
from addersim.train.statistics import reestimate_batch_norm

__all__ = [
    "Adder2d",
    "AdderLinear",
    "AdderRate",
    "Apot2d",
    "ApotLinear",
    "Euclidean2d",
    "EuclideanLinear",
    "Shift2d",
    "ShiftLinear",
    "Ternary2d",
    "TernaryLinear",
    "Xnor2d",
    "XnorLinear",
    "reestimate_batch_norm",
]
