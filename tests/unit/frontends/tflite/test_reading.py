"""Reading TFLite files: what comes out, and every refusal in one line."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("tflite")

import addersim
from addersim import Program, lower_tflite
from addersim.cli import app
from addersim.errors import LoweringError
from addersim.layers import IntegerWindow
from tests.unit.frontends.tflite.models import Model, bias, codes, one, weights
from tests.unit.frontends.tflite.networks import convolution, dense, ends, pooled, resized, shared

RANDOM = np.random.default_rng(0)


def written(folder, model, **how):
    path = folder / "net.tflite"
    path.write_bytes(model if isinstance(model, bytes) else model.content(**how))
    return path


def refusal(folder, model, **how):
    """What is said of a file, without its path: one line."""
    path = written(folder, model, **how)
    with pytest.raises(LoweringError) as caught:
        lower_tflite(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


def small():
    """A convolution, a pool, a fully connected layer and a softmax."""
    model = Model()
    image = model.tensor("image", **codes((1, 8, 8, 3), zero=-5), signature=(-1, 8, 8, 3))
    sums = model.tensor("conv;bias;relu", **codes((1, 8, 8, 4), scale=0.1, zero=-128))
    held, added = model.tensor(**weights((4, 3, 3, 3), RANDOM, channels=4)), model.tensor(**bias(4, RANDOM))
    how = {"StrideH": 1, "StrideW": 1, "FusedActivationFunction": 1}
    model.operator("CONV_2D", [image, held, added], [sums], "Conv2DOptions", **how, DilationHFactor=1, DilationWFactor=1)
    mean = model.tensor("mean", **codes((1, 1, 1, 4), scale=0.1, zero=-128))
    moves = {"Padding": 1, "StrideH": 8, "StrideW": 8, "FilterHeight": 8, "FilterWidth": 8}
    model.operator("AVERAGE_POOL_2D", [sums], [mean], "Pool2DOptions", **moves)
    scores = model.tensor("scores", **codes((1, 5), scale=0.02, zero=7))
    model.operator("FULLY_CONNECTED", [mean, model.tensor(**weights((5, 4), RANDOM)), -1], [scores], "FullyConnectedOptions")
    shares = model.tensor("shares", **codes((1, 5), scale=1 / 256, zero=-128))
    model.operator("SOFTMAX", [scores], [shares], "SoftmaxOptions", Beta=1.0)
    return model


def test_formats_are_those_of_the_file(tmp_path):
    program = addersim.load(written(tmp_path, small()))
    assert isinstance(program, Program)
    assert (program.name, program.input_shape, program.takes_codes) == ("net", (3, 8, 8), True)
    assert str(program.input) == "s8*0.05 zero -5"
    rows = {row["layer"]: (row["kind"], row["output"], row["shape"]) for row in program.table()}
    assert rows == {
        "conv.sums": ("window", "s20*0.05", "4 x 8 x 8"),
        "conv": ("rescale", "s8*0.1 zero -128", "4 x 8 x 8"),
        "mean": ("average_pool", "s8*0.1 zero -128", "4 x 1 x 1"),
        "scores.input": ("move", "s8*0.1 zero -128", "4"),
        "scores.sums": ("window", "s18*0.1", "5"),
        "scores": ("rescale", "s8*0.02 zero 7", "5"),
        "shares": ("rule_softmax", "fx8.8 zero -128", "5"),
    }


def test_a_program_of_a_file_is_saved_and_counted(tmp_path):
    program = lower_tflite(written(tmp_path, small()), name="mine", classes="abcde", metadata={"who": "I"})
    assert (program.name, program.classes, program.metadata["who"]) == ("mine", tuple("abcde"), "I")
    program.save(tmp_path / "net.npz")
    again = Program.load(tmp_path / "net.npz")
    images = RANDOM.integers(-128, 128, (6, 3, 8, 8)).astype(np.int8)
    found, expected = (dict(one.runs(images))["shares"].values for one in (again, program))
    assert np.array_equal(found, expected)
    assert addersim.count(program).totals() == addersim.count(again).totals()


def test_shared_weights_are_stored_once(tmp_path):
    program = lower_tflite(written(tmp_path, shared()))
    assert [(one_.name, one_.shared) for one_ in program.layers if isinstance(one_, IntegerWindow)] == [
        ("value1.sums", None),
        ("value2.sums", "value1.sums"),
    ]


@pytest.mark.parametrize("engine", ["kernels", "reference"])
def test_reals_are_rounded_to_codes_where_a_file_takes_reals(engine, tmp_path):
    from addersim import kernels
    from addersim.kernels import reference

    program = lower_tflite(written(tmp_path, ends("INT8")))
    images = RANDOM.normal(0, 3, (5, 24)).astype(np.float32)
    given = program.input.encode(images, "half-up")
    engine = {"kernels": kernels, "reference": reference}[engine]
    for one_, other in zip(program.runs(images, engine), program.runs(given, kernels), strict=True):
        assert np.array_equal(one_[1].values, other[1].values)


VERBS = [("simulate",), ("count",), ("estimate",), ("check",), ("report", "-o", "out"), ("lower", "-o", "a.npz")]


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
def test_every_verb_takes_a_file(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, small())
    more = []
    if verb[0] in ("simulate", "report"):
        images = RANDOM.integers(-128, 128, (20, 8, 8, 3)).astype(np.int8)
        np.savez(tmp_path / "images.npz", images=images, labels=np.arange(20) % 5)
        more = ["--data", str(tmp_path / "images.npz")]
    found = CliRunner().invoke(app, [verb[0], str(path), *verb[1:], *more])
    assert found.exit_code == 0, found.output
    assert "warning" not in found.output  # codes are what the file takes: nothing about the images is unknown
    assert "net" in found.output


def test_a_file_without_an_ending_is_known_by_its_first_bytes(tmp_path):
    path = tmp_path / "net"
    path.write_bytes(small().content())
    assert isinstance(addersim.load(path), Program)


def test_without_the_package_the_extra_is_named(tmp_path):
    path = written(tmp_path, small())
    code = f"import sys; sys.modules['tflite'] = None; import addersim; addersim.lower_tflite({str(path)!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.strip().endswith("reading TFLite needs tflite; install it with: pip install 'addersim[tflite]'")


def _with(place, **fields):
    """The small network with another tensor."""
    model = small()
    model.tensors[place] |= fields
    return model


IMAGE, CONV, WEIGHTS, BIAS = 0, 1, 2, 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((IMAGE, {"scale": 0.0}), "tensor 'image': scale: 0.0 is not a positive finite number"),
        ((IMAGE, {"scale": np.nan}), "tensor 'image': scale: nan is not a positive finite number"),
        ((IMAGE, {"scale": -1.0}), "tensor 'image': scale: -1.0 is not a positive finite number"),
        ((IMAGE, {"zero": 128}), "tensor 'image': zero point: found 128, needs a whole number in -128..127"),
        ((IMAGE, {"scale": [0.1, 0.2]}), "tensor 'image': has 2 scales; activations have one"),
        ((IMAGE, {"scale": None}), "tensor 'image': is INT8 without a scale; read are quantised tensors"),
        ((IMAGE, {"kind": "FLOAT32"}), "tensor 'image': is FLOAT32 and read by CONV_2D: its weights alone are quantised"),
        ((IMAGE, {"kind": "INT16"}), "tensor 'image': is of type INT16; read are codes of INT8 and UINT8: convert"),
        ((IMAGE, {"signature": (-1, -1, 8, 3)}), "tensor 'image': the input has shape (-1, -1, 8, 3); convert the"),
        ((IMAGE, {"shape": (8,)}), "tensor 'image': has shape (8,); needed are images along the first axis"),
        ((IMAGE, {"shape": (1, 2**31 - 1, 8, 3)}), "tensor 'image': has shape (1, 2147483647, 8, 3); sides of 1,048,576 and"),
        ((IMAGE, {"shape": (1, 2**20, 2**20, 3)}), "tensor 'image': has shape (1, 1048576, 1048576, 3); sides of"),
        ((IMAGE, {"scale": 3e38}), "CONV_2D at tensor 'conv;bias;relu': "),
        ((IMAGE, {"shape": (1, 0, 8, 3)}), "tensor 'image': the input has shape"),
        ((CONV, {"scale": np.inf}), "CONV_2D at tensor 'conv;bias;relu': tensor 'conv;bias;relu': scale: inf is not"),
        ((CONV, {"zero": -129}), "CONV_2D at tensor 'conv;bias;relu': tensor 'conv;bias;relu': zero point: found -129, needs"),
        ((CONV, {"kind": "INT16"}), "tensor 'conv;bias;relu': is of type INT16; read are codes"),
        ((CONV, {"kind": "UINT8", "zero": 3}), "AVERAGE_POOL_2D at tensor 'mean': codes in u8*0.1 zero 3 become s8*0.1"),
        (
            (CONV, {"shape": (1, 8, 7, 4)}),
            "gives shape (1, 8, 8, 4), images first and channels last; the file says (1, 8, 7, 4)",
        ),
        ((WEIGHTS, {"axis": 3}), "tensor 'weights': has scales along axis 3; they are read along axis 0"),
        ((WEIGHTS, {"scale": [0.1, 0.2, 0.3]}), "tensor 'weights': has 3 scales for 4 channels"),
        ((WEIGHTS, {"scale": [0.1, 0.2, 0.0, 0.3]}), "tensor 'weights': scale: 0.0 is not a positive finite number"),
        ((WEIGHTS, {"zero": [0, 0, 0, 300]}), "tensor 'weights': zero point: found 300, needs"),
        ((WEIGHTS, {"zero": [0, 0, 4, 0]}), "tensor 'weights': has zero point 4; INT8 weights of convolutions and channels"),
        ((WEIGHTS, {"data": None}), "reads 'weights', which no operator before it gives"),
        ((WEIGHTS, {"shape": (4, 3, 3, 4)}), "tensor 'weights': holds 108 bytes; its shape (4, 3, 3, 4) of INT8 takes 144"),
        ((WEIGHTS, {"kind": "UINT8"}), "tensor 'weights': is UINT8 beside an input of INT8; expected one type"),
        ((WEIGHTS, {"kind": "FLOAT32"}), "tensor 'weights': holds 108 bytes; its shape (4, 3, 3, 3) of FLOAT32 takes 432"),
        ((WEIGHTS, {"buffer": 99}), "tensor 'weights': lies in buffer 99 of"),
        ((WEIGHTS, {"variable": True}), "tensor 'weights': is a variable, which keeps its values from image to image"),
        ((BIAS, {"kind": "INT64", "data": np.arange(4)}), "tensor 'bias': the bias is of type INT64; expected INT32"),
        ((BIAS, {"shape": (2,), "data": np.int32([1, 2])}), "bias of shape (2,); expected 4 values"),
        ((BIAS, {"scale": 0.1, "zero": 1}), "tensor 'bias': has a zero point; that of a bias is 0"),
        ((BIAS, {"shape": (2, 2)}), "bias of shape (2, 2); expected 4 values"),
        ((CONV, {"shape": (1,) * 9}), "tensor 'conv;bias;relu': shape (1, 1, 1, 1, 1, 1, 1, 1, 1); read are at most 8 axes"),
        ((CONV, {"shape": (1, -8, 8, 4)}), "tensor 'conv;bias;relu': shape (1, -8, 8, 4); read are at most 8 axes"),
    ],
)
def test_a_tensor_is_refused_by_name(fields, message, tmp_path):
    assert message in refusal(tmp_path, _with(fields[0], **fields[1]))


def test_all_that_has_no_layer_is_told_at_once(tmp_path):
    model = small()
    last = len(model.tensors) - 1
    for name, custom in (("CUSTOM", "TFLite_Detection"), ("COS", None), ("IF", None), ("LSTM", None), ("COS", None)):
        model.operator(name, [last], [model.tensor(f"{name}{len(model.tensors)}", **codes((1, 5)))], custom=custom)
        last = len(model.tensors) - 1
    said = refusal(tmp_path, model)
    assert said.startswith(
        "5 operations have no layer: CUSTOM TFLite_Detection at tensor 'CUSTOM8': is a custom operator, which only its "
        "author's code knows; COS at tensor 'COS9' and 1 more: has no layer; IF at tensor 'IF10': has no layer; LSTM at"
    )
    assert isinstance(lower_tflite(written(tmp_path, model), countable=True), Program)
    trace = addersim.count(addersim.load(written(tmp_path, model), countable=True))
    assert [one.kind for one in trace.layers].count("unknown") == 5


def test_control_flow_is_refused(tmp_path):
    assert refusal(tmp_path, small(), graphs=2) == "holds 2 graphs; one is read, without control flow (IF, WHILE, CALL)"


def test_weights_quantised_alone_are_refused(tmp_path):
    """Hybrid, or dynamic range: codes of weights, activations in float."""
    model = small()
    for one_ in model.tensors:
        if one_["data"] is None:
            one_ |= {"kind": "FLOAT32", "scale": None}
    assert refusal(tmp_path, model) == (
        "tensor 'image': is FLOAT32 and read by CONV_2D: its weights alone are quantised (dynamic range); convert it with "
        "full integer quantisation"
    )


def test_a_network_in_float_is_refused(tmp_path):
    model = small()
    for one_ in model.tensors:
        kept = one_["data"] is None or one_["kind"] == "INT32"
        one_ |= {"kind": "FLOAT32", "scale": None, "data": one_["data"] if kept else one_["data"].astype(np.float32)}
    assert refusal(tmp_path, model) == (
        "tensor 'image': is FLOAT32 and read by CONV_2D: a network in float; convert it with full integer quantisation"
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"inputs": (0, 1)}, "the graph has 2 inputs; a network takes one, the images"),
        ({"inputs": ()}, "the graph has 0 inputs; a network takes one, the images"),
        ({"outputs": ()}, "the graph has no output"),
        ({"outputs": (0,)}, "the output 'image' is the images as they are; an output is what layers make of them"),
        ({"outputs": (2,)}, "output 'weights' does not depend on the images"),
        ({"inputs": (2,)}, "reads 'image', which no operator before it gives"),
        ({"inputs": (99,)}, "tensors 99..99 are read; the graph has 8"),
    ],
)
def test_a_graph_has_one_input_and_outputs_that_layers_give(how, message, tmp_path):
    assert message in refusal(tmp_path, small(), **how)


def _bias_of_scale(scale):
    model = dense("INT8", "NONE")
    model.tensors[2]["scale"] = scale
    return model


def _uint8_of_channels():
    model = dense("UINT8", "NONE")
    model.tensors[1]["scale"] = [0.1, 0.2, 0.3, 0.4, 0.5]
    return model


def _at_rest(model):
    model.operators[0][5]["StrideH"] = 0
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_at_rest(convolution("INT8", "SAME", (1, 1), (1, 1), "NONE")), "stride (0, 1) and dilation (1, 1); both are at"),
        (pooled("MAX_POOL_2D", "INT8", "SAME", (1, 1), "NONE", (0, 2)), "window of (0, 2) pixels; both sides are at least 1"),
        (resized("RESIZE_BILINEAR", "UINT8", (8, 10)), "of UINT8, which TensorFlow Lite blends in floats; read are INT8"),
        (resized("RESIZE_BILINEAR", "INT8", (8, 10), True, True), "aligns corners and takes half pixels; one or none of both"),
        (_bias_of_scale(0.3), "tensor 'bias': has scale 0.3; that of the sums is 0.0005"),
        (_bias_of_scale(np.nan), "tensor 'bias': has scale nan; scales are positive finite numbers"),
        (_bias_of_scale(0.0), "tensor 'bias': has scale 0; scales are positive finite numbers"),
        (_bias_of_scale([0.1, 0.1, -0.1, 0.1, 0.1]), "tensor 'bias': has scale -0.1; scales are positive finite numbers"),
        (one("HARD_SWISH", [codes((1, 5))], codes((1, 5), scale=1e-4)), "their scale is at least 1/128 of the input's"),
        (
            one("TANH", [codes((1, 5))], codes((1, 5), "UINT8")),
            "tensor 'out': reads and gives INT8 and UINT8; expected",
        ),
        (one("TANH", [codes((1, 5))], codes((1, 5), scale=1e-44)), "whose scale is too fine for float32"),
        (_uint8_of_channels(), "tensor 'weights': has 5 scales; UINT8 weights have one"),
        (one("RELU", [codes((1, 5))], codes((2, 5))), "tensor 'out': has shape (2, 5), and the input 1 images"),
        (one("RESHAPE", [codes((1, 6))], codes((1, 2, 4))), "cannot give (6,) the shape (1, 2, 4), images first"),
        (one("RESHAPE", [codes((2, 6))], codes((1, 12))), "tensor 'out': has shape (1, 12), and the input 2 images"),
        (one("SOFTMAX", [codes((1, 5))], codes((1, 5))), "SOFTMAX at tensor 'out': softmax: s8*0.05 zero 3 into"),
        (one("TANH", [codes((1, 5))], codes((1, 5)) | {"kind": "INT32"}), "is of type INT32"),
        (one("FULLY_CONNECTED", [codes((1, 5))], codes((1, 5))), "FULLY_CONNECTED at tensor 'out': weights is missing"),
    ],
)
def test_an_operator_is_refused_in_words(model, message, tmp_path):
    assert message in refusal(tmp_path, model)


def test_fused_activations_that_are_not_known_are_refused(tmp_path):
    model = dense("INT8", "NONE")
    model.operators[0][5]["FusedActivationFunction"] = 4
    assert "fused activation TANH is not supported; known: NONE, RELU, RELU6, RELU_N1_TO_1" in refusal(tmp_path, model)


def test_several_scales_of_the_images_are_refused(tmp_path):
    model = ends("INT8")
    other = model.tensor("other", **codes((1, 24), scale=0.9))
    model.operator("QUANTIZE", [0], [other], "QuantizeOptions")
    assert "tensor 'reals': becomes codes in s8*0.05 zero -10 and in others" in refusal(tmp_path, model)
