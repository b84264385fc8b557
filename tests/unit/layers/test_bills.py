"""The specification of bills: one row a layer and a situation, every number worked out by hand.

Windows of the table see 2 channels of 3 x 3 pixels, 4 filters of 2 x 2: 4 pixels x 8 taps x 4 filters = 128 taps. What runs on
the vector unit gives 32 words (2 channels of 4 x 4) or, pooled by two, 8.
"""

import re

import msgspec
import numpy as np
import pytest

from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import NetworkError, QuantizationError
from addersim.layers import (
    Affine,
    IntegerAdd,
    IntegerAffine,
    IntegerAveragePool,
    IntegerClip,
    IntegerConcat,
    IntegerInterpolate,
    IntegerMaxPool,
    IntegerMove,
    IntegerNormalise,
    IntegerProduct,
    IntegerRelu,
    IntegerSoftmax,
    IntegerTable,
    IntegerWindow,
    Plan,
    Relu,
    Taps,
)
from addersim.layers.affine import fixed_multiplier
from addersim.layers.base import Value
from addersim.layers.falling import reciprocal, reciprocal_root
from addersim.layers.pieces import Pieces
from addersim.program import Program
from addersim.quantization.rules import Quantization
from addersim.trace import Operand


def u(bits, scale=1.0):
    return FixedFormat(bits, False, scale)


def s(bits, scale=1.0):
    return FixedFormat(bits, True, scale)


def bill_of(layer, *inputs):
    return layer.bill(layer.value(*inputs), *inputs)


EXACT = Accumulator()
U8, S8 = u(8), s(8)
WINDOWS = [
    # what, datapath, input, weights, accumulator, hardware, paper, operand bits, accumulator bits
    # 8 x |0 - 255| = 2040: 11 bits and a sign
    ("two subtractors", "l1-2a", U8, U8, EXACT, "sub8=256 mux8=128 sub12=128", "add8=256", 8, 12),
    ("comparator", "l1-1c1a", U8, U8, EXACT, "cmp8=128 mux8=256 sub8=128 sub12=128", "add8=256", 8, 12),
    ("invert", "l1-xor", U8, U8, EXACT, "sub8=128 xor8=128 sub12=128", "add8=256", 8, 12),
    # 8 x 255^2 = 520,200: 19 bits and a sign
    ("squares", "l2", U8, U8, EXACT, "sub8=128 xor8=128 mul8=128 sub20=128", "add8=256 mul8=128", 8, 20),
    # 8 x 255 x 128 = 261,120: 18 bits and a sign
    ("products", "mac", U8, S8, EXACT, "mul8=128 add19=128", "add8=128 mul8=128", 8, 19),
    # the register as given
    ("narrow register", "l1-2a", U8, U8, Accumulator(9, "wrap"), "sub8=256 mux8=128 sub9=128", "add8=256", 8, 9),
    ("wide register", "mac", U8, S8, Accumulator(24), "mul8=128 add24=128", "add8=128 mul8=128", 8, 24),
    # signed weights that nobody clipped beside unsigned inputs, -128..255: one bit more; 8 x 383 = 3064
    ("unclipped", "l1-2a", U8, S8, EXACT, "sub9=256 mux9=128 sub13=128", "add9=256", 9, 13),
    ("unclipped, invert", "l1-xor", U8, S8, EXACT, "sub9=128 xor9=128 sub13=128", "add9=256", 9, 13),
    # 8 x 383^2 = 1,173,512: 21 bits and a sign
    ("unclipped squares", "l2", U8, S8, EXACT, "sub9=128 xor9=128 mul9=128 sub22=128", "add9=256 mul9=128", 9, 22),
    # both signed: -128..127 stays 8 bits; 8 x 255
    ("both signed", "l1-2a", S8, S8, EXACT, "sub8=256 mux8=128 sub12=128", "add8=256", 8, 12),
    ("input signed", "l1-2a", S8, U8, EXACT, "sub9=256 mux9=128 sub13=128", "add9=256", 9, 13),
    # the coarser operand is shifted to the finer grid: 15 x 16 = 240 beside 255
    ("narrow weights", "l1-2a", U8, u(4, 16.0), EXACT, "sub8=256 mux8=128 sub12=128", "add8=256", 8, 12),
    ("narrow inputs", "l1-2a", u(4, 16.0), U8, EXACT, "sub8=256 mux8=128 sub12=128", "add8=256", 8, 12),
    # of one width, four places apart: 255 x 16 = 4080 in 12 bits; 8 x 4080 = 32,640: 15 bits and a sign
    ("places apart", "l1-2a", u(8, 16.0), U8, EXACT, "sub12=256 mux12=128 sub16=128", "add12=256", 12, 16),
    # -8 x 16 = -128 beside 255
    ("narrow, unclipped", "l1-2a", U8, s(4, 16.0), EXACT, "sub9=256 mux9=128 sub13=128", "add9=256", 9, 13),
    # -128 beside 15 x 16 = 240; 8 x 368 = 2944: 12 bits and a sign
    ("wide, unclipped", "l1-2a", u(4, 16.0), S8, EXACT, "sub9=256 mux9=128 sub13=128", "add9=256", 9, 13),
    # products take each operand as it is, whichever is the wider; 8 x 15 x 128 = 15,360 and 8 x 255 x 8 = 16,320
    ("wide weights", "mac", u(4), S8, EXACT, "mul8=128 add15=128", "add8=128 mul8=128", 8, 15),
    ("wide inputs", "mac", U8, s(4), EXACT, "mul8=128 add15=128", "add8=128 mul8=128", 8, 15),
]


