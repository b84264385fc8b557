"""Operators that become layers: one function each, from a `Call` to the value that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.frontends.onnx import moves
from addersim.frontends.onnx.call import NO_PADS, Call, Flow, padding
from addersim.frontends.onnx.file import OWN_DOMAIN, Array
from addersim.frontends.onnx.folding import axes_of
from addersim.layers import Add, Affine, AveragePool, MaxPool, Move, Relu, Window

__all__ = ["OPERATORS"]

MARGIN = 1e30
"""Beyond any activation: exporters write a missing bound of Clip as the largest number of the type."""


def _convolution(arithmetic: str) -> Callable[[Call], Flow | Array]:
    def make(call: Call) -> Flow:
        call.only(known=("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"))
        flow, weights, bias = call.flow(padded=True), call.constant(1, "weights"), call.optional(2, "bias")
        if weights.ndim != 4:
            call.fail(f"weights of shape {weights.shape}; expected (filters, channels / groups, height, width)")
        kernel = weights.shape[2], weights.shape[3]
        if call.attribute("kernel_shape", kernel) != kernel:
            call.fail(f"attribute kernel_shape: {call.attribute('kernel_shape', kernel)}; the weights have {kernel}")
        stride, dilation = call.pair("strides"), call.pair("dilations")
        return call.layer(
            Window,
            flow,
            arithmetic=arithmetic,
            weights=np.ascontiguousarray(weights, np.float32),
            bias=None if bias is None else np.ascontiguousarray(bias, np.float32),
            stride=stride,
            padding=padding(call, flow, kernel, stride, dilation),
            dilation=dilation,
            groups=call.attribute("group", 1),
        )

    return make


def _linear(call: Call, weights: Array, bias: Array | None) -> Flow:
    """A product of features by a matrix of shape (features, outputs)."""
    flow = call.flow()
    if weights.ndim != 2 or len(flow.shape) != 1:
        call.fail(f"multiplies {flow.shape} by {weights.shape}; expected (features,) by (features, outputs)")
    if bias is not None and (bias.size not in (1, weights.shape[1]) or bias.shape[-1:] not in ((), (bias.size,))):
        call.fail(f"bias of shape {bias.shape} for {weights.shape[1]} outputs")
    filters = np.ascontiguousarray(weights.T, np.float32)[:, :, None, None]
    constant = None if bias is None else np.broadcast_to(bias.reshape(-1), weights.shape[1:]).astype(np.float32)
    return call.layer(Window, flow, arithmetic="mac", weights=filters, bias=constant)


def _gemm(call: Call) -> Flow:
    call.only(known=("alpha", "beta", "transB"), transA=0)
    weights, bias = call.constant(1, "weights"), call.optional(2, "bias")
    weights = weights.T if call.attribute("transB", 0) else weights
    alpha, beta = (call.attribute(name, 1.0) for name in ("alpha", "beta"))
    weights = weights if alpha == 1 else weights * alpha
    return _linear(call, weights, bias if bias is None or beta == 1 else bias * beta)


def _matrix_product(call: Call) -> Flow:
    call.only()
    return _linear(call, call.constant(1, "the matrix"), None)


def _batch_norm(call: Call) -> Flow:
    call.only(known=("epsilon", "momentum"), training_mode=0, spatial=1)
    names = ("scale", "bias", "mean", "variance")
    gamma, beta, mean, variance = (call.constant(place, name).astype(np.float64) for place, name in enumerate(names, 1))
    shapes = {one.shape for one in (gamma, beta, mean, variance)}
    if shapes != {gamma.shape} or gamma.ndim != 1 or (variance < 0).any():
        call.fail(f"scale, bias, mean and variance of shapes {sorted(shapes)}; expected one axis, and no negative variance")
    multiplier = gamma / np.sqrt(variance + call.attribute("epsilon", 1e-5))
    return call.layer(Affine, call.flow(), multiplier=multiplier, addend=beta - mean * multiplier)


def _affine(call: Call, multiplier: Array, addend: Array) -> Flow:
    """A layer from constants, one number or one a channel, as they broadcast against (batch, channels, ...)."""
    flow = call.flow()
    found = []
    for values in (multiplier, addend):
        sizes = (*(1,) * (len(flow.shape) + 1 - values.ndim), *values.shape)
        if values.size != 1 and (len(sizes) != len(flow.shape) + 1 or sizes[1] != values.size or sizes[1] != flow.shape[0]):
            call.fail(f"a constant of shape {values.shape} against {flow.shape}; only one number, or one a channel")
        found.append(values.astype(np.float64).reshape(-1))
    both = np.broadcast_arrays(*found)
    return call.layer(Affine, flow, multiplier=both[0].copy(), addend=both[1].copy())


def _arithmetic(call: Call) -> Flow:
    """Add, Sub, Mul and Div of a value and a constant, and the sum of two values."""
    call.only()
    operator, one, zero = call.node.operator, np.ones(1), np.zeros(1)
    first, second = (call.inputs[place] if place < len(call.inputs) else None for place in range(2))
    if isinstance(first, Flow) and isinstance(second, Flow):
        if operator != "Add":
            call.fail("of two values that depend on the image; only their sum has a layer")
        return call.layer(Add, call.flow(0), call.flow(1))
    constant, flow_first = (second, True) if isinstance(first, Flow) else (first, False)
    if not isinstance(constant, np.ndarray):
        call.fail("an operand is missing")
    swapped = call if flow_first else replace(call, inputs=(second, first))
    match operator:
        case "Add":
            return _affine(swapped, one, constant)
        case "Sub":
            return _affine(swapped, one, -constant) if flow_first else _affine(swapped, -one, constant)
        case "Mul":
            return _affine(swapped, constant, zero)
    if not flow_first or not constant.all():
        call.fail("of a constant by a value" if not flow_first else "division by zero")
    return _affine(swapped, 1 / constant.astype(np.float64), zero)


def _negate(call: Call) -> Flow:
    return _affine(call, -np.ones(1), np.zeros(1))


def _relu(call: Call) -> Flow:
    call.only(consumed_inputs=None)
    return call.layer(Relu, call.flow())


def _clip(call: Call) -> Flow:
    call.only(known=("min", "max"))
    low, high = call.number(1, "min", -np.inf), call.number(2, "max", np.inf)
    if low != 0 or not high > 0:
        call.fail(f"to {low:g}..{high:g} is not supported; only from 0, with or without an upper bound (ReLU, ReLU6)")
    return call.layer(Relu, call.flow(), maximum=None if high >= MARGIN else high)


def _max_pool(call: Call) -> Flow:
    known = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
    call.only(known=known, storage_order=0)
    call.one_output()
    flow, kernel, stride, dilation = call.flow(), call.pair("kernel_shape"), call.pair("strides"), call.pair("dilations")
    pads = padding(call, flow, kernel, stride, dilation)
    return call.layer(MaxPool, flow, kernel=kernel, stride=stride, padding=pads, dilation=dilation)


def _average_pool(call: Call) -> Flow:
    known = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
    call.only(known=known, dilations=(1, 1))
    flow, kernel, stride = call.flow(padded=True), call.pair("kernel_shape"), call.pair("strides")
    pads = padding(call, flow, kernel, stride, (1, 1))
    if not call.attribute("count_include_pad", 0) and padding(call, replace(flow, pads=NO_PADS), kernel, stride, (1, 1)) != (
        0,
        0,
    ):
        call.fail("averages that leave out the padding (count_include_pad 0) are not supported")
    return call.layer(AveragePool, flow, kernel=kernel, stride=stride, padding=pads)


def _global_average_pool(call: Call) -> Flow:
    call.only()
    return call.layer(AveragePool, call.flow(), kernel=None)


def _global_max_pool(call: Call) -> Flow:
    call.only()
    flow = call.flow()
    if len(flow.shape) != 3:
        call.fail(f"input of shape {flow.shape}; expected channels x height x width")
    return call.layer(MaxPool, flow, kernel=flow.shape[1:], stride=flow.shape[1:])


def _mean(call: Call) -> Flow:
    call.only(known=("axes", "keepdims", "noop_with_empty_axes"))
    flow, axes = call.flow(), axes_of(call.node, list(call.inputs))
    if len(flow.shape) != 3 or sorted(axis % 4 for axis in axes or ()) != [2, 3]:
        call.fail(f"mean over axes {axes} of {flow.shape}; only over height and width")
    pooled = call.layer(AveragePool, flow, kernel=None)
    return pooled if call.attribute("keepdims", 1) else call.layer(Move, pooled, target=(-1,))


_OWN: dict[str, Callable[[Call], Flow | Array]] = {
    f"{OWN_DOMAIN}.{one.layers[0]}": _convolution(one.name) for one in ARITHMETICS.values() if not one.linear
}

OPERATORS: Mapping[str, Callable[[Call], Flow | Array]] = MappingProxyType(
    {
        "Add": _arithmetic,
        "AveragePool": _average_pool,
        "BatchNormalization": _batch_norm,
        "Cast": moves.cast,
        "Clip": _clip,
        "Conv": _convolution("mac"),
        "Div": _arithmetic,
        "Dropout": moves.same,
        "Flatten": moves.flatten,
        "Gemm": _gemm,
        "GlobalAveragePool": _global_average_pool,
        "GlobalMaxPool": _global_max_pool,
        "Identity": moves.same,
        "LogSoftmax": moves.softmax,
        "MatMul": _matrix_product,
        "MaxPool": _max_pool,
        "Mul": _arithmetic,
        "Neg": _negate,
        "Pad": moves.pad,
        "ReduceMean": _mean,
        "Relu": _relu,
        "Reshape": moves.reshape,
        "Shape": moves.shape,
        "Softmax": moves.softmax,
        "Squeeze": moves.squeeze,
        "Sub": _arithmetic,
        "Transpose": moves.transpose,
        "Unsqueeze": moves.unsqueeze,
    }
    | _OWN
)
"""How an operator on values that depend on the image becomes a layer."""
