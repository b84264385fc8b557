"""Layers that join values, side by side or word by word, and bounds."""

import re

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import Quantization, kernels, quantize, simulate
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import (
    Add,
    Clip,
    Concat,
    IntegerAdd,
    IntegerClip,
    IntegerConcat,
    IntegerProduct,
    MaxPool,
    Move,
    Plan,
    Product,
    Relu,
    Window,
)
from addersim.layers.base import Value
from addersim.network import Network
from tests.unit.networks import branches

RANDOM = np.random.default_rng(3)
ENGINES = (kernels, reference)


def concat(output, inputs=("a", "b")):
    return IntegerConcat(name="j", inputs=inputs, twin=None, output=output)


def test_channels_are_joined_in_order_at_any_rank():
    for first, second, whole in (((2,), (3,), (5,)), ((2, 4), (1, 4), (3, 4)), ((2, 4, 5), (3, 4, 5), (5, 4, 5))):
        layer = Concat(name="j", inputs=("a", "b"))
        assert layer.shape(first, second) == whole
        stored = [RANDOM.random((2, *shape[1:], shape[0]), np.float32) for shape in (first, second)]
        found = layer.run(*stored)
        plain = np.concatenate([np.moveaxis(one, -1, 1) for one in stored], axis=1)
        np.testing.assert_array_equal(np.moveaxis(found, -1, 1), plain)


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(NetworkError, match=r"^layer j: joins \(2, 4\), \(2, 5\) along the first axis; all other axes must"):
        Concat(name="j", inputs=("a", "b")).shape((2, 4), (2, 5))
    with pytest.raises(NetworkError, match="^layer j: reads 1 values; a concat layer reads at least 2$"):
        Concat(name="j", inputs=("a",))
    one, half = (Value.of((2,), FixedFormat(8, True, scale)) for scale in (1.0, 0.5))
    with pytest.raises(NetworkError, match=r"^layer j: joins fx8.1 into fx8.0; all must have one scale and one zero point$"):
        concat(FixedFormat(8)).value(one, half)


@pytest.mark.parametrize("engine", ENGINES)
def test_signed_and_unsigned_codes_side_by_side(engine):
    a, b = np.array([[200, 255]], np.uint8), np.array([[-256, 3]], np.int16)
    run = concat(FixedFormat(9)).run(engine, a, b)
    assert run.values.tolist() == [[200, 255, -256, 3]]
    assert (run.observed.minimum, run.observed.maximum, run.observed.overflowed) == (-256, 255, 0)
    wide = np.array([[65535, 7]], np.uint16)
    run = concat(FixedFormat(16)).run(engine, wide, b)
    assert run.values.tolist() == [[32767, 7, -256, 3]]
    assert run.observed.overflowed == 1


def error_of(program, pixels, network, name):
    (found,) = (error for error in simulate(program, pixels, None, network).errors if error.name == name)
    return found.relative_error


def through(*middle, join=False):
    """A window, layers that pass its codes on, a ReLU, and scores."""
    random = np.random.default_rng(0)
    first = Window(name="w", inputs=("input",), arithmetic="mac", weights=random.normal(size=(2, 1, 1, 1)).astype("f4"))
    last = middle[-1].name
    layers = [first, *middle, Relu(name="relu", inputs=(last,))]
    ends = ["relu", "w"] if join else ["relu"]
    flats = [Move(name=f"flat {end}", inputs=(end,)) for end in ends]
    layers += flats
    end = flats[0].name
    if join:
        layers.append(Concat(name="both", inputs=tuple(one.name for one in flats)))
        end = "both"
    shapes = {"input": (1, 4, 4)}
    for layer in layers:
        shapes[layer.name] = layer.shape(*(shapes[name] for name in layer.inputs))
    weights = random.normal(size=(3, shapes[end][0], 1, 1)).astype("f4")
    layers.append(Window(name="scores", inputs=(end,), arithmetic="mac", weights=weights))
    return Network(name="through", input_shape=(1, 4, 4), mean=(0.5,), std=(0.5,), layers=tuple(layers))