def z(form, zero_point):
    return FixedFormat(form.bits, form.signed, form.scale, zero_point)


ZERO_POINTS = [
    # what, datapath, input, weights' format, all weights, their zero points, hardware, whether a constant is due
    # codes of -128..127 stand for 0..255: 8 x 255 x 128, as unsigned ones
    ("input at its end", "mac", z(S8, -128), S8, 0, None, "mul8=128 add19=128", True),
    # -3..252: 8 x 252 x 128 = 258,048
    ("input", "mac", z(U8, 3), S8, 0, None, "mul8=128 add19=128", True),
    # -200..255: 8 x 255 x 255 = 520,200; sums of 8 inputs, 2040, have 11 bits: 2 x 3 x 3 additions, and 4 pixels of 3 filters
    # whose zero point is not zero are corrected
    ("weights", "mac", U8, U8, 0, (100, 0, 7, 200), "mul8=128 add20=128 add11=18 mul11=12 sub20=12", False),
    ("both", "mac", z(U8, 3), U8, 0, (100, 0, 7, 200), "mul8=128 add20=128 add11=18 mul11=12 sub20=12", True),
    # codes of 128 less 128 are stored as signed zeros
    ("weights that fit", "mac", U8, U8, 128, (128, 128, 128, 128), "mul8=128 add19=128", False),
    # codes of -128..127 less 100, -228..27: 8 x 255 x 228 = 465,120
    ("weights below zero", "mac", U8, S8, 0, (100, 100, 100, 100), "mul8=128 add20=128", False),
    # a difference of two codes of one format is that of their values
    ("differences", "l1-2a", z(S8, 5), S8, 0, (5, 5, 5, 5), "sub8=256 mux8=128 sub12=128", False),
    # weights less 128, -256..-1, beside inputs of -128..127: 9 bits; 8 x 383
    ("far apart", "l1-2a", z(S8, -128), S8, 0, None, "sub9=256 mux9=128 sub13=128", False),
    ("few values", "ternary", z(U8, 3), s(2), 1, None, "mux8=128 xor8=128 add12=128", True),
]


@pytest.mark.parametrize("row", ZERO_POINTS, ids=lambda row: row[0])
def test_windows_with_zero_points(row):
    _, datapath, x, w, weight, of_weights, hardware, due = row
    of_weights = None if of_weights is None else np.array(of_weights, np.int32)
    layer, given = window(datapath, x, w, weight=weight, weight_zero_points=of_weights), Value.of((2, 3, 3), x)
    same(bill_of(layer, given).hardware, hardware)
    assert layer.value(given).constant_due == due


def test_a_constant_that_is_due_is_free_where_one_is_added_anyway():
    """Sums of 4 filters and 4 pixels in 19 bits: 16 additions where nothing else is added."""
    sums = window("mac", z(U8, 3), S8).value(Value.of((2, 3, 3), z(U8, 3)))
    for addend, due, free in ((0, "add19=16", ""), (9, "add19=16", "add19=16")):
        layer = IntegerAffine(
            name="a", inputs=("w",), twin=None, multiplier=np.ones(1, np.int32), addend=np.array([addend]),
            shift=np.zeros(1, np.uint8), multiplier_bits=16, output=S8, rounding="half-even", overflow="saturate",
        )  # fmt: skip
        same(bill_of(layer, sums).hardware, due)
        same(bill_of(layer, sums._replace(constant_due=False)).hardware, free)
    relu = IntegerRelu(name="r", inputs=("w",), twin=None, output=u(16))
    same(bill_of(relu, sums).hardware, "cmp19=16 mux19=16 add19=16")


