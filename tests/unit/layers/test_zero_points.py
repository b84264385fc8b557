"""Codes whose zero is not code 0: what passes them on, what refuses them, and what files hold of them."""

import re

import msgspec
import numpy as np
import pytest

from addersim import kernels, simulate
from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import FormatError, NetworkError
from addersim.kernels import reference
from addersim.layers import (
    IntegerAdd,
    IntegerAffine,
    IntegerClip,
    IntegerConcat,
    IntegerMaxPool,
    IntegerMove,
    IntegerRelu,
    IntegerWindow,
)
from addersim.layers.base import Value
from addersim.layers.move import Take
from addersim.program import Program
from addersim.storage import load_record, save_record
from tests.unit.multipliers import multiplier

ENGINES = (kernels, reference)
ODD = FixedFormat(8, scale=0.5, zero_point=-5)
COMMON = {"name": "l", "inputs": ("input",), "twin": None}


def program(*layers, given=ODD, shape=(2, 4, 4)):
    return Program(name="p", input_shape=shape, mean=(0.0,), std=(0.01,), input=given, rounding="half-even", layers=layers)


def test_a_zero_point_moves_what_codes_stand_for_by_hand():
    assert ODD.encode([-61.5, 0.0, 1.0, 1.25, 99.0]).tolist() == [-128, -5, -3, -3, 127]
    assert ODD.decode([-128, -5, 127]).tolist() == [-61.5, 0.0, 66.0]
    assert (ODD.low, ODD.high, ODD.ends_at_zero) == (-61.5, 66.0, False)
    assert str(ODD) == "fx8.1 zero -5"
    assert FixedFormat(8, scale=0.3, zero_point=-128).ends_at_zero
    assert FixedFormat(8, False).ends_at_zero


def test_halves_round_to_even_before_the_zero_point_is_added():
    """As QuantizeLinear of ONNX has it: saturate(round(x / scale) + zero point)."""
    assert FixedFormat(8, scale=1.0, zero_point=1).encode([0.5, 1.5, 2.5]).tolist() == [1, 3, 3]


@pytest.mark.parametrize(
    ("signed", "zero_point", "allowed"), [(True, 128, "-128..127"), (False, -1, "0..255"), (True, 0.5, "-128")]
)
def test_a_zero_point_outside_the_codes_is_refused(signed, zero_point, allowed):
    with pytest.raises(FormatError, match=rf"^zero point: found {zero_point}, needs a whole number in {allowed}"):
        FixedFormat(8, signed, zero_point=zero_point)


def test_what_takes_code_0_for_zero_refuses_others():
    given = Value.of((2,), ODD)
    told = "a add layer takes code 0 for zero: bring them to zero point 0 before it"
    layer = IntegerAdd(name="l", inputs=("a", "b"), twin=None, output=FixedFormat(8, scale=0.5), overflow="saturate")
    with pytest.raises(NetworkError, match=rf"^layer l: reads codes of layer a with zero point -5; {told}$"):
        layer.checked_value(given, given)
    layer = msgspec.structs.replace(layer, output=ODD)
    plain = Value.of((2,), FixedFormat(8, scale=0.5))
    with pytest.raises(NetworkError, match=rf"^layer l: gives codes with zero point -5; {told}$"):
        layer.checked_value(plain, plain)
    relu = IntegerRelu(**COMMON, output=FixedFormat(8, False, 0.5))
    with pytest.raises(NetworkError, match="^layer l: reads codes of layer input with zero point -5; a relu layer takes"):
        program(relu)


def test_neighbours_with_other_zero_points_do_not_fit():
    other = FixedFormat(8, scale=0.5, zero_point=7)
    for layer in (IntegerMove(**COMMON, output=other), IntegerMaxPool(**COMMON, output=other)):
        with pytest.raises(NetworkError, match=r"^layer l: input fx8.1 zero -5 and output fx8.1 zero 7 must have one format$"):
            program(layer)
    with pytest.raises(NetworkError, match=r"input fx8.1 zero -5 and output fx8.1 zero 7 must have one scale and one zero"):
        program(IntegerClip(**COMMON, output=other))
    joined = IntegerConcat(name="l", inputs=("input", "input"), twin=None, output=other)
    with pytest.raises(NetworkError, match=r"^layer l: joins fx8.1 zero -5 into fx8.1 zero 7; all must have one scale and"):
        program(joined)


