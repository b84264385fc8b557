"""ATen operators that become layers: a row each, from a `Call` to the value that it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch

from addersim.arithmetic.geometry import same_padding
from addersim.errors import LoweringError
from addersim.frontends import pointwise, reductions, windows
from addersim.frontends.flow import Flow
from addersim.frontends.torch import arithmetic, moves
from addersim.frontends.torch.call import Array, Call, Sizes
from addersim.layers import AveragePool, MaxPool

__all__ = ["OPERATORS"]

Row = Callable[[Call], Any]


def _convolution(call: Call) -> Flow:
    weights = call.array("weight")
    axes = weights.ndim - 2
    if call.get("transposed"):
        return _transposed(call)
    flow = call.flow("input")
    stride, dilation = call.sizes("stride", axes), call.sizes("dilation", axes)
    near, far = _pads(call, weights.shape[2:], dilation)
    bias = call.optional("bias")
    settings: Any = {"stride": stride, "near": near, "far": far, "dilation": dilation, "groups": call["groups"]}
    return windows.convolution(call.graph, call.name, flow, weights, bias, **settings)


def _pads(call: Call, kernel: Sizes, dilation: Sizes) -> tuple[Sizes, Sizes]:
    """Zeros before and after each axis."""
    given = call["padding"]
    if given == "same":
        return same_padding(kernel, dilation)
    pads = (0,) * len(kernel) if given == "valid" else call.sizes("padding", len(kernel))
    return pads, pads


def _transposed(call: Call) -> Flow:
    weights = call.array("weight")
    axes = weights.ndim - 2
    names = ("stride", "padding", "output_padding", "dilation")
    settings = {name: call.sizes(name, axes) for name in names}
    return windows.transposed(
        call.graph, call.name, call.flow("input"), weights, call.optional("bias"), groups=call["groups"], **settings
    )


def _adder(call: Call) -> Flow:
    return _window(call, "weights", call.optional("bias"), call["arithmetic"], call["weight_bits"])


def _trained_adder(call: Call) -> Flow:
    """What programs hold that were exported or traced with layers of `addersim.nn`, and subclasses of these."""
    return _window(call, "adder", None, "l1", None)


def _window(call: Call, filters: str, bias: Array | None, arithmetic: str, weight_bits: int | None) -> Flow:
    pads = tuple(call["padding"])
    return windows.convolution(
        call.graph,
        call.name,
        call.flow("x"),
        call.array(filters),
        bias,
        stride=tuple(call["stride"]),
        near=pads,
        far=pads,
        dilation=tuple(call["dilation"]),
        groups=call["groups"],
        arithmetic=arithmetic,
        weight_bits=weight_bits,
    )


def _linear(call: Call) -> Flow:
    return windows.linear(call.graph, call.name, call.flow("input"), call.array("weight"), call.optional("bias"))


def _matrix_product(first: str, second: str) -> Row:
    def row(call: Call) -> Flow:
        one, other = call[first], call[second]
        if isinstance(one, Flow) and isinstance(other, Flow):
            raise LoweringError("a product of two matrices that both depend on the image, as in attention, has no layer yet")
        if isinstance(one, Flow):
            matrix = call.array(second)
            if matrix.ndim == 1:
                found = windows.linear(call.graph, call.name, one, matrix[None], None)
                return found.reshape(one.shape[:-1] or (1,))
            return windows.linear(call.graph, call.name, one, _matrix(matrix).T, None)
        flow, matrix = call.flow(second), _matrix(call.array(first))
        if flow.rank < 2:
            raise LoweringError("multiplies along the images' axis")
        swapped = (*range(flow.rank - 2), flow.rank - 1, flow.rank - 2)
        return windows.linear(call.graph, call.name, flow.permute(swapped), matrix, None).permute(swapped)

    return row


def _matrix(values: Array) -> Array:
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2:
        raise LoweringError(f"multiplies by a constant of shape {values.shape}; one matrix for all is supported")
    return values


def _added_product(call: Call) -> Flow:
    found = _matrix_product("mat1", "mat2")(call)
    if call["alpha"] != 1:
        found = pointwise.scaled(call.graph, f"{call.name}.alpha", found, call["alpha"])
    bias = call["self"]
    if isinstance(bias, Flow):
        raise LoweringError("adds a value that depends on the image to a product; write it as a sum")
    addend = pointwise.image_free(call.array("self"), found.rank) * call["beta"]
    return pointwise.affine(call.graph, f"{call.name}.bias", found, np.ones(1), addend)


def _batch_norm(call: Call) -> Any:
    mean, variance = call.optional("running_mean"), call.optional("running_var")
    if call.get("training") or mean is None or variance is None:
        raise LoweringError(
            "batch norm with the statistics of the batch makes images depend on each other; train with running statistics"
        )
    epsilon = call.get("eps", 1e-5)
    found = pointwise.batch_norm(
        call.graph, call.name, call.flow("input"), call.optional("weight"), call.optional("bias"), mean, variance, epsilon
    )
    return (found, None, None) if "native" in call.operator else found


def _function(what: str, *arguments: str) -> Row:
    """A pointwise function; `arguments` are its parameters' names."""

    def row(call: Call) -> Flow:
        parameters = [call.number(name) for name in arguments]
        return pointwise.function(call.graph, call.name, call.operand, what, *parameters)

    return row


