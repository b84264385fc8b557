"""The larger or the smaller of two values of one format."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.functions import complement, form_of, of_constant
from addersim.frontends.tflite.moves import check_one_format
from addersim.layers import IntegerConcat, IntegerMaxPool
from addersim.layers.move import Permute, Reshape

__all__ = ["OPERATORS"]


def _larger(call: Call) -> str:
    if (found := of_constant(call)) is not None:
        return found
    return _maximum(call, *_operands(call))


def _smaller(call: Call) -> str:
    """The complement of the larger of the complements, whose codes are in the opposite order."""
    if (found := of_constant(call)) is not None:
        return found
    first, second = (complement(call, source, f".complement{place}") for place, source in enumerate(_operands(call)))
    return complement(call, _maximum(call, first, second, ".largest"))


def _operands(call: Call) -> tuple[str, str]:
    """Two values of one format, for codes are compared as they are (kernels/maximum_minimum.cc), and of one shape."""
    check_one_format(call)
    shapes = call.shape(0), call.shape(1)
    if shapes[0] != shapes[1]:
        call.fail(f"compares {shapes[0]} with {shapes[1]}; values of one shape, and constants, are supported")
    return call.flow(0), call.flow(1)


def _maximum(call: Call, first: str, second: str, part: str = "") -> str:
    """The maxima over windows of two rows, in which the values lie."""
    shape, form = call.layers.values[first].shape, form_of(call, first)
    joined = call.layer(IntegerConcat, first, second, part=f"{part}.joined", output=form)
    steps = Reshape((2, shape[0], math.prod(shape[1:]))), Permute((1, 0, 2))
    rows = call.move(joined, steps, f"{part}.rows")
    found = call.layer(IntegerMaxPool, rows, part=f"{part}.maxima", output=form, kernel=(2, 1), stride=(2, 1))
    return call.move(found, (Reshape(shape),), part)


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType({"MAXIMUM": _larger, "MINIMUM": _smaller})
