"""Networks that onnxruntime's own quantiser makes, beside its own run of them, layer by layer; where it is installed."""

import re

import numpy as np
import pytest

import addersim

onnx = pytest.importorskip("onnx")
from addersim.errors import LoweringError  # noqa: E402
from tests.agreement.float_onnx import write_float  # noqa: E402

STYLES = ("QDQ", "QOperator")


class Reader:
    """Calibration images, a few at a time."""

    def __init__(self, images, name="input"):
        self.left = [{name: images[place : place + 16]} for place in range(0, len(images), 16)]

    def get_next(self):
        return self.left.pop(0) if self.left else None


def statically(source, made, calibration, style="QDQ", image="input", **how):
    """Quantise a float file by onnxruntime."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    kinds = {key: getattr(quantization.QuantType, how.pop(key, default)) for key, default in (
        ("activation_type", "QUInt8"), ("weight_type", "QInt8")
    )}  # fmt: skip
    ways = {"quant_format": quantization.QuantFormat[style], **kinds, **how}
    quantization.quantize_static(source, made, Reader(calibration, image), **ways)
    return made


def runtime_codes(path, names, images, image="input"):
    """Codes that onnxruntime gives for tensors of that name which are some, and the operators that it ran."""
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(path)
    known = {one.name: one for one in onnx.shape_inference.infer_shapes(model).graph.value_info}
    makes = re.compile(r"QuantizeLinear|QLinear|QGemm")
    kinds = {name for one in model.graph.node if makes.match(one.op_type) for name in one.output}
    given = {one.name for one in model.graph.output}
    names = [name for name in names if name in kinds and name not in given]
    model.graph.output.extend(known.get(name) or onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    ran = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    return dict(zip(names, session.run(names, {image: images}), strict=True)), ran


def check_beside_runtime(path, images, image="input"):
    """Every layer's codes are onnxruntime's; the program, and the operators that it ran."""
    program = addersim.load(path)
    found = {name: np.moveaxis(run.values, -1, 1) for name, run in program.runs(images) if name != "input"}
    expected, ran = runtime_codes(path, list(found), images, image)
    found = {name: codes[:, :, 0] if expected[name].ndim == 3 else codes for name, codes in found.items() if name in expected}
    expected = {name: codes for name, codes in expected.items() if codes.shape == found[name].shape}  # not those moved later
    assert expected
    apart = {name: int((found[name] != codes).sum()) for name, codes in expected.items()}
    assert not any(apart.values()), {name: (count, expected[name].size) for name, count in apart.items() if count}
    return program, expected, ran


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["lenet5-conv", "resnet20-conv"])
@pytest.mark.parametrize("style", STYLES)
def test_a_bundled_network(name, style, count, tmp_path):
    network = addersim.load_network(name)
    pixels = np.random.default_rng(0).integers(0, 256, (count, *network.input_shape)).astype(np.uint8)
    images = ((pixels / 255 - np.reshape(network.mean, (-1, 1, 1))) / np.reshape(network.std, (-1, 1, 1))).astype(np.float32)
    source = write_float(network, tmp_path / "float.onnx")
    made = statically(source, tmp_path / "made.onnx", images[:16], style, per_channel=True)
    program, expected, ran = check_beside_runtime(made, images)
    windows = sum(layer.kind() == "window" for layer in program.layers)
    assert ran.count("QLinearConv") + ran.count("QGemm") == windows
    assert len(expected) >= windows


RANDOM = np.random.default_rng(5)
F32 = np.float32


def drawn(*shape):
    return (RANDOM.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(F32)


def step(operator, *inputs, output="m", **how):
    return onnx.helper.make_node(operator, list(inputs), [output] if isinstance(output, str) else output, **how)


def between(nodes, constants, channels=8, shape=(3, 8, 8), opset=20):
    """A convolution, what follows it from ``a`` to ``m``, another convolution, a mean and a dense end."""
    taps, pads = [3] * (len(shape) - 1), [1] * 2 * (len(shape) - 1)
    held = {"w1": drawn(8, shape[0], *taps), "b1": drawn(8, 1)[:, 0], "w2": drawn(6, channels, *taps)}
    held |= {"w3": drawn(4, 6), "b3": drawn(4, 1)[:, 0], **constants}
    made = [step("Conv", "input", "w1", "b1", output="a", name="one", pads=pads), *nodes]
    made += [step("Conv", "m", "w2", output="c", name="two", pads=pads), step("GlobalAveragePool", "c", output="g")]
    made += [step("Flatten", "g", output="f"), step("Gemm", "f", "w3", "b3", output="y", transB=1, name="end")]
    values = [
        onnx.helper.make_tensor_value_info(name, 1, ["batch", *sizes]) for name, sizes in (("input", shape), ("y", (4,)))
    ]
    tensors = [onnx.numpy_helper.from_array(np.asarray(one), name) for name, one in held.items()]
    graph = onnx.helper.make_graph(made, "between", values[:1], values[1:], tensors)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=9)


def whole(*numbers):
    return np.array(numbers, np.int64)


CASES = {
    "clip": ([step("Clip", "a", "low", "high")], {"low": F32(-0.3), "high": F32(0.5)}),
    "smaller": ([step("Min", "a", "k")], {"k": F32(0.4)}),
    "swish": ([step("HardSwish", "a")], {}),
    "swish in parts": (
        [
            step("Add", "a", "three", output="s"),
            step("Clip", "s", "low", "high", output="t"),
            step("Div", "t", "high", output="u"),
            step("Mul", "a", "u"),
        ],
        {"three": F32(3), "low": F32(0), "high": F32(6)},
    ),
    "slopes": ([step("PRelu", "a", "k")], {"k": np.linspace(0.1, 0.9, 8, dtype=F32).reshape(8, 1, 1)}),
    "gelu": ([step("Gelu", "a")], {}),
    "elu": ([step("Elu", "a", alpha=0.7)], {}),
    "joined": (
        [
            step("Relu", "a", output="r"),
            step("Conv", "a", "k", output="s", pads=[1] * 4, name="k"),
            step("Concat", "r", "s", axis=1),
        ],
        {"k": drawn(8, 8, 3, 3)},
        16,
    ),
    "added": (
        [
            step("Conv", "a", "k", output="s", pads=[1] * 4, name="k"),
            step("Add", "a", "s", output="t"),
            step("Relu", "t"),
        ],
        {"k": drawn(8, 8, 3, 3)},
    ),
    "squeezed and excited": (
        [
            step("Relu", "a", output="r"),
            step("GlobalAveragePool", "r", output="p"),
            step("Conv", "p", "k", output="q", name="k"),
            step("HardSigmoid", "q", output="s", alpha=1 / 6, beta=0.5),
            step("Mul", "r", "s"),
        ],
        {"k": drawn(8, 8, 1, 1)},
    ),
    "larger": (
        [step("Resize", "a", "", "k", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"k": F32([1, 1, 2, 2])},
    ),
    "means": ([step("AveragePool", "a", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)], {}),
    "parts": (
        [
            step("Split", "a", "k", output=["s", "t"], axis=1),
            step("Relu", "s", output="u"),
            step("Concat", "u", "t", axis=1),
        ],
        {"k": whole(4, 4)},
    ),
    "shuffled": (
        [
            step("Reshape", "a", "k", output="s"),
            step("Transpose", "s", output="t", perm=[0, 2, 1, 3, 4]),
            step("Reshape", "t", "l"),
        ],
        {"k": whole(0, 2, 4, 8, 8), "l": whole(0, 8, 8, 8)},
    ),
    "bordered": ([step("Sigmoid", "a", output="s"), step("Pad", "s", "k")], {"k": whole(0, 0, 1, 1, 0, 0, 1, 1)}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("style", "how"),
    [("QDQ", {"per_channel": True}), ("QOperator", {"weight_type": "QUInt8"})],
    ids=["QDQ of a scale a channel", "QOperator of uint8 weights"],
)
def test_operators_between_convolutions(name, style, how, tmp_path):
    nodes, constants, *channels = CASES[name]
    onnx.save(between(nodes, constants, *channels), tmp_path / "float.onnx")
    images = np.random.default_rng(1).normal(size=(100, 3, 8, 8)).astype(F32)
    made = statically(tmp_path / "float.onnx", tmp_path / "made.onnx", images[:40], style, **how)
    _, expected, _ = check_beside_runtime(made, images)
    assert len(expected) >= 3


@pytest.mark.parametrize("how", [{"per_channel": True}, {"weight_type": "QUInt8"}], ids=["a scale a channel", "one scale"])
def test_weights_that_the_file_holds_as_reals(how, tmp_path):
    """QuantizeLinear makes their codes: what NVIDIA's and others' exports have in place of stored codes."""
    onnx.save(between([step("Relu", "a")], {}), tmp_path / "float.onnx")
    images = np.random.default_rng(1).normal(size=(100, 3, 8, 8)).astype(F32)
    made = statically(
        tmp_path / "float.onnx", tmp_path / "made.onnx", images[:40], extra_options={"AddQDQPairToWeight": True}, **how
    )
    weights = [
        node for node in onnx.load(made).graph.node if node.op_type == "QuantizeLinear" and node.input[0] in ("w1", "w2")
    ]
    assert len(weights) == 2
    assert len(check_beside_runtime(made, images)[1]) >= 3


@pytest.mark.parametrize(
    ("weights", "scales", "message"),
    [
        (np.nan, 6, "'w2' holds what is no finite number"),
        (0.1, 5, "scale 'w2_scale' of shape (5,) does not fit axis 0 of (6, 8, 3, 3)"),
        (0.1, 0, "scale 'w2_scale' holds 0"),
    ],
)
def test_weights_as_reals_are_refused_by_name(weights, scales, message, tmp_path):
    onnx.save(between([step("Relu", "a")], {}), tmp_path / "float.onnx")
    images = np.random.default_rng(1).normal(size=(20, 3, 8, 8)).astype(F32)
    ways = {"per_channel": True, "extra_options": {"AddQDQPairToWeight": True}}
    model = onnx.load(statically(tmp_path / "float.onnx", tmp_path / "made.onnx", images, **ways))
    given = {"w2": np.full((6, 8, 3, 3), weights, F32), "w2_scale": np.full(scales or 6, 0.1 if scales else 0, F32)}
    for tensor in model.graph.initializer:
        if tensor.name in given:
            tensor.CopyFrom(onnx.numpy_helper.from_array(given[tensor.name], tensor.name))
    onnx.save(model, tmp_path / "made.onnx")
    with pytest.raises(LoweringError) as refused:
        addersim.load(tmp_path / "made.onnx")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


TRANSPOSED = {
    "one a channel": ({"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, 1, True),
    "one a tensor": ({"strides": [2, 3], "pads": [0, 1, 2, 0]}, 1, False),
    "groups": ({"strides": [2, 1], "dilations": [1, 2], "auto_pad": "SAME_UPPER"}, 2, False),
    "groups of channels": ({"strides": [1, 1], "pads": [1, 1, 1, 1]}, 2, True),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions_are_within_a_code(name, tmp_path):
    """Beside sums in float32, which onnxruntime takes of these: those next to a tie may part, rarely."""
    how, groups, per_channel = TRANSPOSED[name]
    held = {"t": drawn(8, 6 // groups, 3, 3), "u": drawn(6, 1)[:, 0]}
    biased = ["u"] * (groups == 1 or not per_channel)  # with a bias onnxruntime's quantiser fails of scales a channel
    node = step("ConvTranspose", "a", "t", *biased, name="middle", group=groups, **how)
    onnx.save(between([node], held, 6), tmp_path / "float.onnx")
    images = np.random.default_rng(1).normal(size=(100, 3, 8, 8)).astype(F32)
    made = statically(tmp_path / "float.onnx", tmp_path / "made.onnx", images[:40], per_channel=per_channel)
    program = addersim.load(made)
    found = {name: np.moveaxis(run.values, -1, 1) for name, run in program.runs(images) if name != "input"}
    expected, _ = runtime_codes(made, list(found), images)
    apart = {name: np.abs(found[name].astype(int) - codes.astype(int)) for name, codes in expected.items()}
    middle = next(one for name, one in apart.items() if one.shape[1] == 6 and one.shape[2] >= 8)
    assert middle.size >= 100 * 6 * 64
    assert middle.max() <= 1
    assert np.count_nonzero(middle) <= 1e-4 * middle.size


def test_signals(tmp_path):
    onnx.save(between([step("Relu", "a")], {}, shape=(3, 20)), tmp_path / "float.onnx")
    images = np.random.default_rng(1).normal(size=(100, 3, 20)).astype(F32)
    made = statically(tmp_path / "float.onnx", tmp_path / "made.onnx", images[:40])
    assert len(check_beside_runtime(made, images)[1]) >= 3


def test_a_normalisation_of_codes_rounds_its_factor_as_the_runtime_does(tmp_path):
    """Half of these results lie halfway between two codes; the gain over the root, a last bit off, moves 50 of them."""
    gain, variance, epsilon = F32(1.41), F32(2.32), F32(1e-5)
    factor = F32(1) / np.sqrt(variance + epsilon) * gain
    assert factor != gain / np.sqrt(variance + epsilon)
    held = {"one": F32(1), "two": 2 * factor, "zero": np.uint8(0), "mean": F32([0]), "bias": F32([0])}
    held |= {"gain": F32([gain]), "variance": F32([variance])}
    nodes = [
        step("QuantizeLinear", "input", "one", "zero", output="q"),
        step("DequantizeLinear", "q", "one", "zero", output="x"),
        step("BatchNormalization", "x", "gain", "bias", "mean", "variance", output="n", epsilon=float(epsilon)),
        step("QuantizeLinear", "n", "two", "zero", output="codes"),
        step("DequantizeLinear", "codes", "two", "zero", output="y"),
    ]
    values = [onnx.helper.make_tensor_value_info(name, 1, ["batch", 1, 1, 1]) for name in ("input", "y")]
    tensors = [onnx.numpy_helper.from_array(np.asarray(one), name) for name, one in held.items()]
    graph = onnx.helper.make_graph(nodes, "normalised", values[:1], values[1:], tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "made.onnx")
    images = np.arange(256, dtype=F32).reshape(256, 1, 1, 1)
    assert "codes" in check_beside_runtime(tmp_path / "made.onnx", images)[1]
