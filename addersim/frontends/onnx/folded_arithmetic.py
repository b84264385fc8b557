"""Arithmetic on constants, by operator."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends.onnx.constants import axes_of, of_images, room
from addersim.frontends.onnx.file import Array, Node

__all__ = ["COMPUTED"]


def _arithmetic(operation: Callable[[Array, Array], Array]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        first, second = inputs
        room(node, math.prod(np.broadcast_shapes(first.shape, second.shape)))
        return operation(first, second)

    return run


def _divide(first: Array, second: Array) -> Array:
    if first.dtype.kind == "f":
        return np.asarray(first / second)
    if not second.all():
        raise ValueError("division by zero")
    return np.asarray(np.sign(first) * np.sign(second) * (np.abs(first) // np.abs(second)))  # towards zero


def _cast(node: Node, inputs: list[Any]) -> Array:
    import onnx

    kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"])).kind
    wanted: Mapping[str, Any] = {"f": np.float32, "i": np.int64, "b": np.bool_}
    room(node, inputs[0].size)
    if kind == "f" and of_images(inputs[0]):
        return np.asarray(inputs[0].astype(np.float64))  # float32 could not hold what stands for the number of images
    return np.asarray(inputs[0].astype(wanted[kind]))


def _where(node: Node, inputs: list[Any]) -> Array:
    room(node, math.prod(np.broadcast_shapes(*(one.shape for one in inputs))))
    return np.asarray(np.where(*inputs))


def _reduce(operation: Callable[..., Any]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        axes = axes_of(node, inputs)
        if not axes and node.attributes.get("noop_with_empty_axes", 0):
            return np.asarray(inputs[0])
        found = operation(inputs[0], axis=axes or None, keepdims=bool(node.attributes.get("keepdims", 1)))
        return np.asarray(found, inputs[0].dtype)

    return run


def _place(operation: Callable[..., Any]) -> Callable[[Node, list[Any]], Array]:
    """The place of the largest or smallest value, the first of several."""

    def run(node: Node, inputs: list[Any]) -> Array:
        if node.attributes.get("select_last_index", 0):
            raise ValueError("the last of several")
        axis, keep = node.attributes.get("axis", 0), bool(node.attributes.get("keepdims", 1))
        return np.asarray(operation(inputs[0], axis=axis, keepdims=keep), np.int64)

    return run


def _several(operation: Callable[[Array, Array], Array]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        room(node, math.prod(np.broadcast_shapes(*(one.shape for one in inputs))))
        return np.asarray(functools.reduce(operation, inputs))

    return run


def _alike(operation: Callable[[Array], Any]) -> Callable[[Node, list[Any]], Array]:
    """A function of every value, in the type of the values."""

    def run(node: Node, inputs: list[Any]) -> Array:
        room(node, inputs[0].size)
        return np.asarray(operation(inputs[0]), inputs[0].dtype)

    return run


def _compare(operation: Callable[[Array, Array], Any]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        room(node, math.prod(np.broadcast_shapes(inputs[0].shape, inputs[1].shape)))
        return np.asarray(operation(inputs[0], inputs[1]), np.bool_)

    return run


def _power(first: Array, second: Array) -> Array:
    return np.asarray(np.power(first.astype(np.float64), second), first.dtype)


def _modulo(node: Node, inputs: list[Any]) -> Array:
    operation = np.fmod if node.attributes.get("fmod", 0) else np.mod
    return _arithmetic(operation)(node, inputs)


def _clip(node: Node, inputs: list[Any]) -> Array:
    low = node.attributes.get("min", inputs[1] if len(inputs) > 1 else None)
    high = node.attributes.get("max", inputs[2] if len(inputs) > 2 else None)
    return np.asarray(inputs[0] if low is None and high is None else np.clip(inputs[0], low, high), inputs[0].dtype)


_ALIKE: Mapping[str, Callable[[Array], Any]] = MappingProxyType(
    {
        "Abs": np.abs,
        "Ceil": np.ceil,
        "Cos": np.cos,
        "Exp": np.exp,
        "Floor": np.floor,
        "Log": np.log,
        "Reciprocal": np.reciprocal,
        "Relu": lambda x: np.maximum(x, 0),
        "Round": np.rint,
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "Sign": np.sign,
        "Sin": np.sin,
        "Sqrt": np.sqrt,
        "Tanh": np.tanh,
    }
)
COMPUTED: Mapping[str, Callable[[Node, list[Any]], Any]] = MappingProxyType(
    {
        "Add": _arithmetic(np.add),
        "Sub": _arithmetic(np.subtract),
        "Mul": _arithmetic(np.multiply),
        "Div": _arithmetic(_divide),
        "Neg": lambda node, inputs: -inputs[0],
        "Cast": _cast,
        "CastLike": lambda node, inputs: inputs[0].astype(inputs[1].dtype),
        "Where": _where,
        "Pow": _arithmetic(_power),
        "Mod": _modulo,
        "Sum": _several(np.add),
        "Max": _several(np.maximum),
        "Min": _several(np.minimum),
        "Clip": _clip,
        "Equal": _compare(np.equal),
        "Less": _compare(np.less),
        "LessOrEqual": _compare(np.less_equal),
        "Greater": _compare(np.greater),
        "GreaterOrEqual": _compare(np.greater_equal),
        "And": _compare(np.logical_and),
        "Or": _compare(np.logical_or),
        "Xor": _compare(np.logical_xor),
        "Not": _alike(np.logical_not),
        "ReduceProd": _reduce(np.prod),
        "ReduceSum": _reduce(np.sum),
        "ReduceMax": _reduce(np.max),
        "ReduceMin": _reduce(np.min),
        "ReduceMean": _reduce(np.mean),
        "ArgMax": _place(np.argmax),
        "ArgMin": _place(np.argmin),
    }
    | {operator: _alike(operation) for operator, operation in _ALIKE.items()}
)
"""What computes with the values of constants, by operator."""
