"""Convolutions and products with constant matrices over what codes stand for: sums of products of codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import Accumulator, FixedFormat, bits_for
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.convolutions import SETTINGS, pads, transposed_pads
from addersim.frontends.onnx.quantised.call import QuantisedCall
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_building import SIGNS
from addersim.frontends.quantised_values import Coded, Reals, Sums, sum_ends
from addersim.frontends.transposed import transposed_window
from addersim.layers import IntegerWindow

__all__ = ["OPERATORS", "biased", "weighted"]

LARGEST_WHOLE = 1 << 15
LARGEST_BIAS = (1 << 31) - 1
_LAST_BITS = 4 * 2.0**-24


def _weights(call: QuantisedCall, place: int = 1) -> Coded:
    found = call.input(place)
    if call.exact and isinstance(found, np.ndarray):
        found = _whole_weights(found)
    if not isinstance(found, Coded):
        call.fail(
            f"weights {call.name_of(place)!r} are not constants held as codes (QuantizeLinear, Quant) beside an input that is"
        )
    return found


def _whole_weights(reals: Array) -> Coded | None:
    """Weights that are whole numbers, as FINN's streamlining leaves them, as codes of scale one; None where they are not."""
    most = float(np.abs(reals).max(initial=0.0))
    if reals.dtype.kind != "f" or not most < LARGEST_WHOLE or (reals != np.rint(reals)).any():
        return None
    form = FixedFormat(max(2, bits_for(int(reals.min()), int(reals.max()))), True)
    signs = bool((np.abs(reals) == 1).all())
    return Coded(reals.astype(form.dtype), np.ones(1, np.float32), np.zeros(1, np.int32), form, signs=signs)


def weighted(call: QuantisedCall, source: Reals, flow: Flow, weights: Coded, codes: Array, axis: int, **moving: Any) -> Sums:
    """Sums of a window over codes of weights ``(filters, height, width, channels)``; `axis` is that of the filters as held."""
    scales, zero_points = weights.each(axis)
    signs = source.signs and source.form.bits == SIGNS
    if signs and (not weights.signs or any(moving.get("padding", ()) + moving.get("far_padding", ()))):
        source = call.building.plain(replace(source, flow=flow), call.node.name)
        flow, signs = source.flow, False
    held, datapath = np.ascontiguousarray(codes), "mac"
    form = FixedFormat(weights.form.bits, weights.form.signed)
    if signs:
        datapath = "xnor"
    elif weights.form.bits <= 2 and weights.form.signed and not zero_points.any() and np.abs(held).max() <= 1:
        datapath = "ternary"
    found = call.building.layer(
        IntegerWindow,
        f"{call.title}.sums",
        flow,
        datapath=datapath,
        weights=held.astype(form.dtype),
        input_format=source.form,
        weight_format=form,
        accumulator=Accumulator(),
        weight_zero_points=zero_points.astype(np.int32) if zero_points.any() else None,
        **moving,
    )
    step = np.float32(source.form.scale) * scales.astype(np.float32)
    ends = _ends(source, codes.reshape(len(codes), -1).astype(np.int64) - zero_points[:, None], signs)
    return Sums(flow=found, step=step, bias=np.zeros(len(codes), np.int64), ends=ends)


def _ends(source: Reals, weights: Array, signs: bool) -> tuple[Array, Array]:
    """Least and largest sum of each filter."""
    form = source.form
    low, high = (-1, 1) if signs else (form.minimum - form.zero_point, form.maximum - form.zero_point)
    return sum_ends(weights, low, high)


def biased(call: QuantisedCall, sums: Sums, place: int, *, factor: float = 1.0) -> Sums:
    """Sums with a constant added: codes of 32 bits at the sums' own step.

    Of other scales, and of reals, they become such codes, ties to even, as ONNX Runtime does with a bias of reals
    (core/optimizer/qdq_transformer/weight_bias_quantization.cc).
    """
    found = call.input(place)
    if found is None:
        return sums
    if call.exact:
        added = np.float32(factor) * call.constant(place).reshape(-1).astype(np.float32)
        if added.size not in (1, len(sums.bias)):
            call.fail(f"bias {call.name_of(place)!r} has {added.size} values for {len(sums.bias)} outputs")
        whole = _whole_steps(added, sums)
        if whole is not None:
            return replace(sums, bias=sums.bias + whole)
        return replace(sums, functions=(*sums.functions, lambda x: x + added))
    if isinstance(found, np.ndarray) and found.dtype.kind == "i":
        steps = found.reshape(-1).astype(np.float64)
    else:
        steps = np.rint(call.constant(place).reshape(-1).astype(np.float64) * factor / sums.step.astype(np.float64))
    channels = len(sums.bias)
    if steps.size not in (1, channels):
        call.fail(f"bias {call.name_of(place)!r} has {steps.size} values for {channels} outputs")
    if not np.isfinite(steps).all() or np.abs(steps).max() > LARGEST_BIAS:
        call.fail(f"bias {call.name_of(place)!r} leaves 32 bits at the scale of the sums")
    return replace(sums, bias=np.broadcast_to(steps.astype(np.int64), channels).copy())


