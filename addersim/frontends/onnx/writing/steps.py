"""Sums that are compared with one number a channel, as rescalings: whole numbers around zero, which no rounding moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.errors import NetworkError
from addersim.frontends.onnx.writing.held import Array
from addersim.layers import IntegerAffine, IntegerRescale, IntegerThresholds, Value

__all__ = ["step_of_affine", "step_of_thresholds"]

BEYOND = 1 << 30
"""A bias beyond which no sum lies."""
MOST_BITS = 30
"""Of sums."""


def step_of_affine(layer: IntegerAffine, given: Value, rule: str, style: str) -> IntegerRescale:
    """A comparison with a sign: codes -1 and 0 of one bit."""
    if layer.output.bits != 1 or layer.overflow == "wrap":
        raise NetworkError(f"layer {layer.name}: multiplies, adds and shifts; {style} rounds by its runtime's rule")
    places, slopes = layer.shift.astype(np.int64), layer.multiplier.astype(np.int64)
    halves = 0 if layer.rounding == "truncate" else (1 << places) >> 1  # ties become 0
    least = -halves - layer.addend  # of x * slope
    steep = np.maximum(np.abs(slopes), 1)
    reached = np.where(slopes == 0, np.where(least <= 0, -BEYOND, BEYOND), -(-least // steep))
    signs = np.where(slopes < 0, -1, 1)
    return _step(layer, given, rule, style, reached, signs, gain=1, more=0, low=-1, high=0)


def step_of_thresholds(layer: IntegerThresholds, given: Value, rule: str, style: str) -> IntegerRescale:
    """Thresholds of a channel that are all one: the first code below, the last one from there on."""
    levels, rows = len(layer.thresholds), layer.thresholds
    if (rows != rows[0]).any():
        raise NetworkError(f"layer {layer.name}: {levels} thresholds a channel; {style} has one that sums are compared with")
    first, last = layer.first, layer.first + levels
    if (last - layer.output.zero_point) % levels:
        raise NetworkError(
            f"layer {layer.name}: codes {first} and {last} in {layer.output}; {style} has whole steps from zero"
        )
    more = (last - layer.output.zero_point) // levels
    return _step(
        layer, given, rule, style, rows[0], layer.signs.astype(np.int64), gain=levels, more=more, low=first, high=last
    )


def _step(
    layer: IntegerAffine | IntegerThresholds,
    given: Value,
    rule: str,
    style: str,
    reached: Array,
    signs: Array,
    *,
    gain: int,
    more: int,
    **ends: Any,
) -> IntegerRescale:
    """``(x * sign - reached + more) * gain``, between two codes."""
    if given.bits > MOST_BITS:
        raise NetworkError(f"layer {layer.name}: compares sums of {given.bits} bits; {style} has at most {MOST_BITS}")
    bias = signs * (more - np.clip(reached, -BEYOND, BEYOND))
    scale = (gain * signs).astype(np.float64)
    return IntegerRescale(
        name=layer.name,
        inputs=layer.inputs,
        twin=layer.twin,
        bias=bias.astype(np.int64),
        scale=scale,
        rule=rule,
        output=layer.output,
        **ends,
    )