def test_scores_whose_constant_is_due_are_billed_its_addition():
    layer = msgspec.structs.replace(window("mac", z(U8, 3), S8, shape=(4, 1, 1, 2)), inputs=("input",))
    for last, added in ((z(U8, 3), "mul8=8 add17=12"), (U8, "mul8=8 add17=8")):
        program = Program(
            name="p", input_shape=(2,), mean=(0.0,), std=(1.0,), input=last, rounding="half-even",
            layers=(msgspec.structs.replace(layer, input_format=last),),
        )  # fmt: skip
        same(program.trace().layers[0].operations, added)


CODED = [
    # what, datapath, input, weights, hardware, paper, operand bits, accumulator bits, stored bits of a weight
    # 8 x 1, either sign: 4 bits and a sign; 16 outputs take one sum of a tree each
    ("signs", "xnor", s(1), s(2), "xor1=128 add1=128 add5=16", "xor1=128 add1=128", 1, 5, 1),
    ("signs of wide inputs", "xnor", S8, s(2), "xor1=128 add1=128 add5=16", "xor1=128 add1=128", 1, 5, 1),
    # 8 x 255: 11 bits and a sign
    ("ternary", "ternary", U8, s(2), "mux8=128 xor8=128 add12=128", "add8=128", 8, 12, 2),
    # x shifted by up to 6 places; 8 x 255 x 64 = 130,560: 17 bits and a sign
    ("shift", "shift", U8, s(8), "shift14=128 mux14=128 xor14=128 add18=128", "shift14=128 add14=128", 14, 18, 4),
    # by up to 14 places; 8 x 255 x 16384 = 33,423,360: 25 bits and a sign
    ("wide shift", "shift", U8, s(16), "shift22=128 mux22=128 xor22=128 add26=128", "shift22=128 add22=128", 22, 26, 5),
    # 10 x fits 4 more bits; 8 x 255 x 10 = 20,400: 15 bits and a sign
    ("two", "apot", U8, s(5), "shift12=256 mux12=256 add12=128 xor12=128 add16=128", "shift12=256 add12=256", 12, 16, 4),
]  # fmt: skip


def counts(text):
    """``add8=24`` as OpCounts print it."""
    return dict(part.split("=") for part in text.split())


def same(found, text):
    assert {f"{op}{bits}": str(number) for (op, bits), number in found.items()} == counts(text)


def window(datapath, x, w, accumulator=EXACT, shape=(4, 2, 2, 2), weight=0, **fields):
    weights = np.full(shape, weight, w.dtype)
    return IntegerWindow(
        name="w", inputs=("x",), twin=None, datapath=datapath, weights=weights, input_format=x, weight_format=w,
        accumulator=accumulator, **fields,
    )  # fmt: skip


@pytest.mark.parametrize("row", CODED, ids=lambda row: row[0])
def test_windows_of_few_values(row):
    _, datapath, x, w, hardware, paper, operand_bits, accumulator_bits, stored = row
    found = bill_of(window(datapath, x, w, weight=1), Value.of((2, 3, 3), x))
    same(found.hardware, hardware)
    same(found.paper, paper)
    assert (found.operand_bits, found.accumulator_bits, found.weights) == (operand_bits, accumulator_bits, Operand(32, stored))


def test_a_tree_of_signs_takes_32_at_a_time():
    for taps, sums in ((32, 1), (33, 2), (64, 2)):
        found = bill_of(window("xnor", s(1), s(2), shape=(3, 1, 1, taps), weight=-1), Value.of((taps, 2, 2), s(1)))
        same(found.hardware, f"xor1={12 * taps} add1={12 * taps} add{found.accumulator_bits}={12 * sums}")


@pytest.mark.parametrize(
    ("datapath", "held", "weight", "message"),
    [
        ("xnor", s(2), 0, r"layer w: weight of magnitude 0; sign weights have magnitudes 1"),
        ("xnor", S8, 1, r"layer w: sign weights in the format fx8\.0; they are held in s2"),
        ("shift", s(3), 1, r"layer w: power-of-two weights in the format fx3\.0; they are held in s2, s4, s8, s16"),
        ("ternary", s(2), -2, r"layer w: weight of magnitude 2; ternary weights have magnitudes 0, 1"),
        ("shift", S8, 3, r"layer w: weight of magnitude 3; power-of-two weights have magnitudes 0, 1, 2, 4, 8, 16, 32, 64"),
        ("apot", s(5), 5, r"layer w: weight of magnitude 5; two-powers weights have magnitudes 0, 1, 2, 3, 4, 6, 8, 10"),
    ],
)
def test_weights_that_are_no_values_of_their_codec_are_refused(datapath, held, weight, message):
    with pytest.raises(NetworkError, match=f"^{message}$"):
        window(datapath, U8, held, weight=weight)


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: row[0])
def test_windows(row):
    _, datapath, x, w, accumulator, hardware, paper, operand_bits, accumulator_bits = row
    found = bill_of(window(datapath, x, w, accumulator), Value.of((2, 3, 3), x))
    same(found.hardware, hardware)
    same(found.paper, paper)
    assert (found.operand_bits, found.accumulator_bits, found.datapath) == (operand_bits, accumulator_bits, datapath)
    assert found.weights == Operand(32, w.bits)
    work = found.work
    assert (work.pixels, work.window, work.filters, work.groups, work.image) == (4, 8, 4, 1, (3, 3))


