"""Thresholds: how many a sum reaches, by plain numpy; their bill by hand; and what is refused."""

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import Accumulator, FixedFormat, kernels
from addersim.errors import NetworkError
from addersim.layers import IntegerMove, IntegerRescaledProduct, IntegerThresholds, IntegerWindow, Value
from addersim.layers.thresholds import FEW
from addersim.program import Program


def thresholds(levels, channels=3, output=None, first=0, signs=None, **fields):
    held = np.sort(np.random.default_rng(levels).integers(-60, 60, (levels, channels)), axis=0)
    return IntegerThresholds(
        name="t", inputs=("sums",), twin=None, thresholds=held, first=first, output=output or FixedFormat(8, False),
        signs=np.ones(channels, np.int8) if signs is None else np.array(signs, np.int8), **fields,
    )  # fmt: skip


def coded_program():
    """A window whose sums meet thresholds, and the product of their codes with themselves as scores."""
    codes, small = FixedFormat(8, False), FixedFormat(4, False, scale=0.5)
    weights = np.random.default_rng(1).integers(-3, 4, (3, 3, 3, 2)).astype(np.int8)
    window = IntegerWindow(
        name="sums", inputs=("input",), twin=None, datapath="mac", weights=weights, input_format=codes,
        weight_format=FixedFormat(8), accumulator=Accumulator(),
    )  # fmt: skip
    product = IntegerRescaledProduct(
        name="p",
        inputs=("t", "t"),
        twin=None,
        first=small,
        second=small,
        scale=0.25,
        rule="tosa",
        output=FixedFormat(8, False),
    )
    flat = IntegerMove(name="scores", inputs=("p",), twin=None, output=product.output)
    return Program(
        name="coded", input_shape=(2, 3, 3), mean=(0.0,), std=(1.0,), input=codes, rounding="half-even",
        layers=(window, thresholds(5, output=small), product, flat), takes_codes=True,
    )  # fmt: skip


@pytest.mark.parametrize("levels", [1, 3, FEW, FEW + 1, 40])
@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("channels", [1, 3])
def test_codes_count_the_thresholds_that_are_reached(levels, kind, channels):
    layer = thresholds(levels, channels, first=2, signs=([1, -1, 1] * channels)[:channels])
    x = np.random.default_rng(0).integers(-64, 64, (2, 4, 5, 3)).astype(kind)
    ordered = x.astype(np.int64) * layer.signs
    expected = 2 + (ordered[..., None, :] >= layer.thresholds).sum(axis=-2)
    found = layer.run(kernels, x)
    assert found.values.tolist() == expected.tolist()
    assert found.values.dtype == layer.output.dtype


@pytest.mark.parametrize("levels", [2, FEW + 4])
def test_thresholds_beyond_the_codes_type_are_reached_by_all_or_none(levels):
    held = np.sort(np.r_[[-300, 300], np.zeros(levels - 2, np.int64)])[:, None]
    layer = replace(thresholds(levels, 1), thresholds=held)
    found = layer.run(kernels, np.array([[-128, -1, 0, 127]], np.int8).reshape(1, 1, 4, 1)).values.ravel()
    assert found.tolist() == [1, 1, levels - 1, levels - 1]


def test_the_bill_by_hand():
    """Three comparisons of 12 bits a word, two additions of their outcomes in the code's 8 bits, 9 stored thresholds."""
    layer, given = thresholds(3), Value((3, 4, 5), 12, True, 1.0, is_sum=True)
    bill = layer.bill(layer.value(given), given)
    assert dict(bill.hardware.items()) == {("cmp", 12): 180, ("add", 8): 120}
    assert (bill.weights.words, bill.weights.bits) == (9, 12)
    one = thresholds(1)
    assert dict(one.bill(one.value(given), given).hardware.items()) == {("cmp", 12): 60}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"thresholds": np.zeros((2, 3), np.int32)}, r"thresholds are int32 \(2, 3\); expected int64"),
        ({"thresholds": np.array([[3, 3, 3], [2, 4, 4]])}, "that do not fall"),
        ({"thresholds": np.full((1, 3), 1 << 40)}, "of 32 bits"),
        ({"signs": np.array([1, 0, 1], np.int8)}, "signs are int8 .*; expected int8, -1 or 1"),
        ({"signs": np.ones(2, np.int8)}, "for each of 3 channels"),
        ({"first": 254}, r"3 thresholds give codes 254..257, which do not lie in"),
    ],
)
def test_what_no_thresholds_are_is_refused(changes, told):
    with pytest.raises(NetworkError, match=f"layer t: .*{told}"):
        replace(thresholds(3), **changes)


def test_a_program_of_thresholds_and_products_runs_and_keeps_its_file(tmp_path):
    program = coded_program()
    images = np.random.default_rng(2).integers(0, 256, (3, 2, 3, 3), dtype=np.uint8)
    found = {name: run.values for name, run in program.runs(images)}
    codes = found["t"].astype(np.int64)
    squares = codes * codes  # times a quarter, halves rounded upwards
    assert found["p"].tolist() == ((squares + 2) // 4).tolist()
    program.save(tmp_path / "coded.npz")
    assert Program.load(tmp_path / "coded.npz").run(images).tolist() == program.run(images).tolist()
