"""Functions on codes: an entry is the function, rounded; straight pieces are as near as they say."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import Quantization, kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.functions import FUNCTIONS
from addersim.errors import FormatError, NetworkError
from addersim.kernels import reference
from addersim.layers import Plan, Table
from addersim.layers.base import Value
from addersim.layers.pieces import FAR

ENGINES = (kernels, reference)
CONSTANTS = {"power": (3.0,), "threshold": (0.25, -1.0)}


def table(function, **fields):
    fields.setdefault("constants", CONSTANTS.get(function, ()))
    if function == "prelu":
        fields.setdefault("slopes", np.array([0.25, -2.0, 0.0], np.float32))
    return Table(name="t", inputs=("x",), function=function, **fields)


def integer(layer, source, output, **how):
    plan = Plan({"x": source, "t": output}, {"x": source.scale, "t": output.scale}, Quantization(**how), {})
    return layer.integer(plan)


def every_code(source, channels=3):
    codes = np.arange(source.minimum, source.maximum + 1).astype(source.dtype)
    return np.repeat(codes[:, None], channels, axis=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("source", [FixedFormat(8, True, 0.05), FixedFormat(6, False, 0.1), FixedFormat(10, True, 1 / 64)])
def test_every_entry_is_the_function(function, source, engine):
    layer, codes = table(function), every_code(source)
    output = FixedFormat(8, True, 1 / 32)
    made = integer(layer, source, output)
    found = made.run(engine, codes).values
    with np.errstate(all="ignore"):
        reals = FUNCTIONS[function](codes * source.scale, *layer._arguments())
    defined = np.isfinite(reals)
    expected = np.clip(np.rint(reals / output.scale), -128, 127)
    np.testing.assert_array_equal(found[defined], expected[defined])
    assert made.largest_error == 0
    assert made.details() == f"{function}, {2**source.bits} entries"
    assert found.dtype == output.dtype
    assert made.value(Value.of((3, 4), source)) == Value.of((3, 4), output)


WIDE = FixedFormat(16, True, 2.0**-12)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("source", [WIDE, FixedFormat(11, False, 2.0**-8), FixedFormat(13, True, 0.003)])
@pytest.mark.parametrize(
    "output", [FixedFormat(8, True, 1 / 16), FixedFormat(16, True, 1 / 2048), FixedFormat(16, False, 1 / 8192)]
)
def test_straight_pieces_are_as_near_as_they_say(function, source, output):
    layer, codes = table(function), every_code(source)
    made = integer(layer, source, output)
    found = made.run(kernels, codes).values
    expected = np.broadcast_to(layer._codes(source, output), codes.shape)
    assert np.abs(found.astype(int) - expected).max() == made.largest_error
    assert made.largest_error <= max(1, FAR * 2**output.bits)
    assert found.dtype == output.dtype
    if made.pieces:
        assert len(made.pieces.base) <= 256
        assert made.details() == f"{function}, {len(made.pieces.base)} pieces, at most {made.largest_error} codes off"
    else:
        np.testing.assert_array_equal(found, expected)
    if function in ("sigmoid", "tanh", "gelu", "silu", "prelu", "leaky_relu") and source is WIDE:
        assert made.pieces is not None
        some = codes[::97]
        np.testing.assert_array_equal(made.run(reference, some).values, found[::97])


@settings(max_examples=100)
@given(st.data(), st.integers(2, 10), st.booleans(), st.integers(0, 2), st.sampled_from((1, 4)))
def test_kernels_are_their_twins(data, bits, signed, place_bits, columns):
    source = FixedFormat(bits, signed)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = random.integers(source.minimum, source.maximum + 1, (data.draw(st.integers(0, 3)), 5, 4)).astype(source.dtype)
    kind = data.draw(st.sampled_from(("int8", "uint8", "int16", "uint16")))
    ends = np.iinfo(kind)
    entries = random.integers(ends.min, ends.max, (1 << bits, columns), endpoint=True).astype(kind)
    base, slope = random.integers(-(2**31), 2**31, (2, 1 << (bits - min(bits, place_bits)), columns)).astype(np.int32)
    for engine in ENGINES:
        found = engine.look_up_codes(x, entries, least=source.minimum, threads=2)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, reference.look_up_codes(x, entries, least=source.minimum))
        pieces = {"least": source.minimum, "place_bits": min(bits, place_bits)}
        found = engine.look_up_pieces(x, base, slope, **pieces)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, reference.look_up_pieces(x, base, slope, **pieces))


@pytest.mark.parametrize("engine", ENGINES)
def test_codes_beyond_a_table_are_refused(engine):
    entries = np.zeros((4, 1), np.int8)
    with pytest.raises(FormatError, match=r"^x: codes 0..4; the table holds 0..3$"):
        engine.look_up_codes(np.array([[0, 4]], np.uint8), entries, least=0)
    with pytest.raises(NetworkError, match=r"^table: shape \(4, 3\); x of shape \(1, 2\) needs rows of one entry,"):
        engine.look_up_codes(np.zeros((1, 2), np.uint8), np.zeros((4, 3), np.int8), least=0)


BAD = [
    ({"function": "gulp"}, "function 'gulp' is not one of sigmoid, tanh, "),
    ({"function": "elu", "constants": (1.0, 2.0)}, "elu has 2 constants; expected alpha"),
    ({"function": "tanh", "constants": (1.0,)}, "tanh has 1 constants; expected none"),
    ({"function": "power"}, "power has 0 constants; expected exponent"),
    ({"function": "elu", "constants": (float("inf"),)}, "constants (inf,) of elu; expected finite numbers"),
    ({"function": "prelu"}, "prelu with no slopes; expected one a channel"),
    ({"function": "elu", "slopes": np.ones(3)}, "elu with slopes of shape (3,); expected none"),
    ({"function": "prelu", "slopes": np.ones((3, 1))}, "prelu with slopes of shape (3, 1); expected one a channel"),
]


@pytest.mark.parametrize(("fields", "message"), BAD, ids=str)
def test_impossible_functions_are_refused(fields, message):
    with pytest.raises(NetworkError, match=f"^layer t: {re.escape(message)}"):
        Table(name="t", inputs=("x",), **fields)
    with pytest.raises(NetworkError, match=r"^layer t: 3 slopes, the input \(4, 2, 2\) has 4 channels$"):
        table("prelu").shape((4, 2, 2))


def test_a_table_serves_the_format_that_it_was_made_for():
    made = integer(table("prelu"), FixedFormat(8, True, 0.5), FixedFormat(8))
    with pytest.raises(NetworkError, match=r"^layer t: input ufx8.1; the table was made for fx8.1$"):
        made.value(Value.of((3,), FixedFormat(8, False, 0.5)))
    with pytest.raises(NetworkError, match=r"^layer t: 3 tables, the input \(4,\) has 4 channels$"):
        made.value(Value.of((4,), FixedFormat(8, True, 0.5)))


def test_details_and_parameters():
    assert table("elu", constants=(0.5,)).details() == "elu 0.5"
    assert (table("prelu").parameters(), table("tanh").parameters()) == (3, 0)


def test_constants_that_give_no_number_are_refused():
    with pytest.raises(NetworkError, match="^layer t: celu 0 gives no number at 0$"):
        integer(table("celu", constants=(0.0,)), FixedFormat(8), FixedFormat(8))
