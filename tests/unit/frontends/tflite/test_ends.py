"""What a file computes in floats between codes, and what stands behind its scores."""

import math

import numpy as np
import pytest

pytest.importorskip("tflite")

from addersim import lower_tflite
from addersim.errors import LoweringError
from addersim.frontends.tflite.islands import MOST_STEPS
from tests.unit.frontends.tflite.models import Model, codes
from tests.unit.frontends.tflite.networks import dense, island, root
from tests.unit.frontends.tflite.test_reading import refusal, small, written

CODES = np.arange(-128, 128, dtype=np.int8)
REALS = np.float32(0.01) * (CODES.astype(np.float32) + 7)
EXACT = {
    "NEG": lambda x: -x,
    "ELU": lambda x: x if x > 0 else math.expm1(x),
    "CEIL": math.ceil,
    "ROUND": round,
    "SQUARE": lambda x: x * x,
    "COS": math.cos,
}


def _given(model, folder):
    *_, (_, last) = lower_tflite(written(folder, model)).runs(CODES[None])
    return last.values.reshape(-1)


@pytest.mark.parametrize("name", EXACT)
def test_a_function_of_floats_is_a_table_of_codes(name, tmp_path):
    """Halves of a code, which ROUND and NEG give here, go away from zero."""
    steps = np.array([float(np.float32(EXACT[name](float(x)))) for x in REALS]) / float(np.float32(0.1))
    found, between = _given(island("INT8", (name,)), tmp_path), np.abs(steps - np.floor(steps) - 0.5) > 1e-5
    wanted = np.clip(np.rint(steps) + 8, -128, 127)
    assert between.sum() > 200
    assert np.array_equal(found[between], wanted[between])
    assert np.abs(found - (steps + 8)).max() <= 0.5 + 1e-5


def test_just_below_a_half_is_below_it(tmp_path):
    """Of 0.05 in steps of 0.1 float32 has 0.49999997, to which a half must not be added in float32."""
    steps = -REALS / np.float32(0.1)
    just = steps == np.nextafter(np.float32(0.5), np.float32(0))
    assert just.sum() == 1
    assert _given(island("INT8", ("NEG",)), tmp_path)[just] == 8


def test_several_functions_are_one_layer(tmp_path):
    program = lower_tflite(written(tmp_path, island("INT8", ("SQUARE", "NEG"))))
    assert [one.function for one in program.layers] == ["square and neg"]


def test_what_has_no_number_in_floats_is_refused(tmp_path):
    assert "LOG in floats: code -128 in s8*0.01 zero -7 becomes nan, which is no code" in refusal(
        tmp_path, island("INT8", ("LOG",))
    )


@pytest.mark.filterwarnings("error")
def test_scales_beyond_floats_are_refused_without_a_warning(tmp_path):
    said = refusal(tmp_path, island("INT8", ("NEG",), (3e38, 0.1)))
    assert "NEG in floats: code -128 in s8*3e+38 zero -7 becomes inf, which is no code" in said


@pytest.mark.parametrize("names", [("COS", "GATHER_ND"), ("NEG",) * (MOST_STEPS + 1)])
def test_other_operators_in_floats_have_no_layer(names, tmp_path):
    """Nor do more of them, one behind another, than are read."""
    lower_tflite(written(tmp_path, island("INT8", names[:1] * MOST_STEPS)))
    said = refusal(tmp_path, island("INT8", names))
    assert f"{names[0]} at tensor '{names[0]} of 1': computes floats; read are up to 64 functions of one code that" in said


def test_roots_of_codes_below_zero_are_refused(tmp_path):
    model = root("RSQRT", 0.1, 0)
    model.tensors[0]["zero"] = -127
    assert "of which some stand for less than zero and have no root" in refusal(tmp_path, model)


def _with_end(name, *more, axis=None, shape=(1,), kind="INT64"):
    model = dense("INT8", "NONE")
    scores = len(model.tensors) - 1
    held = [model.constant("axis", axis, "INT32")] if axis is not None else []
    end = {"kind": kind} if kind == "INT64" else codes((1, 5))
    model.operator(name, [scores, *held], [model.tensor("end", **{"shape": shape} | end)], *more)
    return model


@pytest.mark.parametrize("axis", [1, -1])
def test_the_place_of_the_largest_score_is_left_out(axis, tmp_path):
    images = np.random.default_rng(1).integers(-128, 128, (9, 24)).astype(np.int8)
    program = lower_tflite(written(tmp_path, _with_end("ARG_MAX", "ArgMaxOptions", axis=axis)))
    assert program.metadata["left out"] == "behind the scores, whose order it keeps: ARG_MAX"
    plain = lower_tflite(written(tmp_path, dense("INT8", "NONE")))
    assert "left out" not in plain.metadata
    (*_, (_, ours)), (*_, (_, theirs)) = program.runs(images), plain.runs(images)
    assert np.array_equal(ours.values, theirs.values)


def test_logarithms_of_scores_are_left_out(tmp_path):
    program = lower_tflite(written(tmp_path, _with_end("LOG_SOFTMAX", kind="INT8", shape=(1, 5))))
    assert program.metadata["left out"] == "behind the scores, whose order it keeps: LOG_SOFTMAX"


@pytest.mark.parametrize("axis", [0, 2, [1, 1], None])
def test_places_along_other_axes_have_no_layer(axis, tmp_path):
    assert "ARG_MAX at tensor 'end': has no layer" in refusal(tmp_path, _with_end("ARG_MAX", axis=axis))


def test_an_output_that_layers_read_is_given_by_a_copy(tmp_path):
    model = small()
    features, scores = (one[2][0] for one in (model.operators[0], model.operators[-1]))
    both = lower_tflite(written(tmp_path, model, outputs=(features, scores)))
    alone = lower_tflite(written(tmp_path, model))
    images = np.random.default_rng(2).integers(-128, 128, (3, *both.input_shape)).astype(np.int8)
    found, plain = ({name: run.values for name, run in one.runs(images)} for one in (both, alone))
    (extra,) = found.keys() - plain.keys()
    assert np.array_equal(found[extra], plain[extra.removesuffix(".output")])
    assert list(found)[-1] == list(plain)[-1]
    assert all(np.array_equal(found[name], values) for name, values in plain.items())


def _repeated(shape):
    model = Model()
    held = [model.tensor("image", **codes((1, 4, 1, 3))), model.constant("shape", shape, "INT32")]
    model.operator("BROADCAST_TO", held, [model.tensor("out", **codes((1, 4, 5, 3)))], "BroadcastToOptions")
    return model


@pytest.mark.parametrize("shape", [(2, 4, 1, 3), (1, 5, 1, 3), (1, 4, 0, 3), (4, 1, 3), (1, 4, 2**30, 3), (1, 4, -5, 3)])
def test_shapes_to_which_nothing_is_repeated_are_refused(shape, tmp_path):
    with pytest.raises(LoweringError, match="BROADCAST_TO at tensor 'out': "):
        lower_tflite(written(tmp_path, _repeated(shape)))