MOVES = [
    # padded taps cost: 4 x 4 pixels
    ("padding", (2, 3, 3), (4, 2, 2, 2), {"padding": (1, 1)}, "sub8=1024 mux8=512 sub12=512", 32),
    # 2 x 2 windows two apart in 4 x 4: 4 pixels
    ("stride", (2, 4, 4), (4, 2, 2, 2), {"stride": (2, 2)}, "sub8=256 mux8=128 sub12=128", 32),
    # 2 taps a side, 2 apart, span 3: one pixel
    ("dilation", (2, 3, 3), (4, 2, 2, 2), {"dilation": (2, 2)}, "sub8=64 mux8=32 sub12=32", 32),
    # 4 pixels x 4 taps x 4 filters; 4 x 255 = 1020: 10 bits and a sign
    ("groups", (2, 3, 3), (4, 2, 2, 1), {"groups": 2}, "sub8=128 mux8=64 sub11=64", 16),
    ("features", (8,), (4, 1, 1, 8), {}, "sub8=64 mux8=32 sub12=32", 32),
]


@pytest.mark.parametrize("row", MOVES, ids=lambda row: row[0])
def test_how_windows_move(row):
    _, shape, weights, fields, hardware, stored = row
    found = bill_of(window("l1-2a", U8, U8, shape=weights, **fields), Value.of(shape, U8))
    same(found.hardware, hardware)
    assert found.weights == Operand(stored, 8)
    assert found.work.taps * 2 == found.paper.total("add")


def max_pool(*kernel, output=U8, **fields):
    return IntegerMaxPool(name="p", inputs=("x",), twin=None, output=output, kernel=kernel or None, **fields)


def average(gain, kernel=(2, 2), multiplier_bits=16, **fields):
    return IntegerAveragePool(
        name="p", inputs=("x",), twin=None, gain=gain, multiplier_bits=multiplier_bits, output=U8, rounding="half-even",
        kernel=kernel, **fields,
    )  # fmt: skip


def affine(multiplier, addend, shift, multiplier_bits=16, output=U8):
    return IntegerAffine(
        name="a", inputs=("x",), twin=None, multiplier=np.array(multiplier, np.int32), addend=np.array(addend, np.int64),
        shift=np.array(shift, np.uint8), multiplier_bits=multiplier_bits, output=output, rounding="half-even",
        overflow="saturate",
    )  # fmt: skip


ADD = IntegerAdd(name="s", inputs=("x", "y"), twin=None, output=U8, overflow="saturate")
JOIN = IntegerConcat(name="c", inputs=("x", "y", "z"), twin=None, output=s(9))
TAKE = IntegerAdd(name="s", inputs=("x", "y"), twin=None, output=U8, overflow="saturate", subtract=True)
RELU = IntegerRelu(name="r", inputs=("x",), twin=None, output=U8)


def product(gain, multiplier_bits=16):
    return IntegerProduct(
        name="p", inputs=("x", "y"), twin=None, gain=gain, multiplier_bits=multiplier_bits, output=U8, rounding="half-even",
        overflow="saturate",
    )  # fmt: skip


def clip(output, low, high):
    return IntegerClip(name="c", inputs=("x",), twin=None, output=output, low=low, high=high)


def pieces(columns=1, **fields):
    base, slope = np.full((16, columns), -512, np.int32), np.full((16, columns), 3, np.int32)
    fitted = {"base": base, "slope": slope, "place_bits": 8, "shift": 4, "multiplier_bits": 10, "largest_error": 1}
    return IntegerTable(
        name="t", inputs=("x",), twin=None, function="f", source=s(12), output=U8, pieces=Pieces(**fitted | fields)
    )


def resize(*axes, bits=15):
    return IntegerInterpolate(
        name="i", inputs=("x",), twin=None, axes=axes, fraction_bits=bits, output=U8, rounding="half-even"
    )


def normalise(kept, centre=True, epsilon=1.0):
    return IntegerNormalise(
        name="n", inputs=("x",), twin=None, kept=kept, centre=centre, epsilon=epsilon, table=reciprocal_root(16.0), source=U8,
        output=s(8),
    )  # fmt: skip


