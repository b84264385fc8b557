"""Convolutions, products with constant matrices, and pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.arithmetics import ARITHMETICS, Arithmetic
from addersim.frontends import pointwise, reductions, windows
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.call import Call, Number, Sizes
from addersim.frontends.onnx.file import OWN_DOMAIN, Array
from addersim.layers import AveragePool, Layer, MaxPool

__all__ = ["OPERATORS", "SETTINGS", "pads", "transposed_pads"]

Row = Callable[[Call], Any]


def _kernels(call: Call) -> Array:
    """Constant weights of a window, which `kernel_shape` must not contradict."""
    weights = call.constant(1, "weights")
    if weights.ndim not in (3, 4):
        call.fail(f"weights of shape {weights.shape}; expected one or two spatial axes after (filters, channels / groups)")
    kernel = weights.shape[2:]
    if call.attribute("kernel_shape", kernel) != kernel:
        call.fail(f"attribute kernel_shape: {call.attribute('kernel_shape', kernel)}; the weights have {kernel}")
    return weights


def _window(call: Call, **own: Any) -> Flow:
    flow, weights = call.flow(), _kernels(call)
    axes = weights.ndim - 2
    stride, dilation = call.sizes("strides", axes), call.sizes("dilations", axes)
    near, far = pads(call, flow, weights.shape[2:], stride, dilation)
    return windows.convolution(
        call.graph,
        call.name,
        flow,
        weights,
        call.optional(2, "bias"),
        stride=stride,
        near=near,
        far=far,
        dilation=dilation,
        groups=call.attribute("group", 1),
        **own,
    )


SETTINGS = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")


def _convolution(call: Call) -> Flow:
    call.only(*SETTINGS, "group")
    return _window(call)


def _own(record: Arithmetic) -> Row:
    """A window of another arithmetic; the attribute weight_bits tells for which stored width its weights were trained."""

    def row(call: Call) -> Flow:
        call.only(*SETTINGS, "group", "weight_bits")
        return _window(call, arithmetic=record.name, weight_bits=call.attribute("weight_bits", 0) or None)

    return row


def _fused(call: Call) -> Flow:
    """onnxruntime's convolution with what follows it: a sum and a function."""
    call.only(*SETTINGS, "group", "activation", "activation_params")
    found, added = _window(call), call.input(3)
    if isinstance(added, Flow):
        found = pointwise.binary(call.graph, f"{call.name}.sum", "add", found, added)
    elif added is not None:
        found = pointwise.with_constant(call.graph, f"{call.name}.sum", "add", found, call.constant(3, "what is added"))
    return _activated(call, found) if call.attribute("activation", "") else found


def _activated(call: Call, found: Flow) -> Flow:
    kind, numbers = call.attribute("activation", ""), call.attribute("activation_params", ())
    name = f"{call.name}.{kind.lower()}"
    match kind, numbers:
        case "Relu", _:
            return pointwise.clip(call.graph, name, found, 0.0, None)
        case "Clip", (low, high):
            return pointwise.clip(call.graph, name, found, low, high)
        case (("Sigmoid" | "Tanh"), _):
            return pointwise.function(call.graph, name, found, kind.lower())
        case "LeakyRelu", (slope,):
            return pointwise.function(call.graph, name, found, "leaky_relu", slope)
        case "HardSigmoid", (alpha, beta):
            return pointwise.function(call.graph, name, found, "hard_sigmoid", alpha, beta)
    return call.fail(f"activation {kind!r} with {len(numbers)} numbers is not supported")


