"""Constants that are made, moved or repeated: shapes that exporters compute, transposed weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.frontends.onnx.constants import BATCH, MOST_REPEATED, axes_of, room
from addersim.frontends.onnx.file import Array, Node, Unreadable

__all__ = ["MOVED"]


def _constant(node: Node, inputs: list[Any]) -> Array:
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        found = node.attributes.get(name)
        if isinstance(found, np.ndarray):
            return np.asarray(found)
        if found is not None and not isinstance(found, Unreadable):
            return np.array(found, np.int64 if "int" in name else np.float32)
    return node.fail(f"no value that can be read; found attributes {', '.join(node.attributes) or 'none'}")


def _gather(node: Node, inputs: list[Any]) -> Array:
    data, places = inputs
    axis = node.attributes.get("axis", 0)
    room(node, places.size * (data.size // max(1, data.shape[axis])))
    return np.asarray(np.take(data, places, axis=axis))


def _concatenate(node: Node, inputs: list[Any]) -> Array:
    room(node, sum(one.size for one in inputs))
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


def _one_image(sizes: Array) -> list[int]:
    """Sizes for one image, where the first is the number of images: a constant is the same for each."""
    return [1 if place == 0 and size == BATCH else int(size) for place, size in enumerate(sizes.reshape(-1))]


def _full(node: Node, inputs: list[Any]) -> Array:
    sizes = _one_image(inputs[0])
    room(node, math.prod(sizes), MOST_REPEATED)
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.broadcast_to(value.reshape(()), sizes)


def _expand(node: Node, inputs: list[Any]) -> Array:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(_one_image(inputs[1])))
    room(node, math.prod(shape), MOST_REPEATED)
    return np.broadcast_to(inputs[0], shape)


def _tile(node: Node, inputs: list[Any]) -> Array:
    room(node, inputs[0].size * math.prod(int(one) for one in inputs[1]))
    return np.tile(inputs[0], inputs[1].tolist())


def _range(node: Node, inputs: list[Any]) -> Array:
    start, stop, step = (one.reshape(()).item() for one in inputs)
    room(node, max(0, math.ceil((stop - start) / step)))
    return np.arange(start, stop, step, dtype=inputs[0].dtype)


def _shape(node: Node, inputs: list[Any]) -> Array:
    return np.array(inputs[0].shape[node.attributes.get("start", 0) : node.attributes.get("end")], np.int64)


def _scatter(node: Node, inputs: list[Any]) -> Array:
    data, places, updates = inputs
    if node.attributes.get("reduction", "none") != "none":
        raise ValueError("reduction")
    room(node, data.size)
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


MOVED: Mapping[str, Callable[[Node, list[Any]], Any]] = MappingProxyType(
    {
        "Constant": _constant,
        "Identity": lambda node, inputs: inputs[0],
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
        "Expand": _expand,
        "Tile": _tile,
        "ScatterND": _scatter,
        "NonZero": lambda node, inputs: np.array(np.nonzero(inputs[0]), np.int64),
    }
)
"""What makes constants of others without computing with their values, by operator."""