@pytest.mark.parametrize("join", [False, True], ids=["only the relu reads", "another layer reads too"])
@pytest.mark.parametrize(
    "middle",
    [
        (MaxPool(name="m", inputs=("w",), kernel=(2, 2), stride=(2, 2)),),
        (Move(name="m", inputs=("w",)),),
        (Concat(name="m", inputs=("w", "input")),),
        (Move(name="m0", inputs=("w",)), Concat(name="m", inputs=("m0", "m0"))),
    ],
    ids=["max pool", "move", "concat", "move and concat"],
)
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_a_relu_behind_layers_that_pass_codes_on(middle, join, overflow):
    network = through(*middle, join=join)
    pixels = np.random.default_rng(1).integers(0, 256, (32, 1, 4, 4)).astype(np.uint8)
    program = quantize(network, pixels, Quantization(overflow=overflow, calibration="min-max", correction="none"))
    assert error_of(program, pixels, network, "relu") < 0.02
    last = program.static_values()[middle[-1].name]
    signed = overflow == "wrap" or join or "input" in middle[0].inputs
    assert last.signed == signed, "a narrowing that wraps is no ReLU"


def test_a_relu_right_behind_a_narrowing_that_wraps():
    network = through(Move(name="m", inputs=("w",)))
    network = replace(network, layers=(network.layers[0], replace(network.layers[2], inputs=("w",)), *network.layers[3:]))
    pixels = np.random.default_rng(1).integers(0, 256, (32, 1, 4, 4)).astype(np.uint8)
    program = quantize(network, pixels, Quantization(overflow="wrap", calibration="min-max", correction="none"))
    assert error_of(program, pixels, network, "relu") < 0.02


GATES = [
    ((4, 1, 1), (4, 3, 5)),
    ((4, 3, 5), (1, 3, 5)),
    ((1, 3, 1), (4, 1, 5)),
    ((6,), (1,)),
    ((4, 7), (4, 1)),
    ((2, 3), (2, 3)),
]


def stored(shape, draw=RANDOM.standard_normal):
    return draw((2, *shape[1:], shape[0]) if len(shape) > 1 else (2, *shape))


def logical(values):
    return np.moveaxis(values, -1, 1)


@pytest.mark.parametrize(("first", "second"), GATES, ids=str)
def test_what_has_size_one_is_repeated(first, second):
    a, b = (stored(shape).astype(np.float32) for shape in (first, second))
    for layer, combine in (
        (Add(name="s", inputs=("a", "b")), np.add),
        (Add(name="s", inputs=("a", "b"), subtract=True), np.subtract),
        (Product(name="s", inputs=("a", "b")), np.multiply),
    ):
        expected = combine(logical(a), logical(b))
        assert layer.shape(first, second) == expected.shape[1:]
        np.testing.assert_array_equal(logical(layer.run(a, b)), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("first", "second"), GATES, ids=str)
def test_codes_that_are_repeated(engine, first, second):
    a, b = (stored(shape, lambda size: RANDOM.integers(-100, 100, size)).astype(np.int8) for shape in (first, second))
    output = FixedFormat(9)
    for subtract in (False, True):
        layer = IntegerAdd(name="s", inputs=("a", "b"), twin=None, output=output, overflow="wrap", subtract=subtract)
        expected = a.astype(int) - b if subtract else a.astype(int) + b
        np.testing.assert_array_equal(layer.run(engine, a, b).values, expected)
        assert (
            layer.value(Value.of(first, FixedFormat(8)), Value.of(second, FixedFormat(8))).shape == logical(expected).shape[1:]
        )
    layer = IntegerProduct(
        name="s", inputs=("a", "b"), twin=None, gain=3 / 256, multiplier_bits=24, output=FixedFormat(8), rounding="half-even",
        overflow="saturate",
    )  # fmt: skip
    np.testing.assert_array_equal(layer.run(engine, a, b).values, np.rint(a.astype(int) * b * 3 / 256).clip(-128, 127))


@pytest.mark.parametrize(("first", "second"), [((4,), (4, 1)), ((4, 2), (4, 3)), ((2, 1, 4), (4, 1, 4))])
def test_shapes_that_do_not_meet_are_refused(first, second):
    for layer, verb in ((Add(name="s", inputs=("a", "b")), "adds"), (Product(name="s", inputs=("a", "b")), "multiplies")):
        message = f"layer s: {verb} {first} and {second}; both must have one shape, or size 1 where they differ"
        with pytest.raises(NetworkError, match=re.escape(message)):
            layer.shape(first, second)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_widest_products_are_exact(bits):
    codes = np.array([[0, 1, (1 << bits) - 1]], np.uint16)
    layer = Product(name="p", inputs=("x", "x")).integer(
        Plan({"p": FixedFormat(16, False, 66000.0)}, {"x": 1.0}, Quantization(multiplier_bits=32), {})
    )
    for engine in ENGINES:
        found = layer.run(engine, codes, codes)
        assert found.values.tolist() == [[0, 0, round(((1 << bits) - 1) ** 2 / 66000)]]