def _gelu(call: Call) -> Flow:
    what = "gelu" if call["approximate"] == "none" else "gelu_tanh"
    return pointwise.function(call.graph, call.name, call.operand, what)


def _prelu(call: Call) -> Flow:
    return pointwise.function(call.graph, call.name, call.operand, "prelu", slopes=call.array("weight"))


def _elu(call: Call) -> Flow:
    if call["input_scale"] != 1:
        raise LoweringError("ELU with an input scale is not supported")
    flow = call.operand
    if call["scale"] == 1:
        return pointwise.function(call.graph, call.name, flow, "elu", call.number("alpha"))
    return pointwise.function(call.graph, call.name, flow, "selu", call.number("alpha"), call.number("scale"))


def _power(call: Call) -> Flow:
    return pointwise.power(call.graph, call.name, call.operand, call.number("exponent"))


def _clip(low: float | str | None, high: float | str | None) -> Row:
    """A clip between numbers or arguments of some names."""

    def end(call: Call, given: float | str | None) -> float | None:
        if isinstance(given, str):
            return None if call.arguments.get(given) is None else call.number(given)
        return given

    return lambda call: pointwise.clip(call.graph, call.name, call.operand, end(call, low), end(call, high))


def _fill(call: Call) -> Flow:
    flow = call.flow("self")
    mask = pointwise.image_free(call.array("mask"), flow.rank).astype(bool)
    value = call.number("value")
    if not math.isfinite(value):
        raise LoweringError(f"fills with {value}; only finite numbers have codes")
    return pointwise.affine(call.graph, call.name, flow, np.where(mask, 0.0, 1.0), np.where(mask, value, 0.0))


def _where(call: Call) -> Flow:
    """A choice by a mask that does not depend on the images."""
    if isinstance(call["condition"], Flow):
        raise LoweringError("chooses by a condition that depends on the image; write it with clamp, relu or hard sigmoid")
    rank = len(call.shape)
    mask = pointwise.image_free(call.array("condition"), rank).astype(bool)
    flows: list[Flow] = []
    addend = np.zeros(1)
    for name, chosen in (("self", mask), ("other", ~mask)):
        if isinstance(call[name], Flow):
            factor = chosen.astype(np.float64)
            flows.append(pointwise.affine(call.graph, f"{call.name}.{name}", call[name], factor, np.zeros(1)))
        else:
            addend = np.where(chosen, pointwise.image_free(call.array(name), rank), 0.0)
    if len(flows) == 2:
        return pointwise.binary(call.graph, call.name, "add", *flows)
    return pointwise.affine(call.graph, call.name, flows[0], np.ones(1), addend)


def _random_slope(call: Call) -> Flow:
    """At inference the slope is the mean of those that training draws from."""
    if call["training"]:
        raise LoweringError("draws its slopes at inference, too; give it training=False")
    return pointwise.function(call.graph, call.name, call.operand, "leaky_relu", (call["lower"] + call["upper"]) / 2)


def _max_pool(axes: int) -> Row:
    def row(call: Call) -> Any:
        found = reductions.pooled(
            call.graph, call.name, MaxPool, call.operand, **_pool_moves(call, axes), dilation=call.sizes("dilation", axes)
        )
        return (found, None) if "indices" in call.operator else found

    return row


def _pool_moves(call: Call, axes: int) -> dict[str, Any]:
    """How the windows of a pooling layer move; without a stride they stand side by side."""
    kernel = call.sizes("kernel_size", axes)
    return {
        "kernel": kernel,
        "stride": kernel if call["stride"] in ([], None) else call.sizes("stride", axes),
        "padding": call.sizes("padding", axes),
        "ceil_mode": bool(call["ceil_mode"]),
    }


