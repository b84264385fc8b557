"""Layers that join values: side by side."""

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import Quantization, kernels, quantize, simulate
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import Concat, IntegerConcat, MaxPool, Move, Relu, Window
from addersim.layers.base import Value
from addersim.network import Network

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
    with pytest.raises(NetworkError, match=r"^layer j: joins fx8.1 into fx8.0; all must have one scale$"):
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