@pytest.mark.parametrize("engine", ENGINES)
def test_codes_pass_through_what_only_moves_or_chooses_them(engine):
    x = np.random.default_rng(0).integers(-128, 128, (3, 4, 4, 2), dtype=np.int8)
    both = IntegerConcat(name="l", inputs=("input", "input"), twin=None, output=ODD)
    assert both.run(engine, x, x).values.tolist() == np.concatenate([x, x], axis=-1).tolist()
    pool = IntegerMaxPool(**COMMON, output=ODD, kernel=(2, 2), stride=(2, 2), padding=(1, 1))
    assert pool.run(engine, x).values[0, 0, 0].tolist() == x[0, 0, 0].tolist()  # three of its four taps are padding
    bounded = IntegerClip(**COMMON, output=ODD, low=-5, high=7)
    assert bounded.run(engine, x).values.tolist() == x.clip(-5, 7).tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_positions_that_are_filled_hold_the_zero_point(engine):
    x = np.arange(6, dtype=np.int8).reshape(1, 1, 3, 2)
    layer = IntegerMove(**COMMON, output=ODD, target=(2, 1, 5), steps=(Take(2, np.array([-1, 0, 1, 2, -1])),))
    assert layer.run(engine, x).values[0, 0].tolist() == [[-5, -5], [0, 1], [2, 3], [4, 5], [-5, -5]]


def test_programs_keep_zero_points_in_files_and_old_files_have_none(tmp_path):
    kept = program(IntegerMove(**COMMON, output=ODD))
    kept.save(tmp_path / "kept.npz")
    assert Program.load(tmp_path / "kept.npz").input == ODD

    class Old(msgspec.Struct):
        bits: int
        signed: bool
        scale: float

    class Holder(msgspec.Struct):
        held: FixedFormat | Old

    save_record(tmp_path / "old.npz", Holder(Old(8, True, 0.5)))
    New = msgspec.defstruct("Holder", [("held", FixedFormat)])
    assert load_record(tmp_path / "old.npz", New).held == FixedFormat(8, scale=0.5)


def test_a_zero_point_that_a_file_holds_is_checked(tmp_path):
    kept = program(IntegerMove(**COMMON, output=ODD))
    kept.save(tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz") as file:
        header = str(file["header"]).replace('"zero_point":-5', '"zero_point":-500')
    np.savez(tmp_path / "wrong.npz", header=np.array(header))
    with pytest.raises(NetworkError, match=re.escape("zero point: found -500, needs a whole number in -128..127")):
        Program.load(tmp_path / "wrong.npz")


def window(given=ODD, datapath="mac", scale=0.5, **fields):
    """One filter over two channels, 2 x 2 taps, one row and one column of padding."""
    usual = {
        "weights": np.array([[[[1, -2], [3, 100]], [[-128, 127], [0, 5]]]], np.int8),
        "weight_format": FixedFormat(8, scale=scale),
        "weight_zero_points": np.array([7], np.int32),
        "padding": (1, 1),
        "far_padding": (0, 0),
    }
    return IntegerWindow(**COMMON, datapath=datapath, input_format=given, accumulator=Accumulator(), **(usual | fields))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("datapath", "corner"), [("mac", -2 * (5 - 7) + 6 * (0 - 7)), ("l1-2a", None)])
def test_a_window_sums_codes_less_their_zero_points(engine, datapath, corner):
    """At the corner three of four taps are padding: in products they count for nothing, in differences each as |0 - w|."""
    x = np.array([[[[1, -7], [0, 0]], [[0, 0], [0, 0]]]], np.int8)  # 6 and -2 at the corner, 5 elsewhere
    found = window(datapath=datapath).run(engine, x)
    w = np.array([1, -2, 3, 100, -128, 127, 0, 5]) - 7
    met = np.array([0, 0, 0, 0, 0, 0, 6, -2])
    expected = (met * w).sum() if datapath == "mac" else -np.abs(met - w).sum()
    assert corner in (None, expected)
    assert found.values[0, 0, 0].tolist() == [expected]
    assert found.observed.minimum == found.values.min()
    assert found.observed.maximum == found.values.max()


