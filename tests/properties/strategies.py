"""Hypothesis strategies for layers on codes: geometries, arrays of codes of any width and sign, registers, affines."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from addersim.arithmetic.fixed import OVERFLOWS, ROUNDINGS, FixedFormat

CODE_TYPES = ("int8", "uint8", "int16", "uint16")
LARGEST_CHANNELS = 70  # past one panel of any instruction set


def limited(examples):
    """So many examples, or as few as ADDERSIM_MOST_EXAMPLES says: under a sanitizer each takes many times as long."""
    return min(examples, int(os.environ.get("ADDERSIM_MOST_EXAMPLES", examples)))


def check_chained(program, images, runs):
    """Layers that run in chains give the codes that they give one by one."""
    for name, run in program.prepared(stream=True).facts(images, 1):
        if run.values is not None:
            np.testing.assert_array_equal(run.values, runs[name], f"layer {name}, in a chain")


def formats(least_bits=2):
    """Formats of scale one."""
    return st.builds(FixedFormat, st.integers(least_bits, 16), st.booleans())


@st.composite
def codes(draw, shape):
    """An array of codes: random ones of some format, only its two ends (where overflow hides), or one value everywhere."""
    form = draw(formats())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(("any", "any", "any", "ends", "least", "zero")))
    if kind == "any":
        values = random.integers(form.minimum, form.maximum, shape, endpoint=True)
    elif kind == "ends":
        values = random.choice([form.minimum, form.maximum], shape)
    else:
        values = np.full(shape, form.minimum if kind == "least" else 0)
    wider = draw(st.sampled_from([kind for kind in CODE_TYPES if np.can_cast(form.dtype, kind)]))
    return values.astype(wider)


@dataclass(frozen=True)
class Shapes:
    """Shapes of the operands of a window layer, and how the window moves."""

    x: tuple[int, int, int, int]
    weights: tuple[int, int, int, int]
    moves: dict[str, Any]


@st.composite
def shapes(draw):
    """Any geometry that has an output: strides, padding (unequal, beyond the kernel), dilation, groups, depthwise, linear."""
    kind = draw(st.sampled_from(("plain", "plain", "wide", "grouped", "depthwise", "linear")))
    groups, channels, outputs = 1, draw(st.integers(1, 12)), draw(st.integers(1, 20))
    if kind == "wide":
        channels, outputs = draw(st.integers(1, 24)), draw(st.integers(1, LARGEST_CHANNELS))
    elif kind == "grouped":
        groups, channels, outputs = draw(st.integers(2, 4)), draw(st.integers(1, 8)), draw(st.integers(1, 8))
    elif kind == "depthwise":
        groups, channels, outputs = draw(st.integers(2, LARGEST_CHANNELS)), 1, 1
    images = draw(st.sampled_from((1, 1, 2, 3, 0)))
    if kind == "linear":
        return Shapes((images, 1, 1, channels), (outputs, 1, 1, channels), {})
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    sides = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding, far_padding = draw(sides), draw(st.one_of(st.none(), sides))
    far = padding if far_padding is None else far_padding
    reach = [(kernel[axis] - 1) * dilation[axis] + 1 - padding[axis] - far[axis] for axis in range(2)]
    height, width = (draw(st.integers(max(1, least), max(1, least) + 4)) for least in reach)
    return Shapes(
        (images, height, width, groups * channels),
        (groups * outputs, *kernel, channels),
        {"stride": stride, "padding": padding, "far_padding": far_padding, "dilation": dilation, "groups": groups},
    )


def registers():
    """accumulator_bits and overflow; narrow ones, which overflow, more often than wide ones."""
    bits = st.one_of(st.integers(8, 20), st.integers(8, 48))
    limited = st.fixed_dictionaries({"accumulator_bits": bits, "overflow": st.sampled_from(("wrap", "saturate"))})
    return st.one_of(st.just({}), limited, limited)


@dataclass(frozen=True)
class Constants:
    """Multipliers, addends and shifts of an affine."""

    multiplier: np.ndarray
    addend: np.ndarray
    shift: np.ndarray


@st.composite
def constants(draw, channels):
    """Constants from tiny (many ties) to as large as 64 bits hold."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits, addend_bits, largest_shift = draw(st.sampled_from(((3, 3, 3), (16, 20, 24), (16, 40, 31), (31, 60, 62))))
    return Constants(
        random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), channels).astype(np.int32),
        random.integers(-(2**addend_bits), 2**addend_bits, channels),
        random.integers(0, largest_shift, channels, endpoint=True).astype(np.uint8),
    )


def outputs(overflow="overflow"):
    """Output format, rounding, overflow and perhaps a second saturation."""
    return st.fixed_dictionaries(
        {
            "output": formats(),
            "rounding": st.sampled_from(ROUNDINGS),
            overflow: st.sampled_from(OVERFLOWS),
            "then": st.one_of(st.none(), formats()),
        }
    )
