"""Two rules on one program: which layer parts first, by how much, on how many images, and what it does to the answers."""

import json
import re

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from addersim import compare_rounding
from addersim.arithmetic.fixed import FixedFormat
from addersim.cli import app
from addersim.errors import DataError, FormatError
from addersim.layers import IntegerMove, IntegerRescale
from addersim.program import Program
from tests.unit.layers.test_rescale import zero_point_program

CODES = FixedFormat(8)


def halved(**fields):
    """Codes divided by two, whose ties rules round apart; then the same codes again."""
    rescale = IntegerRescale(
        name="half",
        inputs=("moved",),
        twin=None,
        bias=np.zeros(1, np.int64),
        scale=np.array([0.5]),
        rule="tflite",
        output=CODES,
    )
    layers = (
        IntegerMove(name="moved", inputs=("input",), twin=None, output=CODES),
        rescale,
        IntegerMove(name="scores", inputs=("half",), twin=None, output=CODES),
    )
    return Program(
        name="halves", input_shape=(3,), mean=(0.0,), std=(1.0,), input=CODES, rounding="half-even", layers=layers,
        takes_codes=True, **fields,
    )  # fmt: skip


IMAGES = np.array([[1, 0, 2], [3, 2, 0], [4, 2, 0], [5, 4, -7]], np.int8)


def test_the_first_layer_that_differs_is_named_with_its_codes_and_images():
    """Halves go up by tflite: 0.5 -> 1, 2.5 -> 3, -3.5 -> -3; to even 0, 2, -4. The first image: 1, 0, 1 or 0, 0, 1."""
    found = compare_rounding(halved(), IMAGES, "tflite", "ort", [0, 0, 0, 0])
    assert [layer.differing for layer in found.layers] == [0, 3, 3]
    assert found.first == found.layers[1]
    assert (found.first.name, found.first.codes, found.first.largest, found.first.images) == ("half", 12, 1, 2)
    assert (found.agreement, found.accuracies) == (0.75, (1.0, 0.75))
    assert found.in_words() == "half: 3 of 12 codes, by at most 1, on 2 of 4 images"
    assert "first difference half: 3 of 12 codes" in str(found).replace("\n", " ")
    assert found.to_dict()["first"]["name"] == "half"
    assert [row["differing"] for row in found.to_rows()] == [0, 3, 3]


def test_one_rule_beside_itself_differs_nowhere():
    found = compare_rounding(zero_point_program(), codes(20), "tosa", "tosa")
    assert (found.first, found.agreement, found.accuracies) == (None, 1.0, None)
    assert re.fullmatch(r"none: [\d,]+ codes are equal", found.in_words())


def codes(number):
    return np.random.default_rng(3).integers(0, 256, (number, 3, 8, 8), dtype=np.uint8)


def test_batches_and_threads_change_nothing():
    one, other = (compare_rounding(zero_point_program(), codes(70), "tflite", "tosa", threads=threads) for threads in (1, 2))
    assert one == other
    assert one.first.name == "r1"
    parts = [compare_rounding(zero_point_program(), codes(70)[part], "tflite", "tosa") for part in (slice(30), slice(30, 70))]
    for whole, *pieces in zip(one.layers, *(found.layers for found in parts), strict=True):
        assert whole.differing == sum(piece.differing for piece in pieces)
        assert whole.largest == max(piece.largest for piece in pieces)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="^program halves: no images to compare on$"):
        compare_rounding(halved(), IMAGES[:0], "tflite", "ort")
    with pytest.raises(FormatError, match="^rounding: 'up' is not one of addersim"):
        compare_rounding(halved(), IMAGES, "tflite", "up")
    with pytest.raises(DataError, match=r"^labels: image 0 has label 7; allowed are 0..2$"):
        compare_rounding(halved(), IMAGES, "tflite", "ort", [7, 0, 0, 0])


def test_the_command_line_compares(tmp_path):
    msgspec.structs.replace(halved(), classes=("a", "b", "c")).save(tmp_path / "p.npz")
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=np.zeros(4, int))
    arguments = ["compare-rounding", str(tmp_path / "p.npz"), "tflite", "ort", "--data", str(tmp_path / "d.npz")]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "half: 3 of 12 codes, by at most 1, on 2 of 4 images" in " ".join(done.stdout.split())
    assert "accuracy tflite 100.00 %, ort 75.00 %" in " ".join(done.stdout.split())
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert (told["rules"], told["first"]["differing"], told["accuracies"]) == (["tflite", "ort"], 3, [1.0, 0.75])