@pytest.mark.parametrize(
    ("layer", "signs"),
    [
        (Add(name="s", inputs=("a", "b")), (False, False, False, True)),
        (Add(name="s", inputs=("a", "b"), subtract=True), (False, False, False, False)),
        (Product(name="s", inputs=("a", "b")), (False, False, False, True)),
        (Product(name="s", inputs=("a", "a")), (True, True, True, True)),
        (Concat(name="s", inputs=("a", "b")), (False, False, False, True)),
        (Clip(name="s", inputs=("a",), low=0.0), (True, True, True, True)),
        (Clip(name="s", inputs=("a",), low=-1.0), (False, False, False, True)),
        (Clip(name="s", inputs=("a",), high=1.0), (False, False, False, True)),
        (Clip(name="s", inputs=("a",), high=-1.0), (False, False, False, False)),
    ],
    ids=str,
)
def test_when_nothing_is_negative(layer, signs):
    found = [layer.is_never_negative(*signs) for signs in ((False, False), (False, True), (True, False), (True, True))]
    assert tuple(found) == signs


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1.0, 1.0, [-2, -2, -1, 0, 2, 2]),
        (None, 0.75, [-9, -2, -1, 0, 2, 2]),  # 1.5 steps: to the even code
        (0.6, None, [1, 1, 1, 1, 3, 9]),
        (0.0, 3.0, [0, 0, 0, 0, 3, 6]),
        (-2.0, -1.0, [-4, -2, -2, -2, -2, -2]),
        (1.0, 1.0, [2, 2, 2, 2, 2, 2]),
        (-100.0, 100.0, [-9, -2, -1, 0, 3, 9]),
    ],
)
def test_codes_between_bounds(low, high, expected):
    layer, codes = Clip(name="c", inputs=("x",), low=low, high=high), np.array([[-9, -2, -1, 0, 3, 9]], np.int8)
    output = FixedFormat(6, not layer.cuts_negatives(), 0.5)
    integer = layer.integer(Plan({"c": output}, {"x": 0.5}, Quantization(), {}))
    for engine in ENGINES:
        assert integer.run(engine, codes).values.tolist() == [expected]
    reals = layer.run(codes * np.float32(0.5))
    np.testing.assert_allclose(reals, np.clip(codes * 0.5, low, high), rtol=1e-7)


@pytest.mark.parametrize("bounds", [{}, {"low": 1.0, "high": 0.0}, {"low": float("nan")}, {"high": float("inf")}], ids=str)
def test_impossible_bounds_are_refused(bounds):
    with pytest.raises(NetworkError, match="^layer c: bounds .* and .*; expected one or two finite numbers, the lower first$"):
        Clip(name="c", inputs=("x",), **bounds)
    with pytest.raises(NetworkError, match=r"^layer c: bounds 9..3 do not lie in 0..255, the lower first$"):
        IntegerClip(name="c", inputs=("x",), twin=None, output=FixedFormat(8, False), low=9, high=3)


def test_a_gate_is_stored_and_what_it_meets_streams():
    program = quantize(branches(), None)
    assert "gate" not in program.fused(), "a product repeats it"
    assert "square" not in program.fused(), "an addition reads it twice"
    assert "join" in program.fused(), "the clip takes each word as it comes"


@pytest.mark.parametrize(("low", "signed"), [(0.0, False), (0.5, False), (-0.5, True), (None, True)])
def test_a_bound_from_zero_on_is_a_relu_too(low, signed):
    """The narrowing in front of it clamps at zero and spends no code on what is cut."""
    network = through(Move(name="m", inputs=("w",)))
    clip = Clip(name="m", inputs=("w",), low=low, high=6.0)
    network = replace(network, layers=(network.layers[0], clip, *network.layers[2:]))
    pixels = np.random.default_rng(1).integers(0, 256, (32, 1, 4, 4)).astype(np.uint8)
    program = quantize(network, pixels)
    assert program.static_values()["w.requantize"].signed == signed
    assert error_of(program, pixels, network, "relu") < 0.02


def test_bounds_beyond_any_code_do_nothing():
    plan = Plan({"c": FixedFormat(8, True, 1e-3)}, {"x": 1e-3}, Quantization(), {})
    found = Clip(name="c", inputs=("x",), low=-1e308, high=1e308).integer(plan)
    assert (found.low, found.high) == (None, None)
    unsigned = Plan({"c": FixedFormat(8, False, 1e-3)}, {"x": 1e-3}, Quantization(), {})
    assert Relu(name="c", inputs=("x",), maximum=1e308).integer(unsigned).maximum is None
