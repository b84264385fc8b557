"""Ranges of codes, layer by layer, against all that the layer gives for all codes between the ends of its inputs."""

import itertools

import numpy as np
import pytest

from addersim import Accumulator, FixedFormat, kernels, quantize
from addersim.certificate.ranges import any_codes, box_of, codes_out, sums_out
from addersim.certificate.sums import Box, window_sums
from addersim.layers import (
    IntegerAdd,
    IntegerAffine,
    IntegerAveragePool,
    IntegerClip,
    IntegerConcat,
    IntegerInterpolate,
    IntegerMaxPool,
    IntegerMove,
    IntegerProduct,
    IntegerRelu,
    IntegerWindow,
    Taps,
    Value,
)
from addersim.layers.move import Take
from tests.unit.networks import branches

SIGNED, UNSIGNED, NARROW = FixedFormat(6), FixedFormat(6, False), FixedFormat(3)


def affine(overflow, output=SIGNED):
    constants = {"multiplier": np.array([-3, 5], np.int32), "addend": np.array([7, -9]), "shift": np.array([1, 0], np.uint8)}
    more = {"output": output, "rounding": "half-even", "overflow": overflow, "multiplier_bits": 8}
    return IntegerAffine(**named(), **constants, **more)


def named(*inputs):
    return {"name": "layer", "inputs": inputs or ("input",), "twin": None}


MEANS = {"gain": 0.7, "multiplier_bits": 8, "output": SIGNED, "rounding": "half-even"}
RISING = {
    "affine": affine("saturate"),
    "affine into few codes": affine("saturate", NARROW),
    "means": IntegerAveragePool(**named(), **MEANS, kernel=(1, 2), padding=(0, 1), stride=(1, 1)),
    "resizing": IntegerInterpolate(
        **named(),
        fraction_bits=8,
        output=SIGNED,
        rounding="half-even",
        axes=(Taps(first=(0,), second=(0,), share=(0.0,)), Taps(first=(0, 0, 1), second=(1, 1, 1), share=(0.25, 0.75, 0.0))),
    ),
    "sum": IntegerAdd(**named("a", "b"), output=NARROW, overflow="saturate"),
    "difference": IntegerAdd(**named("a", "b"), output=SIGNED, overflow="saturate", subtract=True),
    "product": IntegerProduct(**named("a", "b"), **MEANS, overflow="saturate"),
}
PASSING = {
    "relu": IntegerRelu(**named(), output=UNSIGNED, maximum=3),
    "clip": IntegerClip(**named(), output=SIGNED, low=-2, high=5),
    "maxima": IntegerMaxPool(**named(), output=SIGNED, kernel=(1, 2), stride=(1, 1)),
    "move": IntegerMove(**named(), output=SIGNED, steps=(Take(2, np.array([1, -1, 0])),), target=(2, 1, 3)),
    "join": IntegerConcat(**named("a", "b"), output=SIGNED),
}


def drawn(seed, arity):
    """The ends of inputs of 2 channels, 1 row and 2 columns, of up to 4 codes at each place."""
    random = np.random.default_rng(seed)
    low = random.integers(-9, 9, (arity, 1, 2, 2))
    return [np.stack([one, one + random.integers(0, 4 if arity == 1 else 3, one.shape)]).astype(np.int8) for one in low]


def everything(layer, inputs):
    """What a layer gives for all codes between the ends of its inputs."""
    codes = [range(low, high + 1) for one in inputs for low, high in zip(*one.reshape(2, -1), strict=True)]
    values = np.array(list(itertools.product(*codes)), np.int8).reshape(-1, len(inputs), *inputs[0].shape[1:])
    return layer.run(kernels, *(np.ascontiguousarray(values[:, place]) for place in range(len(inputs)))).values


def value_of(layer):
    values = [Value((2, 1, 2), 6, True, 1.0)] * len(layer.inputs)
    return layer.value(*values)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("layer", [*RISING.values(), *PASSING.values()], ids=[*RISING, *PASSING])
def test_the_ends_are_those_of_all_codes(layer, seed):
    inputs = drawn(seed, len(layer.inputs))
    given = everything(layer, inputs)
    ends = codes_out(layer, value_of(layer), inputs, reachable=True)
    np.testing.assert_array_equal(ends, [given.min(axis=0), given.max(axis=0)])


