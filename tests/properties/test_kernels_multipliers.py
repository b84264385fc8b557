"""Layers whose products come from a multiplier's table: every instruction set is the slow twin, and an exact table is mac."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.errors import FormatError
from addersim.kernels import reference
from tests.properties.strategies import constants, outputs, registers, shapes
from tests.properties.test_kernels_twins import assert_same, every_way, outcome

BYTES = ("int8", "uint8")


@st.composite
def bytes_of(draw, shape):
    """Codes of one byte: any, or few of them."""
    kind = np.dtype(draw(st.sampled_from(BYTES)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    if draw(st.booleans()):
        return random.integers(low, high, shape, kind, endpoint=True)
    return random.choice([low, 0, high], shape).astype(kind)


@st.composite
def products(draw):
    """Any table: of small numbers, of large ones whose sums need 64 bits, above or below zero alone."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    largest = draw(st.sampled_from((1, 100, 32_767, 65_535, 2**31 - 1)))
    low, high = draw(st.sampled_from(((-largest, largest), (0, largest), (-largest, 0), (largest // 2, largest))))
    return random.integers(low, high, (256, 256), np.int32, endpoint=True)


def exact_products(x, weights):
    """The table of an exact multiplier for codes of two types, by their bytes."""
    rows, columns = (np.arange(256, dtype=np.uint8).view(one.dtype).astype(np.int32) for one in (x, weights))
    return np.outer(rows, columns)


@settings(max_examples=300)
@given(data=st.data(), shape=shapes(), register=registers(), table=products())
def test_window(data, shape, register, table):
    x, weights = data.draw(bytes_of(shape.x)), data.draw(bytes_of(shape.weights))
    options = {"arithmetic": "mac", "products": table, **shape.moves, **register}
    expected = outcome(reference.window, x, weights, **options)
    for way, found in every_way(lambda threads: outcome(kernels.window, x, weights, threads=threads, **options)):
        assert_same(found, expected, way)


@settings(max_examples=200)
@given(data=st.data(), shape=shapes(), register=registers(), output=outputs("output_overflow"), table=products())
def test_window_and_affine(data, shape, register, output, table):
    x, weights = data.draw(bytes_of(shape.x)), data.draw(bytes_of(shape.weights))
    by = data.draw(constants(len(weights)))
    arguments = (x, weights, by.multiplier, by.addend, by.shift)
    options = {"arithmetic": "mac", "products": table, **shape.moves, **register, **output}
    expected = outcome(reference.window_affine, *arguments, **options)
    for way, found in every_way(lambda threads: outcome(kernels.window_affine, *arguments, threads=threads, **options)):
        assert_same(found, expected, way)


@settings(max_examples=200)
@given(data=st.data(), shape=shapes(), register=registers())
def test_an_exact_table_is_mac(data, shape, register):
    x, weights = data.draw(bytes_of(shape.x)), data.draw(bytes_of(shape.weights))
    options = {"arithmetic": "mac", **shape.moves, **register}
    expected = outcome(kernels.window, x, weights, **options)
    by_table = options | {"products": exact_products(x, weights)}
    for way, found in every_way(lambda threads: outcome(kernels.window, x, weights, threads=threads, **by_table)):
        assert_same(found, expected, way)


LARGE = (  # of work enough for kernels that take many windows at a time: whole and broken blocks of them, of taps, of outputs
    ((3, 17, 13, 24), (40, 3, 3, 24), {"padding": (1, 1)}),
    ((2, 24, 24, 33), (50, 3, 2, 33), {"stride": (2, 1), "padding": (1, 0), "far_padding": (0, 1), "dilation": (1, 2)}),
    ((2, 20, 20, 40), (70, 3, 3, 20), {"padding": (1, 1), "groups": 2}),
    ((150, 1, 1, 301), (65, 1, 1, 301), {}),
    ((30, 20, 20, 16), (16, 3, 3, 1), {"groups": 16}),
)
TABLES = {
    "of 16 bits": (-40_000, 25_535),
    "of 17 bits": (-40_000, 25_536),
    "of 18 bits": (-100_000, 100_000),
    "wide": (-(2**31), 2**31 - 1),
}


@pytest.mark.parametrize("register", [{}, {"accumulator_bits": 20, "overflow": "saturate"}], ids=["exact", "saturate"])
@pytest.mark.parametrize("ends", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("layer", LARGE, ids=["padded", "moved", "grouped", "linear", "depthwise"])
def test_large_layers(layer, ends, register):
    x_shape, weights_shape, moves = layer
    random = np.random.default_rng(7)
    x = random.integers(0, 255, x_shape, np.uint8, endpoint=True)
    weights = random.integers(-128, 127, weights_shape, np.int8, endpoint=True)
    table = random.integers(*ends, (256, 256), np.int32, endpoint=True)
    table.flat[:2] = ends
    options = {"arithmetic": "mac", "products": table, **moves, **register}
    expected = reference.window(x, weights, **options)
    for way, found in every_way(lambda threads: kernels.window(x, weights, threads=threads, **options)):
        assert_same(found, expected, way)


def test_padding_is_a_code_of_zero_whose_products_a_table_may_not_have_zero():
    table = np.full((256, 256), 7, np.int32)
    x, weights = np.ones((1, 1, 1, 1), np.uint8), np.ones((1, 3, 3, 1), np.int8)
    assert kernels.window(x, weights, arithmetic="mac", products=table, padding=(1, 1)).values.item() == 63


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"products": np.zeros((256, 255), np.int32)}, r"products: shape \(256, 255\); a multiplier's table has \(256, 256\)"),
        ({"products": np.zeros((256, 256), np.int64)}, "products: int64 is not an array of int32"),
        ({"arithmetic": "l1"}, "products: a multiplier's table takes the place of mac, not of l1"),
        ({"x": np.zeros((1, 1, 1, 1), np.int16)}, "products: a multiplier's table takes codes of int8 or uint8, found int16"),
        ({"weights": np.zeros((1, 1, 1, 1), np.uint16)}, "table takes codes of int8 or uint8, found uint16"),
    ],
)
def test_what_a_table_cannot_take_is_refused(engine, change, message):
    given_ = {
        "x": np.zeros((1, 1, 1, 1), np.uint8),
        "weights": np.zeros((1, 1, 1, 1), np.int8),
        "arithmetic": "mac",
        "products": np.zeros((256, 256), np.int32),
    }
    with pytest.raises(FormatError, match=message):
        engine.window(**(given_ | change))