def pads(call: Call, flow: Flow, kernel: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Sizes, Sizes]:
    """Zeros before and after each axis, from ``pads`` or ``auto_pad``."""
    axes = len(kernel)
    mode, given = call.attribute("auto_pad", "NOTSET"), call.attribute("pads", (0,) * (2 * axes))
    if flow.rank != axes + 1:
        call.fail(f"a window of {axes} axes over a value of shape {flow.shape}; expected channels and as many axes")
    if mode in ("NOTSET", "VALID", ""):
        if len(given) != 2 * axes or min(given) < 0:
            call.fail(f"attribute pads: {given}; expected {2 * axes} whole numbers of at least 0")
        return (given[:axes], given[axes:]) if mode != "VALID" else ((0,) * axes, (0,) * axes)
    total = [
        max(0, (-(-size // step) - 1) * step + spread * (taps - 1) + 1 - size)
        for size, taps, step, spread in zip(flow.shape[1:], kernel, stride, dilation, strict=True)
    ]
    return _halves(call, mode, total)


def _halves(call: Call, mode: str, total: list[int]) -> tuple[Sizes, Sizes]:
    """Padding before and after, the odd one at the end that `mode` says."""
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        call.fail(f"attribute auto_pad: {mode!r} is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    less, more = tuple(one // 2 for one in total), tuple(one - one // 2 for one in total)
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def _transposed(call: Call) -> Flow:
    call.only(*SETTINGS, "group", "output_padding", "output_shape")
    flow, weights = call.flow(), _kernels(call)
    axes = weights.ndim - 2
    stride, dilation = call.sizes("strides", axes), call.sizes("dilations", axes)
    added = call.attribute("output_padding", (0,) * axes)
    near, far = transposed_pads(call, flow, weights.shape[2:], stride, dilation, added)
    return windows.transposed(
        call.graph,
        call.name,
        flow,
        weights,
        call.optional(2, "bias"),
        stride=stride,
        padding=near,
        far_padding=far,
        output_padding=added,
        dilation=dilation,
        groups=call.attribute("group", 1),
    )


def transposed_pads(
    call: Call, flow: Flow, kernel: Sizes, stride: Sizes, dilation: Sizes, added: Sizes
) -> tuple[Sizes, Sizes]:
    """What is taken away at both ends, from ``output_shape``, ``auto_pad`` or ``pads``."""
    axes, mode = len(kernel), call.attribute("auto_pad", "NOTSET")
    if len(added) != axes:
        call.fail(f"attribute output_padding: {added}; expected {axes} whole numbers")
    wanted = call.attribute("output_shape", ())[-axes:]
    if not wanted and mode in ("NOTSET", "VALID", ""):
        return pads(call, flow, kernel, stride, dilation)
    wanted = wanted or tuple(size * step for size, step in zip(flow.shape[1:], stride, strict=True))
    settings = zip(flow.shape[1:], kernel, stride, dilation, added, wanted, strict=True)
    total = [step * (size - 1) + more + spread * (taps - 1) + 1 - out for size, taps, step, spread, more, out in settings]
    if min(total) < 0:
        call.fail(f"gives {wanted} where the kernel reaches less far; sizes that need negative padding are not supported")
    return _halves(call, "SAME_UPPER" if mode == "SAME_UPPER" else "SAME_LOWER", total)


def _gemm(call: Call) -> Flow:
    call.only("alpha", "beta", "transB", transA=0)
    flow, weights = call.flow(), call.constant(1, "weights")
    alpha, beta = (call.attribute(name, 1.0) for name in ("alpha", "beta"))
    weights = weights if call.attribute("transB", 0) else weights.T
    weights = weights if alpha == 1 else weights * alpha
    if flow.rank != 1 or weights.ndim != 2:
        call.fail(f"multiplies {flow.shape} by {weights.shape[::-1]}; expected (features,) by (features, outputs)")
    added = call.input(2)
    if isinstance(added, Flow):
        found = windows.linear(call.graph, call.name, flow, weights, None)
        scaled = pointwise.scaled(call.graph, f"{call.name}.beta", added, beta)
        return pointwise.binary(call.graph, f"{call.name}.sum", "add", found, scaled)
    bias = call.optional(2, "bias")
    if bias is not None:
        bias = pointwise.image_free(bias, 1).astype(np.float64) * beta
        if bias.size not in (1, len(weights)):
            call.fail(f"bias of shape {bias.shape} for {len(weights)} outputs")
        bias = bias.reshape(-1)
    return windows.linear(call.graph, call.name, flow, weights, bias)


def _matrix_product(call: Call) -> Flow | Number:
    call.only()
    if isinstance(call.input(0), Flow) and isinstance(call.input(1), Flow):
        call.fail("a product of two matrices that both depend on the image, as in attention, has no layer yet")
    if isinstance(call.input(0), Flow):
        flow, matrix = call.flow(), call.constant(1, "the matrix")
        if matrix.ndim == 1:
            found = windows.linear(call.graph, call.name, flow, matrix[None], None)
            return found.reshape(flow.shape[:-1]) if flow.rank > 1 else Number(found)
        return windows.linear(call.graph, call.name, flow, _matrix(call, matrix, flow).T, None)
    flow = call.flow(1)
    if flow.rank < 2:
        call.fail("multiplies along the images' axis")
    swapped = (*range(flow.rank - 2), flow.rank - 1, flow.rank - 2)
    matrix = _matrix(call, call.constant(0, "the matrix"), flow)
    return windows.linear(call.graph, call.name, flow.permute(swapped), matrix, None).permute(swapped)


def _matrix(call: Call, values: Array, flow: Flow) -> Array:
    """One matrix for all, which may have axes of size 1 before its own two."""
    if values.ndim < 2 or values.ndim > flow.rank + 1 or any(size != 1 for size in values.shape[:-2]):
        call.fail(f"multiplies {flow.shape} by a constant of shape {values.shape}; one matrix for all is supported")
    return values.reshape(values.shape[-2:])


def _pool(kind: type[Layer], *known: str) -> Row:
    def row(call: Call) -> Flow:
        call.only("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides", *known)
        flow = call.flow()
        axes = flow.rank - 1
        kernel = call.sizes("kernel_shape", axes)
        stride, dilation = call.sizes("strides", axes), call.sizes("dilations", axes)
        near, far = pads(call, flow, kernel, stride, dilation)
        fields: dict[str, Any] = {"padding": near, "far_padding": far, "dilation": dilation}
        fields |= {"ceil_mode": True} if call.attribute("ceil_mode", 0) else {}
        if kind is AveragePool and not call.attribute("count_include_pad", 0) and any((*near, *far)):
            fields["count_padding"] = False
        return reductions.pooled(call.graph, call.name, kind, flow, kernel=kernel, stride=stride, **fields)

    return row


def _whole(what: reductions.Reduction) -> Row:
    def row(call: Call) -> Flow:
        call.only()
        flow = call.flow()
        return reductions.reduce(call.graph, call.name, what, flow, range(1, flow.rank), True)

    return row


_OWN: dict[str, Row] = {f"{OWN_DOMAIN}.{one.layers[0]}": _own(one) for one in ARITHMETICS.values() if one.has_own_operator}

OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "Conv": _convolution,
        "ConvTranspose": _transposed,
        "com.microsoft.FusedConv": _fused,
        "Gemm": _gemm,
        "MatMul": _matrix_product,
        "MaxPool": _pool(MaxPool, "storage_order"),
        "AveragePool": _pool(AveragePool, "count_include_pad"),
        "GlobalAveragePool": _whole("mean"),
        "GlobalMaxPool": _whole("max"),
    }
    | _OWN
)
