"""Whole numbers that a file computes from shapes: what converters write where the number of images is open.

The shapes that such a file says of its tensors hold 1 in place of sizes that it leaves open, so that what a value is reshaped
to has to be worked out, as an interpreter does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.tflite.records import Array, Operator

__all__ = ["SIZES", "computed"]

MOST = 64
"""Numbers that are computed at once: a shape has a few."""


def _strided(operator: Operator, given: Array, begin: Array, end: Array, stride: Array) -> Array:
    """Of a list: one place, or those from begin to end."""
    masks = {name: bool(operator.options.get(name, 0)) for name in ("BeginMask", "EndMask", "ShrinkAxisMask")}
    if given.ndim != 1 or not begin.size == end.size == stride.size == 1:
        raise LoweringError("slices numbers that are no list")
    if masks["ShrinkAxisMask"]:
        return np.asarray(given[int(begin[0])])
    first, last = (None if masks[name] else int(one[0]) for name, one in (("BeginMask", begin), ("EndMask", end)))
    return given[slice(first, last, int(stride[0]))]


def _along(operator: Operator, *given: Array) -> Array:
    return np.concatenate([np.atleast_1d(one) for one in given]) if operator.options.get("Axis", 0) in (0, -1) else _fail()


def _packed(operator: Operator, *given: Array) -> Array:
    return np.stack(given) if operator.options.get("Axis", 0) in (0, -1) else _fail()


def _product(operator: Operator, given: Array, axes: Array) -> Array:
    if given.ndim != 1:
        _fail()
    found = np.array(math.prod(map(int, given)))
    return found.reshape(1) if operator.options.get("KeepDims", False) else found


def _fail() -> Array:
    raise LoweringError("computes sizes along an axis that they do not have")


def _cut(operator: Operator, given: Array, begin: Array, size: Array) -> Array:
    first, count = int(begin.reshape(())), int(size.reshape(()))
    return given[first:] if count == -1 else given[first : first + count]


_ROWS: Mapping[str, Callable[..., Array]] = MappingProxyType(
    {
        "ADD": lambda _, a, b: a + b,
        "CAST": lambda _, given: given,
        "CONCATENATION": _along,
        "EXPAND_DIMS": lambda _, given, axis: given.reshape(1) if given.ndim == 0 else _fail(),
        "FLOOR_DIV": lambda _, a, b: a // b,
        "GATHER": lambda _, given, places: given[places],
        "MAXIMUM": lambda _, a, b: np.maximum(a, b),
        "MINIMUM": lambda _, a, b: np.minimum(a, b),
        "MUL": lambda _, a, b: a * b,
        "PACK": _packed,
        "REDUCE_PROD": _product,
        "RESHAPE": lambda _, given, shape=None: given.reshape(-1) if shape is None or shape.size else given.reshape(()),
        "SLICE": _cut,
        "SQUEEZE": lambda _, given: given.reshape(()),
        "STRIDED_SLICE": _strided,
        "SUB": lambda _, a, b: a - b,
    }
)
SIZES = frozenset({"SHAPE", *_ROWS})
"""Operators that compute sizes, where they read nothing but whole numbers."""


def computed(operator: Operator, given: Sequence[Array]) -> Array:
    """What an operator other than ``SHAPE`` gives of whole numbers."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(_ROWS[operator.name](operator, *(one.astype(np.int64) for one in given)))
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise LoweringError(f"options or constants that do not fit ({' '.join(str(error).split())[:120]})") from None
    if found.size > MOST or np.abs(found).max(initial=0) > np.iinfo(np.int32).max:
        raise LoweringError(
            f"computes {found.size:,} numbers up to {np.abs(found).max(initial=0):,}; sizes are fewer, of 32 bits"
        )
    return found
