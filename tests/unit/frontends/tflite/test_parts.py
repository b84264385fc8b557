"""What cuts, joins and compares values: refusals in one line, and what it costs."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from addersim import count, lower_tflite
from addersim.errors import LoweringError
from tests.unit.frontends.tflite.models import codes, one
from tests.unit.frontends.tflite.networks import of_constant
from tests.unit.frontends.tflite.parts import (
    SHAPE,
    SLICES,
    STRIDED,
    compared,
    compared_with,
    sliced,
    sloped,
    split,
    stacked,
    strided,
    subtracted,
)


def _cut(name, given, output, options, **how):
    held = [{"shape": (len(numbers),), "kind": "INT32", "data": np.int32(numbers)} for numbers in given]
    return one(name, [codes(SHAPE), *held], output, options, **how)


def _slice(starts, counts):
    return _cut("SLICE", (starts, counts), codes(SHAPE), "SliceOptions")


def _strides(*given, **masks):
    return _cut("STRIDED_SLICE", given, codes(SHAPE), "StridedSliceOptions", **masks)


def _with(model, operator, **how):
    model.operators[operator][5].update(how)
    return model


def _reformed(model, tensor, **how):
    model.tensors[tensor].update(how)
    return model


IMAGES = np.random.default_rng(1).integers(-128, 128, (20, *SHAPE[1:])).astype(np.int8)


def _run(model, tmp_path):
    """Codes that a model gives of the images, in the file's order of axes."""
    path = tmp_path / "net.tflite"
    path.write_bytes(model.content())
    *_, (_, last) = lower_tflite(path).runs(np.moveaxis(IMAGES, -1, 1))
    return last.values


def _indexed(starts, ends, strides, masks):
    """A slice of the file as numpy has it."""
    whole = [slice(None)]
    for axis in (1, 2, 3):
        begin, end, single = (masks.get(f"{name}Mask", 0) >> axis & 1 for name in ("Begin", "End", "ShrinkAxis"))
        kept = slice(None if begin else starts[axis], None if end else ends[axis], strides[axis])
        whole.append(starts[axis] if single else kept)
    return tuple(whole)


@pytest.mark.parametrize("given", STRIDED)
def test_slices_are_those_of_numpy(given, tmp_path):
    assert np.array_equal(_run(strided("INT8", *given), tmp_path), IMAGES[_indexed(*given)])


def test_parts_are_those_of_numpy(tmp_path):
    for starts, counts in SLICES:
        ends = [SHAPE[axis] if count == -1 else starts[axis] + count for axis, count in enumerate(counts)]
        assert np.array_equal(_run(sliced("INT8", starts, counts), tmp_path), IMAGES[_indexed(starts, ends, (1, 1, 1, 1), {})])
    halves = np.split(IMAGES, 2, axis=1)
    assert np.array_equal(_run(split("INT8", 1, 2), tmp_path), np.concatenate(halves[::-1], axis=1))
    thirds = np.split(IMAGES, (2, 5), axis=3)
    assert np.array_equal(_run(split("INT8", 3, 0, (2, -1, 1)), tmp_path), np.concatenate(thirds[::-1], axis=3))
    assert np.array_equal(_run(stacked("INT8", 1, 3), tmp_path), np.moveaxis(IMAGES[:, ::-1], 1, 3))


@pytest.mark.parametrize(("name", "function"), [("MAXIMUM", np.maximum), ("MINIMUM", np.minimum)])
def test_extremes_are_those_of_numpy(name, function, tmp_path):
    assert np.array_equal(_run(compared("INT8", name), tmp_path), function(IMAGES, IMAGES[:, ::-1, ::-1, ::-1]))
    model = compared_with("INT8", name, (6,))
    assert np.array_equal(_run(model, tmp_path), function(IMAGES, model.tensors[1]["data"]))


def _reals(codes, scale, zero):
    return scale * (codes.astype(np.float64) - zero)


def test_differences_are_within_a_code_of_reals(tmp_path):
    """Of one image in two formats, and of an image and a constant, which of both is first."""
    image = _reals(IMAGES, 0.05, -3)
    first, second = (
        _reals(np.clip(np.rint(image / scale) + zero, -128, 127), scale, zero) for scale, zero in ((0.03, 11), (0.071, -40))
    )
    expected = np.clip((first - second) / 0.06 + 2, -128, 127)
    assert np.abs(_run(subtracted("INT8", (0.03, 0.071, 0.06)), tmp_path) - expected).max() <= 1 + 0.071 / 0.06
    for order in (1, -1):
        model = of_constant("SUB", "INT8", (3,), order)
        held = next(one for one in model.tensors if one["name"] == "weights")
        path = tmp_path / "net.tflite"
        path.write_bytes(model.content(inputs=(model.operators[0][1][::order][0],)))
        images = IMAGES[:, :, :, :3]
        *_, (_, last) = lower_tflite(path).runs(np.moveaxis(images, -1, 1))
        exact = order * (_reals(images, 0.05, -4) - _reals(held["data"], held["scale"], held["zero"])) / 0.04 + 8
        assert np.abs(last.values - np.clip(exact, -128, 127)).max() <= 1


