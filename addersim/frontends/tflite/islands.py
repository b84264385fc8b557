"""Functions that a file computes in floats, between DEQUANTIZE and QUANTIZE, where TensorFlow Lite has no kernel for codes.

What such operators make of one code depends on that code alone, so that all of them together are one table: it is filled in
float32, operator by operator, as the kernels for floats compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from addersim.arithmetic.rescaled_sums import dequantised
from addersim.errors import LoweringError
from addersim.frontends.tflite.formats import ENDS, code_format
from addersim.frontends.tflite.records import Array, Graph, Operator

__all__ = ["TABLE", "with_tables"]

TABLE = "FLOAT_FUNCTION"
"""What the operator is called that stands for all of them."""
MOST_STEPS = 64
"""Operators between codes and codes."""


@dataclass(frozen=True, slots=True)
class _Function:
    """A tensor of floats as a function of codes: the tensor of codes, operators on the way, and a number for each code."""

    root: int
    steps: tuple[str, ...]
    reals: Array


def _fine(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """In float64, rounded once: what a mathematical library gives in float32, but for its last place."""

    def found(x: Array) -> Array:
        return function(x.astype(np.float64)).astype(np.float32)

    return found


FUNCTIONS: Mapping[str, Callable[..., Array]] = MappingProxyType(
    {
        "ABS": np.abs,
        "ADD": np.add,
        "CEIL": np.ceil,
        "COS": _fine(np.cos),
        "DIV": np.divide,
        "ELU": lambda x: np.where(x < 0, _fine(np.expm1)(x), x),
        "EXP": _fine(np.exp),
        "FLOOR": np.floor,
        "LOG": _fine(np.log),
        "MAXIMUM": np.maximum,
        "MINIMUM": np.minimum,
        "MUL": np.multiply,
        "NEG": np.negative,
        "RELU": lambda x: np.maximum(x, np.float32(0)),
        "ROUND": np.rint,
        "RSQRT": lambda x: np.float32(1) / np.sqrt(x),
        "SIGN": np.sign,
        "SIN": _fine(np.sin),
        "SQRT": np.sqrt,
        "SQUARE": np.square,
        "SUB": np.subtract,
    }
)
"""Of numbers in float32, each by itself."""


def with_tables(graph: Graph, operators: Sequence[Operator]) -> tuple[Operator, ...]:
    """The operators, with one in place of each QUANTIZE of a function of codes; those are left out that nothing reads then."""
    held: dict[int, _Function] = {}
    tables: dict[int, Operator] = {}
    for operator in operators:
        given = held.get(operator.inputs[0]) if operator.inputs else None
        if operator.name == "QUANTIZE" and given is not None and given.steps:
            options = {"Reals": given.reals, "Steps": tuple(dict.fromkeys(given.steps))}
            tables[id(operator)] = Operator(TABLE, (given.root,), operator.outputs, MappingProxyType(options))
        elif len(operator.outputs) == 1 and graph.tensors[operator.outputs[0]].type == "FLOAT32":
            found = _dequantised(graph, operator) if operator.name == "DEQUANTIZE" else _combined(graph, operator, held)
            held |= {operator.outputs[0]: found} if found else {}
    return _still_read(graph, [tables.get(id(one), one) for one in operators], held) if tables else tuple(operators)


def _still_read(graph: Graph, operators: Sequence[Operator], held: Mapping[int, _Function]) -> tuple[Operator, ...]:
    needed, kept = set(graph.outputs), []
    for operator in reversed(operators):
        if operator.outputs and operator.outputs[0] in held and operator.outputs[0] not in needed:
            continue
        needed.update(operator.inputs)
        kept.append(operator)
    return tuple(kept[::-1])


def _dequantised(graph: Graph, operator: Operator) -> _Function | None:
    """What codes stand for (kernels/internal/reference/dequantize.h); None for what is no tensor of codes."""
    if len(operator.inputs) != 1 or operator.inputs[0] < 0 or graph.tensors[operator.inputs[0]].data is not None:
        return None
    try:
        form = code_format(graph.tensors[operator.inputs[0]])
    except LoweringError:
        return None
    with np.errstate(all="ignore"):
        return _Function(operator.inputs[0], (), dequantised(np.arange(form.minimum, form.maximum + 1), form))


def _combined(graph: Graph, operator: Operator, held: Mapping[int, _Function]) -> _Function | None:
    """A function of functions of one code, and of constants of one number; None where it is more than that."""
    known = [held[place] for place in operator.inputs if place in held]
    if operator.name not in FUNCTIONS or not known or len({one.root for one in known}) > 1:
        return None
    steps = (*(name for one in known for name in one.steps), operator.name)
    end = ENDS.get(operator.options.get("FusedActivationFunction", "NONE"))
    given = [held[place].reals if place in held else _number(graph, place) for place in operator.inputs]
    if len(steps) > MOST_STEPS or end is None or any(one is None for one in given):
        return None
    if graph.tensors[operator.outputs[0]].shape != graph.tensors[known[0].root].shape:
        return None
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused where it becomes a code
            found = np.asarray(FUNCTIONS[operator.name](*given), np.float32)
    except (TypeError, ValueError):  # another number of inputs
        return None
    low, high = (None if one is None else np.float32(one) for one in end)
    return _Function(known[0].root, steps, found if low is None and high is None else np.clip(found, low, high))


def _number(graph: Graph, place: int) -> Array | None:
    """A constant of one real number."""
    tensor = graph.tensors[place] if place >= 0 else None
    fits = tensor is not None and tensor.type == "FLOAT32" and tensor.data is not None and tensor.data.size == 1
    return tensor.data.reshape(1) if fits and tensor is not None and tensor.data is not None else None