def _whole_steps(added: Array, sums: Sums) -> Array | None:
    """A bias in steps of the sums, where it is a whole number of them but for the last bits of float32; else None."""
    if sums.functions:
        return None
    steps = added.astype(np.float64) / sums.step.astype(np.float64)
    whole = np.rint(steps)
    near = np.isfinite(steps).all() and (np.abs(steps - whole) <= _LAST_BITS * np.abs(whole)).all()
    return whole.astype(np.int64) if near and np.abs(whole).max() <= LARGEST_BIAS else None


def _convolution(call: QuantisedCall) -> Sums:
    plain = call.plain
    plain.only(*SETTINGS, "group")
    source, weights = call.reals(), _weights(call)
    shape = weights.codes.shape
    axes = len(shape) - 2
    if axes not in (1, 2):
        call.fail(f"weights of shape {shape}; expected one or two spatial axes after (filters, channels / groups)")
    if plain.attribute("kernel_shape", shape[2:]) != shape[2:]:
        call.fail(f"attribute kernel_shape: {plain.attribute('kernel_shape', ())}; the weights have {shape[2:]}")
    stride, dilation = plain.sizes("strides", axes), plain.sizes("dilations", axes)
    near, far = pads(plain, source.flow, shape[2:], stride, dilation)
    row = axes == 1
    codes = weights.codes[:, :, None] if row else weights.codes
    moving = {
        "stride": (1, *stride) if row else stride,
        "dilation": (1, *dilation) if row else dilation,
        "padding": (0, *near) if row else near,
        "far_padding": (0, *far) if row else far,
        "groups": plain.attribute("group", 1),
    }
    found = weighted(call, source, source.flow.image(), weights, codes.transpose(0, 2, 3, 1), 0, **moving)
    return replace(found, flow=found.flow.like(source.flow))


def _transposed(call: QuantisedCall) -> Sums:
    """Zeros between the pixels, then a window, whose filters have the scales of the weights' second axis in each group."""
    plain = call.plain
    plain.only(*SETTINGS, "group", "output_padding", "output_shape")
    source, weights = call.reals(), _weights(call)
    codes, axes, groups = weights.codes, weights.codes.ndim - 2, plain.attribute("group", 1)
    if axes != 2 or source.signs:
        call.fail(f"{'signs' if source.signs else f'weights of shape {codes.shape}'}; expected codes and two spatial axes")
    stride, dilation = plain.sizes("strides", axes), plain.sizes("dilations", axes)
    added = plain.attribute("output_padding", (0,) * axes)
    near, far = transposed_pads(plain, source.flow, codes.shape[2:], stride, dilation, added)
    how: Any = {"stride": stride, "padding": near, "far_padding": far, "output_padding": added}
    wide = source.flow.image()
    size: Any = wide.shape[1:]
    turned = transposed_window(codes, size, dilation=dilation, groups=groups, **how)  # type: ignore[arg-type]
    scales, zero_points = (np.tile(one, groups).reshape(-1, 1, 1, 1) for one in weights.each(1))
    held = replace(weights, codes=turned.weights, scale=scales, zero_point=zero_points)
    seen = wide.take(1, np.array(turned.rows)).take(2, np.array(turned.columns))
    moving = {"padding": turned.padding, "far_padding": turned.far_padding, "dilation": dilation, "groups": groups}
    found = weighted(call, source, seen, held, turned.weights.transpose(0, 2, 3, 1), 0, **moving)
    return replace(found, flow=found.flow.like(source.flow))


def linear(call: QuantisedCall, source: Reals, weights: Coded, axis: int) -> Sums:
    """A product of the last axis by a matrix of outputs along an axis, at every place of the other axes."""
    flow, matrix = source.flow, weights.codes if axis == 0 else weights.codes.T
    if matrix.ndim != 2 or matrix.shape[1] != flow.shape[-1]:
        call.fail(f"multiplies the last axis of {flow.shape} by a matrix of shape {matrix.shape[::-1]}")
    rest = flow.shape[:-1]
    if rest:
        flow = flow.front(flow.rank - 1).reshape((matrix.shape[1], 1, math.prod(rest)))
    found = weighted(call, source, flow, weights, matrix[:, None, None, :], axis)
    return replace(found, flow=found.flow.reshape((len(matrix), *rest)).back(len(rest))) if rest else found


def _matrix_product(call: QuantisedCall) -> Sums:
    call.plain.only()
    return linear(call, call.reals(), _weights(call), 1)


def _gemm(call: QuantisedCall) -> Sums:
    call.plain.only("alpha", "beta", "transB", transA=0)
    if call.reals().flow.rank != 1:
        call.fail(f"multiplies {call.reals().flow.shape}; expected features")
    alpha, beta = (float(call.plain.attribute(name, 1.0)) for name in ("alpha", "beta"))
    found = linear(call, call.reals(), _weights(call), 0 if call.plain.attribute("transB", 0) else 1)
    if not (math.isfinite(alpha) and alpha > 0):
        call.fail(f"attribute alpha: {alpha}; expected a positive number")
    found = replace(found, step=np.float32(alpha) * found.step)
    return biased(call, found, 2, factor=beta)


OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {
        "Conv": lambda call: biased(call, _convolution(call), 2),
        "ConvTranspose": lambda call: biased(call, _transposed(call), 2),
        "Gemm": _gemm,
        "MatMul": _matrix_product,
    }
)
