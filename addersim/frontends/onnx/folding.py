"""Arithmetic on constants: shapes that exporters compute, transposed weights; no result is larger than `MAX_VALUES`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.onnx.file import Array, Node, Unreadable

__all__ = ["BATCH", "FOLDED", "axes_of", "fold"]

BATCH = -2_000_000_011
"""Stands for the number of images in a shape: no sum, product or quotient of it with sizes is a size, 0 or -1."""

MAX_VALUES = 1 << 24
"""Values of a constant that is computed; weights that are only renamed or transposed take no memory and may be larger."""


def fold(node: Node, inputs: list[Array | None]) -> Array:
    """The value of a node that reads constants only."""
    try:
        with np.errstate(all="ignore"):
            return FOLDED[node.operator](node, inputs)
    except LoweringError:
        raise
    except (ValueError, IndexError, TypeError, OverflowError, KeyError, AttributeError):
        node.fail(f"cannot be computed from constants of shapes {[None if x is None else x.shape for x in inputs]}")


def axes_of(node: Node, inputs: list[Any], place: int = 1) -> tuple[int, ...] | None:
    """Axes from an attribute (old opsets) or from a constant input; None where neither is there."""
    if "axes" in node.attributes:
        return tuple(node.attributes["axes"])
    given = inputs[place] if len(inputs) > place else None
    if given is not None and not isinstance(given, np.ndarray):
        node.fail("its axes are computed from the image; only constants are supported")
    return None if given is None else tuple(int(one) for one in given.reshape(-1))


def _room(node: Node, values: int) -> None:
    if values > MAX_VALUES:
        node.fail(f"would compute a constant of {values:,} values; at most {MAX_VALUES:,} are allowed")


def _constant(node: Node, inputs: list[Any]) -> Array:
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        found = node.attributes.get(name)
        if isinstance(found, np.ndarray):
            return np.asarray(found)
        if found is not None and not isinstance(found, Unreadable):
            return np.array(found, np.int64 if "int" in name else np.float32)
    return node.fail(f"no value that can be read; found attributes {', '.join(node.attributes) or 'none'}")


def _arithmetic(operation: Callable[[Array, Array], Array]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        first, second = inputs
        _room(node, math.prod(np.broadcast_shapes(first.shape, second.shape)))
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
    _room(node, inputs[0].size)
    return np.asarray(inputs[0].astype(wanted[kind]))


def _gather(node: Node, inputs: list[Any]) -> Array:
    data, places = inputs
    axis = node.attributes.get("axis", 0)
    _room(node, places.size * (data.size // max(1, data.shape[axis])))
    return np.asarray(np.take(data, places, axis=axis))


def _concatenate(node: Node, inputs: list[Any]) -> Array:
    _room(node, sum(one.size for one in inputs))
    return np.concatenate(inputs, axis=node.attributes["axis"])


def _slice(node: Node, inputs: list[Any]) -> Array:
    data = inputs[0]
    if "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = inputs[1].tolist(), inputs[2].tolist()
        axes = inputs[3].tolist() if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
        steps = inputs[4].tolist() if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    cuts = [slice(None)] * data.ndim
    for axis, *cut in zip(axes, starts, ends, steps, strict=True):
        cuts[axis] = slice(*cut)
    return np.asarray(data[tuple(cuts)])


def _squeeze(node: Node, inputs: list[Any]) -> Array:
    return np.asarray(np.squeeze(inputs[0], axes_of(node, inputs)))


def _unsqueeze(node: Node, inputs: list[Any]) -> Array:
    return np.asarray(np.expand_dims(inputs[0], axes_of(node, inputs) or ()))


def _reshape(node: Node, inputs: list[Any]) -> Array:
    data, target = inputs
    sizes = [data.shape[place] if size == 0 else size for place, size in enumerate(target.tolist())]
    return np.asarray(data.reshape(sizes))


def _transpose(node: Node, inputs: list[Any]) -> Array:
    return np.asarray(inputs[0].transpose(node.attributes.get("perm")))


def _full(node: Node, inputs: list[Any]) -> Array:
    sizes = [int(one) for one in inputs[0]]
    _room(node, math.prod(sizes))
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.full(sizes, value.reshape(()), value.dtype)


def _shape(node: Node, inputs: list[Any]) -> Array:
    return np.array(inputs[0].shape[node.attributes.get("start", 0) : node.attributes.get("end")], np.int64)


FOLDED: Mapping[str, Callable[[Node, list[Any]], Array]] = MappingProxyType(
    {
        "Constant": _constant,
        "Identity": lambda node, inputs: inputs[0],
        "Add": _arithmetic(np.add),
        "Sub": _arithmetic(np.subtract),
        "Mul": _arithmetic(np.multiply),
        "Div": _arithmetic(_divide),
        "Neg": lambda node, inputs: -inputs[0],
        "Cast": _cast,
        "Gather": _gather,
        "Concat": _concatenate,
        "Slice": _slice,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Reshape": _reshape,
        "Transpose": _transpose,
        "ConstantOfShape": _full,
        "Shape": _shape,
    }
)
"""What is computed from constants, by operator."""
