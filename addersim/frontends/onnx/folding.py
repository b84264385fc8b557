"""Arithmetic on constants: shapes that exporters compute, transposed weights; no result is larger than `MAX_VALUES`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.onnx.file import Array, Node, Unreadable
from addersim.inputs.opening import MAX_FILE_BYTES

__all__ = ["BATCH", "FOLDED", "fold"]

BATCH = -2_000_000_011
"""Stands for the number of images in a shape: no sum, product or quotient of it with sizes is a size, 0 or -1."""

MAX_VALUES = 1 << 24
"""Values of a constant that is computed; weights that are only renamed or transposed take no memory and may be larger."""

MOST_REPEATED = MAX_FILE_BYTES // 8
"""Values of a constant that repeats others, which takes no memory of its own."""


def fold(node: Node, inputs: list[Array | None]) -> Array | tuple[Array, ...]:
    """The value of a node that reads constants only."""
    if node.operator not in OF_SIZES and any(map(_of_images, inputs)):
        node.fail("computes with the number of images, in a way in which it cannot stay open")
    try:
        with np.errstate(all="ignore"):
            found: Array | tuple[Array, ...] = FOLDED[node.operator](node, inputs)
            return found
    except LoweringError:
        raise
    except (ValueError, IndexError, TypeError, OverflowError, KeyError, AttributeError):
        node.fail(f"cannot be computed from constants of shapes {[None if x is None else x.shape for x in inputs]}")


def _of_images(values: Array | None) -> bool:
    """Whether what stands for the number of images is among whole numbers, or has gone into them."""
    if values is None or values.dtype.kind != "i":
        return False
    sizes = np.abs(values[np.abs(values) < 1 << 60])  # the ends of int64 stand for the end of an axis
    return bool((sizes > 1_000_000_000).any())


def _axes(node: Node, inputs: list[Any], place: int = 1) -> tuple[int, ...] | None:
    """Axes from an attribute (old opsets) or from a constant input; None where neither is there."""
    if "axes" in node.attributes:
        return tuple(node.attributes["axes"])
    given = inputs[place] if len(inputs) > place else None
    return None if given is None else tuple(int(one) for one in given.reshape(-1))


def _room(node: Node, values: int, most: int | None = None) -> None:
    most = MAX_VALUES if most is None else most
    if values > most:
        node.fail(f"would compute a constant of {values:,} values; at most {most:,} are allowed")


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
    if kind == "f" and _of_images(inputs[0]):
        return np.asarray(inputs[0].astype(np.float64))  # float32 could not hold what stands for the number of images
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
    return np.asarray(np.squeeze(inputs[0], _axes(node, inputs)))


def _unsqueeze(node: Node, inputs: list[Any]) -> Array:
    return np.asarray(np.expand_dims(inputs[0], _axes(node, inputs) or ()))


def _reshape(node: Node, inputs: list[Any]) -> Array:
    data, target = inputs
    sizes = [data.shape[place] if size == 0 else size for place, size in enumerate(target.tolist())]
    return np.asarray(data.reshape(sizes))


def _transpose(node: Node, inputs: list[Any]) -> Array:
    return np.asarray(inputs[0].transpose(node.attributes.get("perm")))


def _one_image(sizes: Array) -> list[int]:
    """Sizes for one image, where the first is the number of images: a constant is the same for each."""
    return [1 if place == 0 and size == BATCH else int(size) for place, size in enumerate(sizes.reshape(-1))]


def _full(node: Node, inputs: list[Any]) -> Array:
    sizes = _one_image(inputs[0])
    _room(node, math.prod(sizes), MOST_REPEATED)
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.broadcast_to(value.reshape(()), sizes)


def _expand(node: Node, inputs: list[Any]) -> Array:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(_one_image(inputs[1])))
    _room(node, math.prod(shape), MOST_REPEATED)
    return np.broadcast_to(inputs[0], shape)


def _tile(node: Node, inputs: list[Any]) -> Array:
    _room(node, inputs[0].size * math.prod(int(one) for one in inputs[1]))
    return np.tile(inputs[0], inputs[1].tolist())


def _range(node: Node, inputs: list[Any]) -> Array:
    start, stop, step = (one.reshape(()).item() for one in inputs)
    _room(node, max(0, math.ceil((stop - start) / step)))
    return np.arange(start, stop, step, dtype=inputs[0].dtype)


def _where(node: Node, inputs: list[Any]) -> Array:
    _room(node, math.prod(np.broadcast_shapes(*(one.shape for one in inputs))))
    return np.asarray(np.where(*inputs))


def _shape(node: Node, inputs: list[Any]) -> Array:
    return np.array(inputs[0].shape[node.attributes.get("start", 0) : node.attributes.get("end")], np.int64)


def _reduce(operation: Callable[..., Any]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        axes = _axes(node, inputs)
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
        _room(node, math.prod(np.broadcast_shapes(*(one.shape for one in inputs))))
        return np.asarray(functools.reduce(operation, inputs))

    return run


def _alike(operation: Callable[[Array], Any]) -> Callable[[Node, list[Any]], Array]:
    """A function of every value, in the type of the values."""

    def run(node: Node, inputs: list[Any]) -> Array:
        _room(node, inputs[0].size)
        return np.asarray(operation(inputs[0]), inputs[0].dtype)

    return run


def _compare(operation: Callable[[Array, Array], Any]) -> Callable[[Node, list[Any]], Array]:
    def run(node: Node, inputs: list[Any]) -> Array:
        _room(node, math.prod(np.broadcast_shapes(inputs[0].shape, inputs[1].shape)))
        return np.asarray(operation(inputs[0], inputs[1]), np.bool_)

    return run


def _power(first: Array, second: Array) -> Array:
    return np.asarray(np.power(first.astype(np.float64), second), first.dtype)


def _modulo(node: Node, inputs: list[Any]) -> Array:
    operation = np.fmod if node.attributes.get("fmod", 0) else np.mod
    return _arithmetic(operation)(node, inputs)


def _scatter(node: Node, inputs: list[Any]) -> Array:
    data, places, updates = inputs
    if node.attributes.get("reduction", "none") != "none":
        raise ValueError("reduction")
    _room(node, data.size)
    found: Array = data.copy()
    found[tuple(np.moveaxis(places, -1, 0))] = updates
    return found


def _split(node: Node, inputs: list[Any]) -> tuple[Array, ...]:
    data, parts = inputs[0], len(node.outputs)
    axis = node.attributes.get("axis", 0)
    sizes = node.attributes.get("split") or (inputs[1].tolist() if len(inputs) > 1 and inputs[1] is not None else None)
    if sizes is None:
        each = -(-data.shape[axis] // parts)
        sizes = [each] * (parts - 1) + [data.shape[axis] - each * (parts - 1)]
    return tuple(np.split(data, np.cumsum(sizes)[:-1], axis))


def _clip(node: Node, inputs: list[Any]) -> Array:
    low = node.attributes.get("min", inputs[1] if len(inputs) > 1 else None)
    high = node.attributes.get("max", inputs[2] if len(inputs) > 2 else None)
    return np.asarray(inputs[0] if low is None and high is None else np.clip(inputs[0], low, high), inputs[0].dtype)


OF_SIZES = frozenset(
    {
        *("Identity", "Add", "Sub", "Mul", "Div", "Neg", "Cast", "Gather", "Concat", "Slice", "Squeeze", "Unsqueeze", "Split"),
        *("Reshape", "Transpose", "ConstantOfShape", "Constant", "Shape", "Size", "Equal", "Where", "Expand", "ScatterND"),
        "ReduceProd",
    }
)
"""What gives the right sizes whatever the number of images; everything else is not computed from it."""

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

FOLDED: Mapping[str, Callable[[Node, list[Any]], Any]] = MappingProxyType(
    {
        "Constant": _constant,
        "Identity": lambda node, inputs: inputs[0],
        "Add": _arithmetic(np.add),
        "Sub": _arithmetic(np.subtract),
        "Mul": _arithmetic(np.multiply),
        "Div": _arithmetic(_divide),
        "Neg": lambda node, inputs: -inputs[0],
        "Cast": _cast,
        "CastLike": lambda node, inputs: inputs[0].astype(inputs[1].dtype),
        "Gather": _gather,
        "Concat": _concatenate,
        "Slice": _slice,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Reshape": _reshape,
        "Transpose": _transpose,
        "ConstantOfShape": _full,
        "Shape": _shape,
        "Size": lambda node, inputs: np.array(inputs[0].size, np.int64),
        "Split": _split,
        "Range": _range,
        "Where": _where,
        "Expand": _expand,
        "Tile": _tile,
        "ScatterND": _scatter,
        "NonZero": lambda node, inputs: np.array(np.nonzero(inputs[0]), np.int64),
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
"""What is computed from constants, by operator."""