def softmax(source, axis, upper, lower):
    exponentials = {key: np.full(size, 1 << 24, np.int32) for key, size in (("upper", upper), ("lower", lower))}
    return IntegerSoftmax(
        name="s", inputs=("x",), twin=None, axis=axis, **exponentials, table=reciprocal(256.0), source=source, output=U8
    )


HALVES = Taps(first=(0, 0, 1, 1, 2, 2, 3), second=(1, 1, 2, 2, 3, 3, 3), share=(0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0))
ENDS = Taps(first=(0, 2), second=(1, 3), share=(0.0, 1.0))
TABLE, TABLES = (
    IntegerTable(
        name="t", inputs=("x",), twin=None, function="f", source=U8, output=s(6), codes=np.zeros((256, columns), np.int8)
    )
    for columns in (1, 2)
)
LONG = Value.of((2, 4, 4), s(12))
GATE = Value.of((2, 1, 1), U8)
CODES, SUMS = Value.of((2, 4, 4), U8), Value((2, 4, 4), 20, True, 1.0, is_sum=True)
SMALL = Value.of((2, 3, 3), U8)
VECTOR = [
    # what, layer, inputs, hardware, stored constants
    # one comparison and one choice for each code of the window but the first
    ("max 2 x 2", max_pool(2, 2, stride=(2, 2)), [CODES], "cmp8=24 mux8=24", (0, 0)),
    ("max 3 x 3", max_pool(3, 3, stride=(2, 2), padding=(1, 1)), [CODES], "cmp8=64 mux8=64", (0, 0)),
    ("max 2 x 3", max_pool(2, 3, stride=(2, 4)), [CODES], "cmp8=20 mux8=20", (0, 0)),
    ("max 1 x 1", max_pool(1, 1, stride=(2, 2)), [CODES], "", (0, 0)),
    ("max of 5 bits", max_pool(2, 2, stride=(2, 2), output=s(5)), [Value.of((2, 4, 4), s(5))], "cmp5=24 mux5=24", (0, 0)),
    # 4 x 4 outputs, those in the far padding as the others
    ("max, far padding", max_pool(2, 2, stride=(1, 1), far_padding=(1, 1)), [CODES], "cmp8=96 mux8=96", (0, 0)),
    # 3 and 2 taps a side: 25 less the first of 4 windows; what lies beyond the image is no tap
    ("max, ceil", max_pool(3, 3, stride=(2, 2), ceil_mode=True), [CODES], "cmp8=42 mux8=42", (0, 0)),
    # rows and columns 0-1, 1-2, 2-3: 9 windows of 4
    ("max to 3 x 3", max_pool(output_size=(3, 3)), [CODES], "cmp8=54 mux8=54", (0, 0)),
    ("max of all", max_pool(), [CODES], "cmp8=30 mux8=30", (0, 0)),
    # four codes of 8 bits sum to 10 bits, by 3 additions; then x 1 / 4, x 1, x 3, x 3 / 4
    ("average, shift", average(1.0), [CODES], "add10=24 shift10=8", (0, 0)),
    ("average, neither", average(4.0), [CODES], "add10=24", (0, 0)),
    ("average, multiplier", average(12.0), [CODES], "add10=24 mul16=8", (0, 0)),
    ("average, both", average(3.0), [CODES], "add10=24 mul16=8 shift26=8", (0, 0)),
    # nine codes need 4 bits more; a product of 12-bit sums is 12 bits wide even at an 8-bit port
    ("average 3 x 3", average(1.0, (3, 3)), [SMALL], "add12=16 mul16=2 shift28=2", (0, 0)),
    ("average, narrow port", average(1.0, (3, 3), 8), [SMALL], "add12=16 mul12=2 shift20=2", (0, 0)),
    ("average of all", average(16.0, None), [CODES], "add12=30", (0, 0)),
    ("average, far padding", average(1.0, stride=(1, 1), far_padding=(1, 1)), [CODES], "add10=96 shift10=32", (0, 0)),
    # 2, 2, 2 and 1 taps a side: 49 less the first of 16 windows; by 4, 2 and 1, and all have a shifter
    (
        "average, padding not counted",
        average(1.0, stride=(1, 1), far_padding=(1, 1), count_padding=False),
        [CODES],
        "add10=66 shift10=32",
        (0, 0),
    ),
    # 3 and 2 taps a side: by 9, 6 and 4, and all have a multiplier
    ("average, ceil", average(1.0, (3, 3), stride=(2, 2), ceil_mode=True), [CODES], "add12=42 mul16=8 shift28=8", (0, 0)),
    ("average, a sum", average(1.0, divisor=1), [CODES], "add10=24", (0, 0)),
    ("average by 4 of 9", average(1.0, (3, 3), divisor=4), [SMALL], "add12=16 shift12=2", (0, 0)),
    # 2 rows of 4: 8 taps of 3 windows
    ("average to 3 x 1", average(1.0, None, output_size=(3, 1)), [CODES], "add11=42 shift11=6", (0, 0)),
    ("average to 3 x 3", average(1.0, None, output_size=(3, 3)), [CODES], "add10=54 shift10=18", (0, 0)),
    ("average of one", average(1.0, (1, 1)), [CODES], "", (0, 0)),
    ("average of one, scaled", average(3.0, (1, 1)), [CODES], "mul16=32", (0, 0)),
    # one bit more than the wider
    ("addition", ADD, [CODES, CODES], "add9=32", (0, 0)),
    ("addition, second wider", ADD, [CODES, Value((2, 4, 4), 9, True, 1.0)], "add10=32", (0, 0)),
    ("addition, first wider", ADD, [Value((2, 4, 4), 11, True, 1.0), CODES], "add12=32", (0, 0)),
    ("difference", TAKE, [CODES, Value((2, 4, 4), 9, True, 1.0)], "sub10=32", (0, 0)),
    # a gate is repeated: as many additions as outputs
    ("addition of a gate", ADD, [GATE, CODES], "add9=32", (0, 0)),
    # a product at the wider operand, then x 1, x 1 / 4, x 3 / 4 of 16 bits; of 8 + 5 bits at an 8-bit port, x 3
    ("product", product(1.0), [CODES, CODES], "mul8=32", (0, 0)),
    ("product, shift", product(0.25), [CODES, Value((2, 4, 4), 5, True, 1.0)], "mul8=32 shift13=32", (0, 0)),
    ("product, both", product(0.75), [GATE, CODES], "mul8=32 mul16=32 shift32=32", (0, 0)),
    ("product, port", product(3.0, 8), [Value((2, 4, 4), 5, True, 1.0), CODES], "mul8=32 mul13=32", (0, 0)),
    # each bound that some input passes; the end of a narrower format is one, that of a wider is none
    ("clip", clip(U8, 3, 200), [CODES], "cmp8=64 mux8=64", (0, 0)),
    ("clip from", clip(U8, 3, None), [CODES], "cmp8=32 mux8=32", (0, 0)),
    ("clip up to", clip(U8, None, 254), [CODES], "cmp8=32 mux8=32", (0, 0)),
    ("clip to zero", clip(U8, None, 200), [Value((2, 4, 4), 8, True, 1.0)], "cmp8=32 mux8=32", (0, 0)),
    ("clip, nothing", clip(s(9), -300 + 50, None), [CODES], "", (0, 0)),
    # 7 rows of which 3 lie between: 3 x 4 columns x 2 channels, two products and a sum of 8 + 15 bits each; then 7 x 7 pixels,
    # of which 7 x 3, with products of 23 bits and sums of 38; all 98 outputs are shifted; 6 fractions stored
    ("resize", resize(HALVES, HALVES), [CODES], "mul15=48 add23=24 mul23=84 add38=42 shift38=98", (6, 15)),
    ("resize columns alone", resize(ENDS, HALVES, bits=7), [CODES], "mul8=24 add15=12 shift15=28", (3, 7)),
    ("resize, nothing between", resize(ENDS, ENDS), [CODES], "", (0, 0)),
    # 2 groups of 16 codes up to 255: sums of 12 bits, sums of squares of 20, their products of 24, differences of 13 and 24.
    # Each of 32 words: its square, 16 times itself, less the sum, times a mantissa of 24 bits, shifted; 30 additions to either
    # sum. Each group: 16 times the squares, the square of the sum, their difference, epsilon; in the table a shift, a product
    # and a difference
    (
        "normalise",
        normalise(1),
        [CODES],
        "mul8=64 add20=30 mul20=2 add12=30 mul12=2 sub24=4 sub13=32 add24=2 shift24=2 mul24=34 shift37=32",
        (512, 48),
    ),
    # one group of 32: sums of squares of 21 bits, their products of 26; no sum, no epsilon
    (
        "normalise by squares",
        normalise(0, False, 0.0),
        [CODES],
        "mul8=64 add21=31 mul21=1 shift26=1 mul24=33 sub24=1 shift37=32",
        (512, 48),
    ),
    # 8 groups of 4: 24 comparisons, 32 differences, 24 additions to sums of 27 bits; each sum a shift, a product and a
    # difference in the table of reciprocals, each word times a mantissa. Stored: 256 x 25 bits and 256 x 48
    (
        "softmax",
        softmax(U8, 1, 256, 1),
        [CODES],
        "cmp8=24 mux8=24 sub8=32 add27=24 shift27=8 mul24=8 sub24=8 mul25=32 shift49=32",
        (748, 25),
    ),
    # 16 pairs, sums of 26 bits; two exponentials are multiplied; stored 2 x 64 x 25 and 256 x 48 bits
    (
        "softmax of wide codes",
        softmax(s(12), 0, 64, 64),
        [LONG],
        "cmp12=16 mux12=16 sub12=32 add26=16 mul25=64 shift50=32 shift26=16 mul24=16 sub24=16 shift49=32",
        (620, 25),
    ),
    # a table answers without an operation; every entry is stored
    ("table", TABLE, [CODES], "", (256, 6)),
    ("tables", TABLES, [CODES], "", (512, 6)),
    # slopes of 10 bits times places of 8; the product of 18 bits beside bases of 11; stored: 11 + 10 bits a piece
    ("pieces", pieces(), [LONG], "mul10=32 add18=32 shift18=32", (16, 21)),
    ("pieces a channel", pieces(2), [LONG], "mul10=32 add18=32 shift18=32", (32, 21)),
    ("pieces, narrow port", pieces(multiplier_bits=4, shift=0), [LONG], "mul8=32 add12=32", (16, 15)),
    # a sum of 20 bits times 16 bits gives 36; constants: 16 bits, 36 bits, 6 bits of shift
    ("affine", affine([3, 5], [1, 2], [4, 4]), [SUMS], "mul20=32 add36=32 shift36=32", (2, 58)),
    ("affine, multiplier all 1", affine([1, 1], [1, 2], [4, 4]), [SUMS], "add20=32 shift20=32", (2, 26)),
    ("affine, addend all 0", affine([3, 5], [0, 0], [4, 4]), [SUMS], "mul20=32 shift36=32", (2, 22)),
    ("affine, shift all 0", affine([3, 5], [1, 2], [0, 0]), [SUMS], "mul20=32 add36=32", (2, 52)),
    ("affine, multiplier alone", affine([3, 5], [0, 0], [0, 0]), [SUMS], "mul20=32", (2, 16)),
    ("affine, addend alone", affine([1, 1], [1, 2], [0, 0]), [SUMS], "add20=32", (2, 20)),
    ("affine, shift alone", affine([1, 1], [0, 0], [4, 4]), [SUMS], "shift20=32", (2, 6)),
    ("affine, nothing", affine([1, 1], [0, 0], [0, 0]), [SUMS], "", (2, 0)),
    # one channel that needs a step makes all pay for it
    ("affine, one of each", affine([1, 5], [0, 2], [0, 4]), [SUMS], "mul20=32 add36=32 shift36=32", (2, 58)),
    ("affine, minus one", affine([-1], [0], [0]), [SUMS], "mul20=32", (1, 16)),
    ("affine, one for all", affine([3], [1], [4]), [SUMS], "mul20=32 add36=32 shift36=32", (1, 58)),
    # a port wider than the sum: products of 24 bits, 44 bits wide
    ("affine, wide port", affine([3, 5], [1, 2], [4, 4], 24), [SUMS], "mul24=32 add44=32 shift44=32", (2, 74)),
    # the sign of a multiply-add is a comparison with a constant of the sum's width, or its opposite: a bit says which
    ("affine, into a sign", affine([3, 5], [1, 2], [4, 4], output=s(1)), [SUMS], "cmp20=32", (2, 21)),
    ("relu", RELU, [Value((2, 4, 4), 9, True, 1.0)], "cmp9=32 mux9=32", (0, 0)),
    (
        "relu with a bound",
        IntegerRelu(name="r", inputs=("x",), twin=None, output=U8, maximum=6),
        [CODES],
        "cmp8=64 mux8=64",
        (0, 0),
    ),
    # codes that fit lie side by side; of 16 bits, unsigned ones beside signed ones stop at the upper end
    ("concat", JOIN, [CODES, CODES, Value((2, 4, 4), 9, True, 1.0)], "", (0, 0)),
    ("concat, clamped", JOIN, [CODES, CODES, Value((2, 4, 4), 9, False, 1.0)], "cmp9=32 mux9=32", (0, 0)),
    ("concat, both ends", JOIN, [Value((2, 4, 4), 11, True, 1.0), CODES, CODES], "cmp11=64 mux11=64", (0, 0)),
    ("move", IntegerMove(name="m", inputs=("x",), twin=None, output=U8), [CODES], "", (0, 0)),
]


