"""Programs whose images are codes: those as they are, real values rounded to them, and what is refused."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim import simulate
from addersim.arithmetic.fixed import FixedFormat
from addersim.cli import app
from addersim.errors import DataError
from addersim.layers import IntegerMove
from addersim.program import Program

HELD = FixedFormat(8, scale=0.5, zero_point=-5)


def program(held=HELD, shape=(2, 1, 2)):
    move = IntegerMove(name="scores", inputs=("input",), twin=None, output=held)
    return Program(
        name="p",
        input_shape=shape,
        mean=(0.0,),
        std=(1.0,),
        input=held,
        rounding="half-even",
        layers=(move,),
        takes_codes=True,
    )


def test_codes_come_as_they_are_and_values_are_rounded_to_them():
    codes = np.array([[[[-128, 127]], [[3, -5]]]], np.int8)
    found = simulate(program(), codes)
    assert program().encode(codes).tolist() == [[[[-128, 3], [127, -5]]]]
    np.testing.assert_array_equal(program().encode(HELD.decode(codes).astype(np.float32)), program().encode(codes))
    assert (found.predictions.tolist(), found.preprocessing, found.warnings) == ([1], "none; int8 codes as they are", ())


def test_values_beyond_the_codes_saturate_and_are_counted_whatever_their_range():
    values = np.array([[[[-1000.0, 0.0]], [[1000.0, 66.0]]]], np.float32)
    assert program().encode(values).tolist() == [[[[-128, 127], [-5, 127]]]]
    assert program().count_clipped(values) == 2
    assert program().count_clipped(program().encode(values)) == 0


@pytest.mark.parametrize("kind", ["uint8", "int16", "float64"])
def test_images_of_another_type_are_refused(kind):
    with pytest.raises(DataError, match=rf"^program p: images are a {kind} array; expected int8 codes or float32 values$"):
        program().encode(np.ones((1, 2, 1, 2), kind))


def test_codes_outside_a_narrow_format_and_values_that_are_none_are_refused():
    with pytest.raises(DataError, match=re.escape("program p: images hold codes 0..9; fx4.0 zero 2 has codes of -8..7")):
        program(FixedFormat(4, zero_point=2)).encode(np.array([[[[0, 9]], [[1, 1]]]], np.int8))
    with pytest.raises(DataError, match="NaN or infinite"):
        program().encode(np.full((1, 2, 1, 2), np.nan, np.float32))


def test_a_file_keeps_that_images_are_codes(tmp_path):
    program().save(tmp_path / "p.npz")
    assert Program.load(tmp_path / "p.npz").preprocessing.codes == "int8"


def test_the_command_line_takes_codes_with_channels_first_or_last(tmp_path):
    program(shape=(3, 1, 2)).save(tmp_path / "p.npz")
    codes = np.array([[[[-128, 127]], [[3, -5]], [[0, 0]]]], np.int8)
    for name, images in (("first", codes), ("last", np.moveaxis(codes, 1, -1))):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=np.array([1]))
        arguments = ["simulate", str(tmp_path / "p.npz"), "--data", str(tmp_path / f"{name}.npz"), "--json"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["accuracy"] == 1.0
    np.savez(tmp_path / "pixels.npz", images=np.ones((1, 3, 1, 2), np.uint8))
    done = CliRunner().invoke(app, ["simulate", str(tmp_path / "p.npz"), "--data", str(tmp_path / "pixels.npz")])
    assert str(done.exception).endswith("pixels.npz: images are uint8; expected int8 codes or float32 values")
