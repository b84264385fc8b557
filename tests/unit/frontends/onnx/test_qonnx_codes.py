"""QONNX's Trunc and MultiThreshold beside their formulas in plain numpy, and what is refused of them."""

import numpy as np
import pytest

pytest.importorskip("onnx")

import addersim
from addersim.errors import LoweringError
from addersim.frontends.quantisers import ROUNDINGS
from tests.unit.frontends.onnx.models import model, node, saved

GENERAL = "qonnx.custom_op.general"
F32 = np.float32
FORM = {"s": F32(0.25), "z": F32(0), "n": F32(8)}
IMAGES = (np.arange(-160, 160).reshape(5, 4, 4, 4) / 4).astype(F32)


def program(folder, nodes, constants, shape=(4, 4, 4), version=1):
    first = node("Quant", "x", "s", "z", "n", name="q", domain=GENERAL, signed=1, narrow=0, rounding_mode="ROUND")
    made = model([first, *nodes], FORM | constants, shape=("batch", *shape), domains=(GENERAL,))
    made.opset_import[1].version = version
    return addersim.load(saved(folder, made))


def reals(found):
    """What the last layer's codes of the images stand for, channels first."""
    form = found.layers[-1].output
    codes = [run.values for _, run in found.runs(IMAGES)][-1]
    return np.moveaxis((codes.astype(np.int64) - form.zero_point) * form.scale, -1, 1)


def quantised():
    return np.clip(np.rint(IMAGES / F32(0.25)), -128, 127)


@pytest.mark.parametrize("mode", ["FLOOR", "CEIL", "ROUND", "HALF_UP", "DOWN"])
def test_the_first_trunc_has_no_ends(tmp_path, mode):
    """127 of which three bits are dropped is 15.875: up it is 16, which 5 bits do not hold, and QONNX gives it."""
    made = node("Trunc", "q_out", "s", "z", "n", "five", name="t", domain=GENERAL, rounding_mode=mode, output="y")
    found = program(tmp_path, [made], {"five": F32(5)})
    np.testing.assert_array_equal(reals(found), ROUNDINGS[mode](quantised() / 8) * 0.25)
    assert reals(found).max() == (4 if mode in ("CEIL", "ROUND", "HALF_UP") else 3.75)