def _average_pool(axes: int) -> Row:
    def row(call: Call) -> Flow:
        fields = _pool_moves(call, axes)
        counted = bool(call["count_include_pad"]) or not any(fields["padding"])
        fields |= {"count_padding": counted, "divisor": call.get("divisor_override")}
        return reductions.pooled(call.graph, call.name, AveragePool, call.operand, **fields)

    return row


def _adaptive(kind: Any, axes: int) -> Row:
    def row(call: Call) -> Any:
        output = call.sizes("output_size", axes)
        flow = call.operand
        found = reductions.adaptive(call.graph, call.name, kind, flow, output)
        return (found, None) if len(call.node.target._schema.returns) == 2 else found  # type: ignore[union-attr]

    return row


def _reduce(what: reductions.Reduction) -> Row:
    def row(call: Call) -> Flow:
        flow = call.operand
        return reductions.reduce(call.graph, call.name, what, flow, call.axes(call.get("dim")), bool(call.get("keepdim")))

    return row


def _extreme(what: Literal["max", "min"]) -> Row:
    """``max`` and ``min``: of two values, or along one axis, whose second result (places) nothing may read."""
    two = arithmetic.OPERATORS[f"{what}imum"]

    def row(call: Call) -> Any:
        if "other" in call.arguments:
            return two(call)
        flow = call.flow("self")
        return reductions.reduce(call.graph, call.name, what, flow, call.axes(call.get("dim")), bool(call["keepdim"])), None

    return row


def _variance(root: bool) -> Row:
    def row(call: Call) -> Flow:
        flow = call.operand
        axes = call.axes(call.get("dim"))
        correction = call.get("correction", 1 if call.get("unbiased", True) else 0)
        correction = 1 if correction is None else correction
        found = reductions.variance(call.graph, call.name, flow, axes, bool(call["keepdim"]), correction)
        return pointwise.function(call.graph, f"{call.name}.root", found, "sqrt") if root else found

    return row


def _length(call: Call) -> Flow:
    """The Euclidean length along axes."""
    if call.get("ord", call.get("p")) not in (2, 2.0, None):
        raise LoweringError("only the Euclidean norm (2) is supported")
    flow = call.operand
    squares = pointwise.function(call.graph, f"{call.name}.squares", flow, "square")
    total = reductions.reduce(call.graph, f"{call.name}.sum", "sum", squares, call.axes(call["dim"]), bool(call["keepdim"]))
    return pointwise.function(call.graph, call.name, total, "sqrt")


def _layer_norm(call: Call) -> Any:
    flow = call.flow("input")
    count = len(call["normalized_shape"])
    axes = tuple(range(flow.rank - count, flow.rank))
    epsilon = call.get("eps")
    root = "rms" in call.operator
    epsilon = float(np.finfo(np.float32).eps) if epsilon is None else epsilon
    found = reductions.normalise(call.graph, call.name, flow, axes, epsilon, centred=not root)
    found = _gained(call, found, call.optional("weight"), None if root else call.optional("bias"))
    return (found, None, None) if "native" in call.operator else found


def _gained(call: Call, flow: Flow, weight: Array | None, bias: Array | None) -> Flow:
    if weight is None and bias is None:
        return flow
    multiplier = np.ones(1) if weight is None else weight
    addend = np.zeros(1) if bias is None else bias
    return pointwise.affine(call.graph, f"{call.name}.gain", flow, multiplier, addend)


def _group_norm(call: Call) -> Flow:
    flow, groups = call.flow("input"), call["num_groups"]
    return _by_channel(call, reductions.normalise_groups(call.graph, call.name, flow, groups, call["eps"]))


def _by_channel(call: Call, flow: Flow) -> Flow:
    constants = [call.optional(name) for name in ("weight", "bias")]
    shape = (-1, *[1] * (flow.rank - 1))
    return _gained(call, flow, *(None if one is None else one.reshape(shape) for one in constants))


def _instance_norm(call: Call) -> Flow:
    flow = call.flow("input")
    if not call["use_input_stats"]:
        mean, variance = call.array("running_mean"), call.array("running_var")
        constants = (call.optional("weight"), call.optional("bias"), mean, variance)
        return pointwise.batch_norm(call.graph, call.name, flow, *constants, call["eps"])
    return _by_channel(call, reductions.normalise_groups(call.graph, call.name, flow, flow.shape[0], call["eps"]))


def _softmax(log: bool) -> Row:
    def row(call: Call) -> Flow:
        flow = call.operand
        return reductions.softmax(call.graph, call.name, flow, call.axes(call["dim"])[0], log=log)

    return row


