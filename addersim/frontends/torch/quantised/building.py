"""The program in the making, of torch: scores that nothing makes codes of, and codes of weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_building import Array, QuantisedBuilding
from addersim.frontends.quantised_values import Sums
from addersim.frontends.quantisers import Quantiser

__all__ = ["scores", "weight_codes"]


def scores(building: QuantisedBuilding, value: Sums, name: str) -> Flow:
    """Reals that nothing makes codes of, at the end: in 16 bits, at the least scale that holds all sums there can be."""
    given = building.layers.values[value.flow.layer]
    added = np.abs(value.bias) * value.step + (0.0 if value.addend is None else np.abs(value.addend))
    most = float((np.ldexp(value.step, given.bits - 1) + added).max())
    form = FixedFormat(16, True, most / ((1 << 15) - 1))
    real = value if value.addend is not None else replace(value, addend=np.zeros(len(value.step)))
    return building.quantised(real, Quantiser(form, form.minimum, form.maximum, "torch"), name).flow


def weight_codes(values: Array) -> Array:
    """Codes of weights in the type that they have, which is one of 8 bits."""
    if values.dtype not in (np.dtype(np.int8), np.dtype(np.uint8)):
        raise LoweringError(f"has weights of type {values.dtype}; read are codes of int8 and uint8")
    return values