@pytest.mark.parametrize("row", VECTOR, ids=lambda row: row[0])
def test_what_runs_on_the_vector_unit(row):
    _, layer, inputs, hardware, stored = row
    found = bill_of(layer, *inputs)
    same(found.hardware, hardware)
    assert not found.paper, "free in the paper's convention"
    assert found.weights == Operand(*stored)
    assert found.work is found.datapath is found.operand_bits is None


def test_the_register_of_an_average_holds_its_sum():
    assert bill_of(average(1.0), CODES).accumulator_bits == 10
    assert bill_of(average(1.0, (3, 3)), SMALL).accumulator_bits == 12
    assert bill_of(average(1.0, (1, 1)), CODES).accumulator_bits == 8


@pytest.mark.parametrize(
    ("datapath", "x", "w", "scale"),
    [
        ("l1-2a", u(8, 0.5), u(8, 0.5), 0.5),
        ("l1-2a", u(8, 0.5), u(4, 8.0), 0.5),  # the finer grid
        ("l1-2a", u(4, 8.0), u(8, 0.5), 0.5),
        ("l2", u(4, 8.0), u(8, 0.5), 0.25),
        ("mac", u(8, 0.5), s(8, 0.25), 0.125),
    ],
)
def test_one_step_of_a_sum(datapath, x, w, scale):
    found = window(datapath, x, w).value(Value.of((2, 3, 3), x))
    assert (found.scale, found.is_sum, found.shape) == (scale, True, (4, 2, 2))