def _linear_resize(call: Call) -> Flow:
    """Each axis by what torch itself makes of single ones."""
    flow = call.operand
    factors = call.get("scale_factors") or [None] * flow.rank
    matrices = []
    for axis in range(1, flow.rank):
        ones = torch.eye(flow.shape[axis], dtype=torch.float64)[None]
        factor = factors[axis - 1]
        wanted: dict[str, Any] = {"size": call.shape[axis]} if factor is None else {"scale_factor": factor}
        found = torch.nn.functional.interpolate(ones, mode="linear", align_corners=bool(call["align_corners"]), **wanted)
        matrices.append(found[0].numpy())
    return reductions.resized(call.graph, call.name, flow, matrices)


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "conv1d": _convolution,
        "conv2d": _convolution,
        "convolution": _convolution,
        "conv_transpose1d": _transposed,
        "conv_transpose2d": _transposed,
        "addersim::window": _adder,
        "addersim::l1_forward": _trained_adder,
        "linear": _linear,
        "matmul": _matrix_product("self", "other"),
        "mm": _matrix_product("self", "mat2"),
        "bmm": _matrix_product("self", "mat2"),
        "addmm": _added_product,
        "batch_norm": _batch_norm,
        "_native_batch_norm_legit_no_training": _batch_norm,
        "layer_norm": _layer_norm,
        "native_layer_norm": _layer_norm,
        "rms_norm": _layer_norm,
        "group_norm": _group_norm,
        "instance_norm": _instance_norm,
        "softmax": _softmax(False),
        "_softmax": _softmax(False),
        "log_softmax": _softmax(True),
        "_log_softmax": _softmax(True),
        "relu": _clip(0.0, None),
        "relu6": _clip(0.0, 6.0),
        "hardtanh": _clip("min_val", "max_val"),
        "gelu": _gelu,
        "prelu": _prelu,
        "elu": _elu,
        "selu": lambda call: pointwise.function(
            call.graph, call.name, call.operand, "selu", 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
        ),
        "pow": _power,
        "neg": lambda call: pointwise.scaled(call.graph, call.name, call.operand, -1.0),
        "masked_fill": _fill,
        "where": _where,
        "max_pool1d": _max_pool(1),
        "max_pool2d": _max_pool(2),
        "max_pool1d_with_indices": _max_pool(1),
        "max_pool2d_with_indices": _max_pool(2),
        "avg_pool1d": _average_pool(1),
        "avg_pool2d": _average_pool(2),
        "adaptive_avg_pool1d": _adaptive(AveragePool, 1),
        "adaptive_avg_pool2d": _adaptive(AveragePool, 2),
        "_adaptive_avg_pool2d": _adaptive(AveragePool, 2),
        "adaptive_max_pool1d": _adaptive(MaxPool, 1),
        "adaptive_max_pool2d": _adaptive(MaxPool, 2),
        "mean": _reduce("mean"),
        "sum": _reduce("sum"),
        "amax": _reduce("max"),
        "amin": _reduce("min"),
        "max": _extreme("max"),
        "min": _extreme("min"),
        "var": _variance(False),
        "std": _variance(True),
        "linalg_vector_norm": _length,
        "norm": _length,
        "upsample_linear1d": _linear_resize,
        "upsample_bilinear2d": _linear_resize,
    }
    | {
        name: _function(name)
        for name in (
            *("sigmoid", "tanh", "silu", "mish", "exp", "log", "sqrt", "rsqrt", "reciprocal", "abs", "sign", "square", "erf"),
            *("sin", "cos", "floor", "ceil", "log1p", "expm1", "atan"),
        )
    }
    | {
        "round": _function("round"),
        "hardswish": _function("hard_swish"),
        "hardsigmoid": lambda call: pointwise.function(call.graph, call.name, call.operand, "hard_sigmoid", 1 / 6, 0.5),
        "leaky_relu": _function("leaky_relu", "negative_slope"),
        "celu": _function("celu", "alpha"),
        "rrelu": _random_slope,
        "softplus": _function("softplus", "beta", "threshold"),
        "log_sigmoid": _function("logsigmoid"),
        "hardshrink": _function("hard_shrink", "lambd"),
        "softshrink": _function("soft_shrink", "lambd"),
        "threshold": _function("threshold", "threshold", "value"),
    }
    | dict(arithmetic.OPERATORS)
    | dict(moves.OPERATORS)
)
"""How an ATen operator on values that depend on the images becomes layers, whatever its overload or in-place form."""