@pytest.mark.parametrize("mode", ["FLOOR", "CEIL", "ROUND"])
@pytest.mark.parametrize("zero", [0, 16])
def test_the_second_trunc_has_a_scale_a_zero_point_and_ends(tmp_path, mode, zero):
    made = node("Trunc", "q_out", "s", "tz", "n", "to", "four", name="t", domain=GENERAL, rounding_mode=mode, output="y",
                signed=1, narrow=1)  # fmt: skip
    found = program(tmp_path, [made], {"four": F32(4), "to": F32(2), "tz": F32(zero)}, version=2)
    expected = ROUNDINGS[mode](np.clip((quantised() + zero) / 8, -7, 7)) - zero / 8
    np.testing.assert_array_equal(reals(found), expected * 2)
    assert (found.layers[-1].output.bits, found.layers[-1].output.zero_point) == (4, zero // 8)


def counted(values, thresholds):
    """How many thresholds of its channel each value reaches."""
    return (values[..., None] >= thresholds.reshape(1, -1, 1, 1, thresholds.shape[1])).sum(-1)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(("step", "first"), [(1.0, 0.0), (0.5, -1.0), (2.0, -1.0), (1.0, -2.0)])
def test_thresholds_of_codes(tmp_path, rows, step, first):
    thresholds = np.sort(np.random.default_rng(3).integers(-40, 40, (rows, 3)) / 4 + 0.125, axis=1).astype(F32)
    made = node("MultiThreshold", "q_out", "t", domain=GENERAL, out_dtype="INT8", out_scale=step, out_bias=first, output="y")
    found = program(tmp_path, [made], {"t": thresholds})
    np.testing.assert_array_equal(reals(found), counted(quantised() * 0.25, thresholds) * step + first)


@pytest.mark.parametrize("falling", [False, True])
def test_thresholds_of_sums_of_whole_weights(tmp_path, falling):
    """As FINN streamlines networks: weights are whole numbers, batch norms lie in thresholds, at which sums are, too."""
    random = np.random.default_rng(5)
    weights = random.integers(-1, 2, (4, 4)).astype(F32)
    thresholds = np.sort(random.integers(-60, 60, (4, 7)) / 4, axis=1).astype(F32)
    nodes = [
        node("Conv", "q_out", "w", name="conv"),
        *([node("Neg", "conv_out")] if falling else []),
        node("MultiThreshold", "neg_out" if falling else "conv_out", "t", domain=GENERAL, out_dtype="UINT3", output="y"),
    ]
    found = program(tmp_path, nodes, {"w": weights[:, :, None, None], "t": thresholds})
    assert [layer.kind() for layer in found.layers] == ["window", "thresholds"]
    sums = np.einsum("ncyx,fc->nfyx", quantised() * 0.25, weights)
    np.testing.assert_array_equal(reals(found), counted(-sums if falling else sums, thresholds))


MULTI = {"domain": GENERAL, "out_dtype": "UINT4", "output": "y"}
T = np.zeros((1, 3), F32)


@pytest.mark.parametrize(
    ("made", "more", "told"),
    [
        (node("MultiThreshold", "q_out", "t", **MULTI, out_bias=0.3), {"t": T},
         "out_scale 1 and out_bias 0.3; expected a bias of whole or half steps"),
        (node("MultiThreshold", "q_out", "t", **MULTI, data_layout="CN"), {"t": T},
         r"attribute data_layout: 'CN' of images x \(4, 4, 4\); read are NCHW, NHWC"),
        (node("MultiThreshold", "q_out", "t", **MULTI), {"t": np.zeros((3, 3), F32)}, "expected one number or one a channel"),
        (node("MultiThreshold", "q_out", "t", **MULTI), {"t": np.full((1, 3), np.nan, F32)}, "thresholds 't' have shape"),
        (node("MultiThreshold", "x", "t", **MULTI), {"t": T}, "makes codes of images by rounding mode thresholds"),
        (node("FloatQuant", "q_out", "t", domain=GENERAL, output="y"), {"t": T},
         "makes numbers with exponents, not codes of whole numbers; quantise with Quant"),
        (node("Trunc", "q_out", "s", "t", "n", "n", "n", domain=GENERAL, output="y", rounding_mode="FLOOR"), {"t": F32(3)},
         "zero point 3 over 32: not read"),
        (node("Trunc", "q_out", "s", "z", "n", domain=GENERAL, output="y", rounding_mode="FLOOR"), {},
         "reads 4 values; the versions with five and with six are read"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, made, more, told):
    with pytest.raises(LoweringError, match=told):
        program(tmp_path, [made], more)


def test_signs_of_a_border_of_zeros_are_plus(tmp_path):
    nodes = [
        node("Pad", "q_out", "around", name="pad"),
        node("BipolarQuant", "pad_out", "s", name="sign", domain=GENERAL, output="y"),
    ]
    found = program(tmp_path, nodes, {"around": np.array([0, 0, 1, 0, 0, 0, 0, 1])})
    wide = np.pad(quantised(), ((0, 0), (0, 0), (1, 0), (0, 1)))
    np.testing.assert_array_equal(reals(found), np.where(wide >= 0, 0.25, -0.25))


@pytest.mark.parametrize("axes", [[1], [3], [2, 3], [1, 3], [1, 2, 3]])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceSum", "ReduceMax"])
def test_reductions_along_any_axes(tmp_path, operator, keep, axes):
    if len(axes) == 3 and not keep:
        return
    summed = operator == "ReduceSum"
    how = {"keepdims": keep} | ({} if summed else {"axes": axes})
    nodes = [
        node(operator, "q_out", *(["axes"] if summed else []), name="r", **how),
        node("Quant", "r_out", "s", "z", "sixteen", domain=GENERAL, signed=1, narrow=0, rounding_mode="ROUND", output="y"),
    ]
    found = program(tmp_path, nodes, {"axes": np.array(axes), "sixteen": F32(16)})
    function = {"ReduceMean": np.mean, "ReduceSum": np.sum, "ReduceMax": np.max}[operator]
    expected = np.rint(function(quantised(), axis=tuple(axes), keepdims=bool(keep)))
    np.testing.assert_array_equal(reals(found), expected * 0.25)


def test_the_place_of_the_largest_score_is_left_out(tmp_path):
    nodes = [node("MatMul", "q_out", "w", name="scores"), node("ArgMax", "scores_out", axis=-1, keepdims=0, output="y")]
    found = program(tmp_path, nodes, {"w": np.arange(-6, 6).reshape(4, 3).astype(F32)}, shape=(4,))
    assert found.metadata["left out"].endswith("ArgMax")
    images = np.random.default_rng(2).normal(size=(30, 4)).astype(F32) * 9
    codes = np.clip(np.rint(images / 0.25), -128, 127)
    np.testing.assert_array_equal(found.run(images).argmax(1), (codes @ np.arange(-6, 6).reshape(4, 3)).argmax(1))