def test_a_register_that_is_just_wide_enough_is_exact():
    assert window("l1-2a", U8, U8, Accumulator(12)).accumulator_bits() == 12
    with pytest.raises(NetworkError, match="the accumulator has 11 bits and its worst case needs 12"):
        window("l1-2a", U8, U8, Accumulator(11))


@pytest.mark.parametrize(("scale", "bound"), [(2**-5, 192), (6 / 255, None), (5.9 / 255, None), (1.0, 6), (100.0, 1)])
def test_a_bound_of_relu_in_codes(scale, bound):
    """6 in steps of the output; none where it is the format's own end or beyond."""
    plan = Plan({"r": u(8, scale)}, {"r": scale}, Quantization(), {})
    assert Relu(name="r", inputs=("x",), maximum=6.0).integer(plan).maximum == bound


def test_a_program_that_is_only_counted_bills_multipliers_unless_scales_are_powers_of_two():
    """Fresh constants may be ones; trained ones are not. A pure change of scale by powers of two only shifts."""
    one = Affine(name="a", inputs=("x",), multiplier=np.ones(1), addend=np.zeros(1))
    for powers, multiplier in ((False, 3), (True, 1)):
        plan = Plan({"a": U8}, {"x": 1.0}, Quantization(power_of_two=powers), {}, calibrated=False)
        assert one.integer(plan).multiplier.tolist() == [multiplier]


