"""What ONNX can say of a window: sums of exact products. Signs that are compared are products of codes, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.frontends.onnx.writing.held import Array
from addersim.layers import IntegerRescale, IntegerWindow

__all__ = ["Products", "products_of", "signs_of"]


@dataclass(frozen=True, slots=True)
class Products:
    """A window as sums of its codes, less their zero points, times whole weights, and a bias.

    Attributes
    ----------
    window
        The layer.
    source
        What gives the codes.
    weights
        int64 ``(outputs, height, width, channels)``, less their zero points.
    bias
        int64 ``(outputs,)``.
    """

    window: IntegerWindow
    source: str
    weights: Array
    bias: Array


def products_of(layer: IntegerWindow, style: str) -> Products:
    """A window, or a NetworkError where a style cannot say it; signs that are compared are read as codes of one bit."""
    kernel = DATAPATHS[layer.datapath].arithmetic.kernel
    if kernel not in ("mac", "xnor") or layer.multiplier is not None:
        raise NetworkError(f"layer {layer.name}: datapath {layer.datapath}; {style} has sums of exact products only")
    register = layer.accumulator
    if register.overflow != "exact" and layer.bits_bound() > layer.accumulator_bits():
        raise NetworkError(
            f"layer {layer.name}: its register {register.overflow}s at {register.bits} bits; {style} has exact sums only"
        )
    weights = layer.weights.astype(np.int64)
    if layer.weight_zero_points is not None:
        weights = weights - layer.weight_zero_points[:, None, None, None]
    (source,) = layer.inputs
    if kernel == "mac":
        return Products(layer, source, weights, np.zeros(len(weights), np.int64))
    signs = np.where(weights < 0, -1, 1)  # a sign is twice its code, -1 or 0, and one: sum x w = sum code 2w + sum w
    return Products(layer, source, 2 * signs, signs.sum(axis=(1, 2, 3)))


def signs_of(name: str, source: str, rule: str) -> IntegerRescale:
    """The signs of codes, as codes -1 and 0 of one bit."""
    return IntegerRescale(
        name=name,
        inputs=(source,),
        twin=None,
        bias=np.zeros(1, np.int64),
        scale=np.ones(1),
        rule=rule,
        output=FixedFormat(1),
    )
