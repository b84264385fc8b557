"""Codes whose zero is not code 0: what passes them on, what refuses them, and what files hold of them."""

import re

import msgspec
import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError, NetworkError
from addersim.kernels import reference
from addersim.layers import IntegerAdd, IntegerClip, IntegerConcat, IntegerMaxPool, IntegerMove, IntegerRelu
from addersim.layers.base import Value
from addersim.layers.move import Take
from addersim.program import Program
from addersim.storage import load_record, save_record

ENGINES = (kernels, reference)
ODD = FixedFormat(8, scale=0.5, zero_point=-5)
COMMON = {"name": "l", "inputs": ("input",), "twin": None}


def program(*layers, given=ODD, shape=(2, 4, 4)):
    return Program(name="p", input_shape=shape, mean=(0.0,), std=(1.0,), input=given, rounding="half-even", layers=layers)


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