FACTORS = [
    # real factor, bits of the port, addend in output codes, multiplier, shift
    (1.0, 16, 0, 1, 0),
    (0.25, 16, 0, 1, 2),
    (-0.25, 16, 0, -1, 2),
    (0.75, 16, 0, 3, 2),
    (6.0, 16, 0, 6, 0),
    (0.0, 16, 0, 0, 0),
    (1 / 3, 16, 0, 21845, 16),  # 65536 / 3, an odd number
    (1 / 3, 8, 0, 85, 8),
    (1 - 2**-20, 16, 0, 1, 0),  # 32768 would not fit
    (0.3, 16, 0, 19661, 16),
    (0.3, 16, 2**50, 307, 10),  # 2**50 x 2**10 is all that 64-bit sums have room for: 0.3 x 1024
    (0.3, 16, -(2**50), 307, 10),
    (2.0**-60, 16, 0, 1, 60),
    (32767.0, 16, 0, 32767, 0),
]


@pytest.mark.parametrize("row", FACTORS, ids=str)
def test_factors_as_multiplier_and_shift(row):
    real, bits, addend, multiplier, shift = row
    found = fixed_multiplier(np.array([real]), bits, np.array([float(addend)]), "a")
    assert [one.tolist() for one in found] == [[multiplier], [shift]]


@pytest.mark.parametrize(
    ("real", "shown"), [(40000.0, "4e+04"), (-40000.0, "4e+04"), (32767.9, "3.277e+04")]
)  # 32768 does not fit
def test_a_factor_beyond_the_port_is_refused(real, shown):
    with pytest.raises(QuantizationError, match=f"layer a: a gain of {re.escape(shown)} output codes a step does not fit 16"):
        fixed_multiplier(np.array([real]), 16, np.zeros(1), "a")
