"""Convolutions, transposed ones and linear layers over what codes stand for: sums of products of codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_values import Coded, Sums, Value, sum_ends
from addersim.frontends.torch.call import as_array
from addersim.frontends.torch.quantised.building import weight_codes
from addersim.frontends.torch.quantised.call import Call
from addersim.frontends.transposed import transposed_window
from addersim.layers import IntegerWindow

__all__ = ["OPERATORS"]

Array = np.ndarray[Any, Any]
_ROW = np.s_[:, :, None, :]


def _convolution(call: Call) -> Sums:
    if call.arguments.get("transposed"):
        return _transposed(call)
    weights, axes = _weights(call), _axes(call)
    source = call.reals(call.value)
    padding = call.arguments["padding"]
    if padding == "same":
        raise LoweringError("padding 'same' is not read; give numbers")
    pads = (0,) * axes if padding == "valid" else call.sizes("padding", axes)
    how = {"stride": call.sizes("stride", axes), "padding": pads, "dilation": call.sizes("dilation", axes)}
    if axes == 1:
        how, weights = _in_a_row(how), weights.viewed(_ROW)
    found = _window(call, source.flow.image(), source.form, weights, **how, groups=call.arguments["groups"])
    return replace(found, flow=found.flow.like(source.flow))


def _transposed(call: Call) -> Sums:
    """Zeros between the pixels, then a window, whose filters have the scales of the weights' second axis in each group."""
    weights, axes, groups = _weights(call), _axes(call), int(call.arguments["groups"])
    source = call.reals(call.value)
    how = {name: call.sizes(name, axes) for name in ("stride", "padding", "output_padding", "dilation")}
    if axes == 1:
        how, weights = _in_a_row(how), weights.viewed(_ROW)
    wide = source.flow.image()
    turned = transposed_window(weights.codes, wide.shape[1:], groups=groups, **how)  # type: ignore[arg-type]
    scale, zero = (np.tile(one, groups).reshape(-1, 1, 1, 1) for one in weights.each(1))
    held = replace(weights, codes=turned.weights, scale=scale, zero_point=zero)
    seen = wide.take(1, np.array(turned.rows)).take(2, np.array(turned.columns))
    moving = {"padding": turned.padding, "far_padding": turned.far_padding, "dilation": how["dilation"], "groups": groups}
    found = _window(call, seen, source.form, held, **moving)
    return replace(found, flow=found.flow.like(source.flow))


def _axes(call: Call) -> int:
    """Of the windows: one or two."""
    axes = len(call.node.args[1].meta["val"].shape) - 2  # type: ignore[union-attr]
    if axes not in (1, 2):
        raise LoweringError(f"has windows of {axes} axes; read are those of one or two")
    return axes


def _in_a_row(how: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """How a window of one axis moves over rows of height one."""
    return {name: (1 if name in ("stride", "dilation") else 0, *sizes) for name, sizes in how.items()}


def _linear(call: Call) -> Sums:
    weights, source = _weights(call), call.reals(call.value)
    weights, last = weights.viewed(np.s_[:, :, None, None]), source.flow.rank - 1
    if not last:
        return _window(call, source.flow, source.form, weights)
    front = source.flow.front(last)
    found = _window(call, front.reshape((front.shape[0], math.prod(front.shape[1:]), 1)), source.form, weights)
    return replace(found, flow=found.flow.reshape((len(weights.codes), *front.shape[1:])).back(last))


def _weights(call: Call) -> Coded:
    found = call.arguments["weight"]
    if not isinstance(found, Coded):
        raise LoweringError("its weights are no codes; quantise weights and activations")
    return found


def _window(call: Call, flow: Flow, form: FixedFormat, weights: Coded, **moving: Any) -> Sums:
    scales, zeros = weights.each(0)
    codes = np.moveaxis(weight_codes(weights.codes), 1, -1)
    layers = call.building.layers
    sums = call.building.layer(
        IntegerWindow,
        f"{call.name}.sums",
        flow,
        datapath="mac",
        weights=layers.kept(codes),
        input_format=form,
        weight_format=FixedFormat(8, codes.dtype == np.int8),
        accumulator=Accumulator(),
        weight_zero_points=zeros.copy() if zeros.any() else None,
        **moving,
    )
    step = form.scale * scales
    bias, addend = _bias(call.arguments.get("bias"), step)
    given = codes.reshape(len(codes), -1).astype(np.int64) - zeros[:, None]
    ends = sum_ends(given, form.minimum - form.zero_point, form.maximum - form.zero_point)
    return Sums(flow=sums, step=step, bias=bias, ends=ends, addend=addend)


def _bias(given: Any, step: Array) -> tuple[Array, Array | None]:
    """A bias in whole steps of the sums, where it is held so; else as reals."""
    none = np.zeros(len(step), np.int64)
    if given is None:
        return none, None
    if isinstance(given, Coded):
        scales, zeros = given.each(0)
        codes = given.codes.astype(np.int64) - zeros
        return (codes, None) if np.allclose(scales, step, rtol=1e-6, atol=0) else (none, codes * scales)
    if isinstance(given, Value):
        raise LoweringError("its bias depends on the images")
    reals = as_array(given).astype(np.float64)
    if not np.isfinite(reals).all():
        raise LoweringError("its bias holds NaN or infinite values")
    return none, reals if reals.any() else None


OPERATORS: Mapping[str, Callable[[Call], Sums]] = MappingProxyType(
    {
        "conv1d": _convolution,
        "conv2d": _convolution,
        "conv_transpose1d": _transposed,
        "conv_transpose2d": _transposed,
        "convolution": _convolution,
        "linear": _linear,
    }
)