def test_the_register_holds_the_worst_case_of_operands_and_no_more():
    """-123..132 times -135..120: 8 x 132 x 135 = 142,560 is 18 bits and a sign. A difference of at most 250 + 7 + 5 = 267."""
    assert window().bits_bound() == 19
    assert window(datapath="l1-2a").bits_bound() == 13
    exact = msgspec.structs.replace(window(), accumulator=Accumulator(19))
    x = np.full((1, 2, 2, 2), 127, np.int8)
    low = np.full((1, 2, 2, 2), -128, np.int8)
    assert msgspec.structs.replace(exact, weights=low).run(kernels, x).values.min() == -142560
    with pytest.raises(NetworkError, match=r"^layer l: the accumulator has 18 bits and its worst case needs 19; widen it"):
        msgspec.structs.replace(window(), weights=low, accumulator=Accumulator(18))
    small = msgspec.structs.replace(window(), weights=low // 2 + 5, accumulator=Accumulator(18))  # -123..132 times -66: 69,696
    assert small.bits_needed() == 18


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight_zero_points": np.array([1, 2], np.int32)}, r"weight_zero_points: shape \(2,\); 1 outputs need one each"),
        ({"weight_zero_points": np.array([128], np.int32)}, r"weight_zero_points: 128..128 are no codes of int8"),
        ({"weight_zero_points": np.array([1.0])}, r"weight_zero_points: float64 is not an array of int32"),
        (
            {"weight_format": FixedFormat(8, zero_point=3)},
            r"weights in fx8.0 zero 3; give their zero points, one a filter, apart",
        ),
        (
            {"datapath": "xnor", "weight_format": FixedFormat(2), "weights": np.ones((1, 2, 2, 2), np.int8)},
            r"zero points: xnor takes code 0 for zero",
        ),
        ({"given": FixedFormat(9, zero_point=3)}, r"zero points: codes of int8 or uint8 have them, found int16"),
        (
            {"datapath": "l1-2a", "scale": 1.0},
            r"l1-2a with zero points needs one scale for both operands, found fx8.1",
        ),
        (
            {
                "weight_format": FixedFormat(4),
                "weights": np.ones((1, 2, 2, 2), np.int8),
                "weight_zero_points": np.array([8], np.int32),
            },
            r"weight zero points 8..8 leave the format fx4.0",
        ),
    ],
)
def test_windows_refuse_zero_points_that_they_cannot_take(fields, message):
    with pytest.raises(NetworkError, match=f"^layer l: {message}"):
        window(**fields)


def test_a_multipliers_table_takes_code_0_for_zero():
    table = multiplier(signed=True)
    with pytest.raises(
        NetworkError, match="^layer l: zero points: a multiplier's table takes code 0 for zero; leave out one of the two$"
    ):
        window(given=FixedFormat(8, scale=0.5, zero_point=1)).with_multiplier(table)


def test_windows_keep_zero_points_in_files(tmp_path):
    kept = program(window())
    kept.save(tmp_path / "kept.npz")
    found = Program.load(tmp_path / "kept.npz").layers[0]
    assert found.weight_zero_points.tolist() == [7]
    assert found.input_format == ODD


def test_a_program_of_such_layers_runs_alike_in_every_way():
    """Window and affine alone, together, and by their twins; the affine's addend holds the zero point of its output."""
    affine = IntegerAffine(
        name="a",
        inputs=("l",),
        twin=None,
        multiplier=np.array([3], np.int32),
        addend=np.array([100 * 2**6 - 5]),
        shift=np.array([6], np.uint8),
        multiplier_bits=16,
        output=FixedFormat(8, False, 16 / 3, zero_point=100),
        rounding="half-even",
        overflow="saturate",
    )
    whole = program(window(), affine, shape=(2, 2, 2))
    images = np.random.default_rng(1).uniform(-60, 60, (20, 2, 2, 2)).astype(np.float32)
    x = ODD.encode(np.moveaxis(images, 1, -1)).astype(int) + 5
    padded = np.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
    w = window().weights[0].astype(int) - 7
    sums = np.array([[(padded[:, i : i + 2, j : j + 2] * w).sum(axis=(1, 2, 3)) for j in range(2)] for i in range(2)])
    expected = np.clip(np.rint((3 * sums + 100 * 2**6 - 5) / 2**6), 0, 255).transpose(2, 0, 1)
    for engine in ENGINES:
        for stream in (False, True):
            found = dict(whole.runs(images, engine, stream=stream))["a"]
            np.testing.assert_array_equal(found.values[..., 0], expected)
            assert found.observed.maximum == np.rint((3 * sums + 100 * 2**6 - 5) / 2**6).max()


def test_zeros_among_codes_are_those_of_the_zero_point():
    images = np.zeros((2, 2, 4, 4), np.float32)
    images[0, 0, 0, 0] = 3.0
    layers = (IntegerMove(**COMMON, output=ODD),)
    found = simulate(program(*layers), images)
    assert found.trace.layers[0].zeros[0][:2] == (64, 63)
