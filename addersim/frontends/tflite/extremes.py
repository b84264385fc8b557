"""The larger or the smaller of two values of one format."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.frontends.tflite.call import Call
from addersim.frontends.tflite.formats import code_format
from addersim.frontends.tflite.functions import of_constant
from addersim.layers import IntegerConcat, IntegerMaxPool, IntegerTable
from addersim.layers.move import Permute, Reshape

__all__ = ["OPERATORS", "complement"]


def _larger(call: Call) -> str:
    return of_constant(call) or _maximum(call, *_operands(call))


def _smaller(call: Call) -> str:
    """The complement of the larger of the complements, whose codes are in the opposite order."""
    if (found := of_constant(call)) is not None:
        return found
    first, second = (complement(call, source, f".complement{place}") for place, source in enumerate(_operands(call)))
    return complement(call, _maximum(call, first, second, ".largest"))


def _operands(call: Call) -> tuple[str, str]:
    """Two values of one format, for codes are compared as they are (kernels/maximum_minimum.cc), and of one shape."""
    first, second, shapes = call.flow(0), call.flow(1), (call.shape(0), call.shape(1))
    for tensor in call.inputs:
        assert tensor is not None
        if code_format(tensor) != call.output_format:
            tensor.fail(
                f"holds {code_format(tensor)}, the output {call.output_format}; this operator compares codes of one format"
            )
    if shapes[0] != shapes[1]:
        call.fail(f"compares {shapes[0]} with {shapes[1]}; values of one shape, and constants, are supported")
    return first, second


def _form(call: Call, source: str) -> FixedFormat:
    given = call.layers.values[source]
    return FixedFormat(given.bits, given.signed, given.scale, given.zero_point)


def complement(call: Call, source: str, part: str = "") -> str:
    """The least code and the largest less each code: exactly the negative numbers, by the zero point that goes with it."""
    given = _form(call, source)
    output = FixedFormat(given.bits, given.signed, given.scale, given.minimum + given.maximum - given.zero_point)
    held = np.arange(given.maximum, given.minimum - 1, -1).astype(given.dtype).reshape(-1, 1)
    return call.layer(IntegerTable, source, part=part, function="complement", source=given, output=output, codes=held)


def _maximum(call: Call, first: str, second: str, part: str = "") -> str:
    """The maxima over windows of two rows, in which the values lie."""
    shape, form = call.layers.values[first].shape, _form(call, first)
    joined = call.layer(IntegerConcat, first, second, part=f"{part}.joined", output=form)
    steps = Reshape((2, shape[0], math.prod(shape[1:]))), Permute((1, 0, 2))
    rows = call.move(joined, steps, f"{part}.rows")
    found = call.layer(IntegerMaxPool, rows, part=f"{part}.maxima", output=form, kernel=(2, 1), stride=(2, 1))
    return call.move(found, (Reshape(shape),), part)


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType({"MAXIMUM": _larger, "MINIMUM": _smaller})