def test_slopes_of_channels_are_within_a_code_of_reals(tmp_path):
    model = sloped("INT8", (1, 1, 6), 0.05)
    held, image = model.tensors[1], _reals(IMAGES, 0.05, 4)
    below = image * _reals(held["data"], held["scale"], held["zero"])
    expected = np.clip(np.where(image >= 0, image, below) / 0.05 - 20, -128, 127)
    assert np.abs(_run(model, tmp_path) - expected).max() <= 1


def test_two_values_of_other_formats_are_not_compared(tmp_path):
    model = subtracted("INT8", (0.03, 0.071, 0.03))
    model.operators[-1] = ("MAXIMUM", *model.operators[-1][1:3], "MaximumMinimumOptions", None, {})
    path = tmp_path / "net.tflite"
    path.write_bytes(model.content())
    with pytest.raises(
        LoweringError, match="tensor 'first': holds s8\\*0.03 zero 11, the output s8\\*0.03 zero 2; this operator"
    ):
        lower_tflite(path)


START, ENDS, ONES = (0, 0, 0, 0), SHAPE, (1, 1, 1, 1)
REFUSED = [
    (_slice((0, 0, 0, 5), (1, 4, 5, 2)), "takes 2 places from 5 on along axis 3, of 6"),
    (_slice((0, -1, 0, 0), (1, 4, 5, 6)), "takes 4 places from -1 on along axis 1, of 4"),
    (_slice((0, 0, 0), (1, 4, 5)), "begin: [0, 0, 0]; expected 4 whole numbers"),
    (_slice((1, 0, 0, 0), (1, 4, 5, 6)), "takes 1 places from 1 on along axis 0, of 1"),
    (_strides(START, ENDS, (1, 0, 1, 1)), "a step of 0 along axis 1"),
    (_strides((0, 4, 0, 0), ENDS, ONES), "takes no place along axis 1, of 4"),
    (_strides((0, 7, 0, 0), ENDS, ONES, ShrinkAxisMask=2), "takes place 7 along axis 1, of 4"),
    (_strides(START, ENDS, ONES, EllipsisMask=1), "EllipsisMask is not supported; slice each axis"),
    (_with(stacked("INT8", 1, 1), 0, Axis=0), "UNPACK at tensor 'part0': works along the images' axis"),
    (_with(stacked("INT8", 1, 1), 0, Axis=7), "axis 7 of a value of 4 axes"),
    (_with(stacked("INT8", 1, 1), 1, Axis=0), "works along the images' axis"),
    (split("INT8", 3, 0, (2, -1, -1)), "cuts 6 places along axis 3 into [2, 4, 4] for 3 outputs"),
    (
        _reformed(split("INT8", 3, 0, (2, 2, 2)), 5, data=np.int32([2, 2, 3])),
        "cuts 6 places along axis 3 into [2, 2, 3] for 3 outputs",
    ),
    (_reformed(split("INT8", 1, 2), 3, data=np.int32(9)), "axis 9 of a value of 4 axes"),
    (_reformed(split("INT8", 1, 2), 3, data=np.int32(2)), "cuts 5 places along axis 2 into [2, 2] for 2 outputs"),
    (_reformed(compared("INT8", "MAXIMUM"), 1, scale=0.06), "this operator passes codes on as they are"),
    (
        _reformed(compared_with("INT8", "MINIMUM", (6,)), 1, scale=0.06),
        "s8*0.05 zero 4 and s8*0.06 zero 4 become s8*0.05 zero 4",
    ),
    (
        _reformed(compared_with("INT8", "MINIMUM", (5,)), 1, name="five"),
        "tensor 'five': has shape (5,); expected one that goes with",
    ),
]


@pytest.mark.parametrize(("model", "message"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(model, message, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(model.content())
    with pytest.raises(LoweringError) as caught:
        lower_tflite(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _bill(model, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(model.content())
    return {layer.name: dict(layer.operations.items()) for layer in count(lower_tflite(path)).layers}


def test_parts_are_free_and_a_maximum_is_a_comparison_and_a_choice_a_word(tmp_path):
    assert not any(_bill(strided("INT8", START, ENDS, (1, 2, 1, 1), {}), tmp_path).values())
    words = 4 * 5 * 6
    bill = _bill(compared("INT8", "MAXIMUM"), tmp_path)
    assert [sorted(one.items()) for one in bill.values() if one] == [[(("cmp", 8), words), (("mux", 8), words)]]


def test_a_difference_is_billed_as_a_sum(tmp_path):
    difference, total = subtracted("INT8", (0.03, 0.071, 0.06)), subtracted("INT8", (0.03, 0.071, 0.06))
    total.operators[-1] = ("ADD", *total.operators[-1][1:3], "AddOptions", None, {})
    assert [one for one in _bill(difference, tmp_path).values() if one] == list(_bill(total, tmp_path).values())