@pytest.mark.parametrize("name", [*RISING, *PASSING])
def test_an_exact_claim_follows_only_what_passes_codes(name):
    layer = (RISING | PASSING)[name]
    inputs = drawn(0, len(layer.inputs))
    given = codes_out(layer, value_of(layer), inputs, reachable=False)
    followed = np.array_equal(given, codes_out(layer, value_of(layer), inputs, reachable=True))
    assert followed == (name in PASSING)
    assert np.array_equal(given, any_codes(value_of(layer))) == (name in RISING)


@pytest.mark.parametrize(
    "layer",
    [
        affine("wrap", NARROW),
        IntegerAdd(**named("a", "b"), output=NARROW, overflow="wrap"),
        IntegerProduct(**named("a", "b"), **(MEANS | {"output": NARROW}), overflow="wrap"),
    ],
    ids=["affine", "sum", "product"],
)
@pytest.mark.parametrize("seed", range(5))
def test_what_wraps_gives_any_code(layer, seed):
    inputs = drawn(seed, len(layer.inputs))
    given, ends = everything(layer, inputs), codes_out(layer, value_of(layer), inputs, reachable=True)
    assert (ends[0] <= given.min(axis=0)).all()
    assert (ends[1] >= given.max(axis=0)).all()
    if ends.min() > -4 or ends.max() < 3:
        np.testing.assert_array_equal(ends, [given.min(axis=0), given.max(axis=0)])


def test_products_beyond_64_bits_give_any_code():
    layer = affine("saturate")
    inputs = np.array([[[[-(2**61), 0]]], [[[0, 2**61]]]])
    found = codes_out(layer, Value((2, 1, 1), 6, True, 1.0), [inputs], reachable=True)
    assert found.tolist() == [[[[-32, -32]]], [[[31, 31]]]]


def test_any_other_layer_gives_any_code():
    program = quantize(branches(), None)
    values = program.static_values()
    others = [layer for layer in program.layers if layer.kind() in ("table", "normalise", "softmax")]
    assert len(others) == 6
    for layer in others:
        inputs = [any_codes(values[name]) for name in layer.inputs]
        np.testing.assert_array_equal(codes_out(layer, values[layer.name], inputs, True), any_codes(values[layer.name]))


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        (Value((1,), 3, True, 1.0), [-4, 3]),
        (Value((1,), 16, False, 1.0), [0, 65535]),
        (Value((1,), 1, True, 1.0), [-1, 0]),
        (Value((1,), 48, True, 1.0, is_sum=True), [-(2**47), 2**47 - 1]),
    ],
)
def test_all_codes_of_a_width(value, ends):
    assert any_codes(value)[:, 0].tolist() == ends


def test_a_box_holds_the_codes_of_all_places():
    box = box_of(np.array([[[[0, -3], [-2, 4]]], [[[9, -3], [7, 5]]]], np.int8))
    assert (box.low.tolist(), box.high.tolist()) == ([-2, -3], [9, 5])
    box = box_of(np.array([[0, -3], [9, -3]], np.int8))
    assert (box.low.tolist(), box.high.tolist()) == ([0, -3], [9, -3])


@pytest.mark.parametrize(("accumulator", "ends"), [("exact", [-129, 1]), ("9:wrap", [-129, 1]), ("8:wrap", [-128, 127])])
def test_sums_after_the_last_tap(accumulator, ends):
    """Weights -10 and 11 of codes 1..14 and 1: the sum is -140..-10 after the first tap, -129..1 after the last."""
    layer = IntegerWindow(
        **named(), datapath="mac", weights=np.array([[[[-10, 11]]]], np.int8), input_format=SIGNED,
        weight_format=FixedFormat(8), accumulator=Accumulator.parse(accumulator),
    )  # fmt: skip
    sums = window_sums(layer, Box(np.array([1, 1]), np.array([14, 1])), (2, 3))
    assert (sums.minimum.tolist(), sums.maximum.tolist()) == ([-140], [1])
    value = Value((1, 2, 3), layer.accumulator_bits(), True, 1.0, is_sum=True)
    found = sums_out(layer, value, sums)
    assert found.shape == (2, 2, 3, 1)
    assert found[:, 1, 2, 0].tolist() == ends
