"""ONNX operators become layers that compute the same; what has no layer, and what is no sound file, is named."""

import os
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from addersim import AddersimError, count, estimate, load_network, lower_onnx, quantize, simulate
from addersim.errors import DataError, LoweringError, NetworkError
from addersim.frontends import pointwise
from addersim.frontends.onnx import evaluator
from addersim.frontends.onnx.operators import OPERATORS as LAYERS
from tests.command_line import refused
from tests.unit.cli.test_cli import document
from tests.unit.frontends.onnx.models import model, node, saved, scores, weights, whole

W, B = weights(4, 3, 3, 3), weights(4)
NORM = {"s": weights(3), "o": weights(3), "m": weights(3), "v": np.abs(weights(3)) + 0.5}
I64 = np.int64


def conv(name="conv", source="x", constants=None, **attributes):
    return node("Conv", source, "w", "b", name=name, **attributes)


def shape_of(*steps, axis=0):
    """A batch size as exporters compute it."""
    return [
        node("Shape", "x"),
        node("Gather", "shape_out", "zero", axis=axis),
        node("Unsqueeze", "gather_out", "first"),
        *steps,
    ]


OPERATORS = {
    "conv with stride, padding, dilation": (
        [conv(strides=[2, 1], pads=[2, 1, 2, 1], dilations=[2, 1])],
        {"w": W, "b": B},
        (4, 4, 8),
    ),
    "conv of groups without bias": (
        [node("Conv", "x", "w", group=3, kernel_shape=[3, 3])],
        {"w": weights(6, 1, 3, 3)},
        (6, 6, 6),
    ),
    "conv, SAME_UPPER": ([conv(auto_pad="SAME_UPPER")], {"w": W, "b": B}, (4, 8, 8)),
    "conv, SAME_LOWER": ([conv(auto_pad="SAME_LOWER", strides=[2, 2])], {"w": W, "b": B}, (4, 4, 4)),
    "conv with far padding that no window reaches": ([conv(pads=[1, 1, 0, 0], strides=[2, 2])], {"w": W, "b": B}, (4, 4, 4)),
    "pad before conv": (
        [node("Pad", "x", "p"), conv(source="pad_out", pads=[0, 1, 0, 1])],
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], I64), "w": W, "b": B},
        (4, 8, 10),
    ),
    "pad before average pooling": (
        [node("Pad", "x", "p"), node("AveragePool", "pad_out", kernel_shape=[2, 2])],
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], I64)},
        (3, 9, 9),
    ),
    "batch norm": ([node("BatchNormalization", "x", "s", "o", "m", "v", epsilon=0.01)], NORM, (3, 8, 8)),
    "relu": ([node("Relu", "x")], {}, (3, 8, 8)),
    "relu6": ([node("Clip", "x", "lo", "hi")], {"lo": np.float32(0), "hi": np.float32(0.5)}, (3, 8, 8)),
    "clip without end": ([node("Clip", "x", "lo")], {"lo": np.float32(0)}, (3, 8, 8)),
    "max pooling": ([node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], {}, (3, 4, 4)),
    "max pooling, rounded up to the same": (
        [node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)],
        {},
        (3, 4, 4),
    ),
    "average pooling with its padding": (
        [node("AveragePool", "x", kernel_shape=[2, 3], pads=[0, 1, 0, 1], count_include_pad=1)],
        {},
        (3, 7, 8),
    ),
    "global average": ([node("GlobalAveragePool", "x")], {}, (3, 1, 1)),
    "global maximum": ([node("GlobalMaxPool", "x")], {}, (3, 1, 1)),
    "mean over the image": ([node("ReduceMean", "x", axes=[-1, 2], keepdims=0)], {}, (3,)),
    "sum of two values": (
        [conv(pads=[1, 1, 1, 1]), node("Relu", "conv_out"), node("Add", "conv_out", "relu_out")],
        {"w": W, "b": B},
        (4, 8, 8),
    ),
    "arithmetic with constants": (
        [
            node("Add", "x", "c"),
            node("Mul", "k", "add_out"),
            node("Sub", "mul_out", "k"),
            node("Sub", "c", "sub_out", name="rsub"),
            node("Div", "rsub_out", "k"),
            node("Neg", "div_out"),
        ],
        {"c": weights(3, 1, 1), "k": np.float32(3)},
        (3, 8, 8),
    ),
    "identity, dropout, cast": (
        [node("Identity", "x"), node("Dropout", "identity_out"), node("Cast", "dropout_out", to=TensorProto.FLOAT)],
        {},
        (3, 8, 8),
    ),
    "weights that are transposed, cast and renamed": (
        [
            node("Flatten", "x"),
            node("Identity", "w", name="same"),
            node("Transpose", "same_out", perm=[1, 0]),
            node("MatMul", "flatten_out", "transpose_out"),
            node("Add", "b", "matmul_out"),
        ],
        {"w": weights(5, 192), "b": weights(5)},
        (5,),
    ),
    "gemm with factors": (
        [node("Flatten", "x"), node("Gemm", "flatten_out", "w", "b", alpha=0.5, beta=2.0)],
        {"w": weights(192, 5), "b": weights(1, 5)},
        (5,),
    ),
    "reshape, squeeze, unsqueeze, transpose": (
        [
            node("GlobalAveragePool", "x"),
            node("Squeeze", "globalaveragepool_out", "hw"),
            node("Unsqueeze", "squeeze_out", "hw"),
            node("Transpose", "unsqueeze_out", perm=[0, 2, 3, 1]),
            node("Reshape", "transpose_out", "to"),
        ],
        {"hw": np.array([2, 3], I64), "to": np.array([0, 3], I64)},
        (3,),
    ),
    "reshape by a computed batch": (
        shape_of(node("Concat", "unsqueeze_out", "rest", axis=0), node("Reshape", "x", "concat_out")),
        {"zero": np.array(0, I64), "first": np.array([0], I64), "rest": np.array([-1], I64)},
        (192,),
    ),
    "reshape by computed sizes": (
        [
            node("Shape", "x"),
            node("Slice", "shape_out", "one", "end"),
            node("Gather", "slice_out", "places"),
            node("Mul", "gather_out", "many"),
            node("Div", "mul_out", "four"),
            node("Cast", "div_out", to=TensorProto.INT64),
            node("Concat", "minus", "cast_out", axis=0),
            node("Reshape", "x", "concat_out"),
        ],
        {
            "one": np.array([1], I64),
            "end": np.array([9], I64),
            "places": np.array([0], I64),
            "many": np.array([256], I64),
            "four": np.array([4], I64),
            "minus": np.array([-1], I64),
        },
        (192,),
    ),
}


@pytest.mark.parametrize("title", OPERATORS)
def test_operators_agree_with_the_reference_evaluator(title, tmp_path):
    nodes, constants, shape = OPERATORS[title]
    made = whole(nodes, constants, shape=shape)
    onnx.checker.check_model(made)
    network = lower_onnx(saved(tmp_path, made))
    x = np.random.default_rng(5).normal(size=(3, 3, 8, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": x})
    assert np.abs(network.run(x) - expected).max() <= 2e-6 * max(1.0, np.abs(expected).max())


def test_valid_is_no_padding(tmp_path):
    made = whole([conv(auto_pad="VALID")], {"w": W, "b": B}, (4, 6, 6))
    network = lower_onnx(saved(tmp_path, made))
    (attribute,) = made.graph.node[0].attribute
    made.graph.node[0].attribute.remove(attribute)  # onnx before 1.23 pads here when it evaluates
    x = np.random.default_rng(5).normal(size=(3, 3, 8, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": x})
    assert np.abs(network.run(x) - expected).max() <= 2e-6 * max(1.0, np.abs(expected).max())


def test_old_opsets_say_with_attributes_what_new_ones_say_with_inputs(tmp_path):
    nodes = [
        node("Clip", "x", min=0.0, max=0.5),
        node("Pad", "clip_out", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
        conv(source="pad_out"),
        node("GlobalAveragePool", "conv_out"),
        node("Squeeze", "globalaveragepool_out", axes=[2, 3]),
        node("Dropout", "squeeze_out", ratio=0.5),
        node("Softmax", "dropout_out"),
    ]
    made = model(nodes, {"w": W, "b": B}, opset=9)
    network = lower_onnx(saved(tmp_path, made))
    x = np.random.default_rng(5).normal(size=(2, 3, 8, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": x})
    assert np.abs(network.run(x) - expected).max() < 1e-6


def test_constants_of_every_kind_and_nodes_in_any_order(tmp_path):
    half = W.astype(np.float16)
    nodes = [
        conv(pads=[1, 1, 1, 1]),
        node("Constant", output="w", value=numpy_helper.from_array(half.astype(np.float32))),
        node("Constant", name="constant_b", output="b", value_floats=B.tolist()),
        node("Relu", "conv_out"),
    ]
    tail, constants = scores("relu_out", (4, 8, 8))
    made = model([*tail, *nodes[::-1]], constants, output="scores_out")
    network = lower_onnx(saved(tmp_path, made))
    assert [layer.name for layer in network.layers] == ["conv", "relu", "scores.input", "scores"]
    other = whole([conv(pads=[1, 1, 1, 1]), node("Relu", "conv_out")], {"w": half, "b": B}, shape=(4, 8, 8))
    x = np.random.default_rng(5).normal(size=(2, 3, 8, 8)).astype(np.float32)
    assert network.run(x).shape == lower_onnx(saved(tmp_path, other)).run(x).shape == (2, 3)


def test_weights_in_a_file_beside_the_model(tmp_path):
    made = whole([conv()], {"w": W, "b": B}, shape=(4, 6, 6))
    expected = lower_onnx(saved(tmp_path, made, "one.onnx"))
    path = saved(tmp_path, made, "two.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    x = np.random.default_rng(5).normal(size=(2, 3, 8, 8)).astype(np.float32)
    assert np.array_equal(lower_onnx(path).run(x), expected.run(x))
    (tmp_path / "weights.bin").write_bytes(b"12")
    with pytest.raises(LoweringError, match=r"initialiser 'w': external data 'weights.bin' end after 2 of 432 bytes"):
        lower_onnx(path)


def test_weights_that_are_not_there_make_a_network_that_is_counted_and_not_run(tmp_path):
    made = whole([conv(pads=[1, 1, 1, 1])], {"w": W, "b": B}, shape=(4, 8, 8))
    expected = count(quantize(lower_onnx(saved(tmp_path, made, "one.onnx")), None))
    path = saved(tmp_path, made, "two.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    network = lower_onnx(path)
    network.save(tmp_path / "net.npz")
    for one in (network, load_network(tmp_path / "net.npz")):
        assert one.metadata["weights"] == "missing"
        assert one.layers[0].weights.shape == W.shape
        assert one.layers[0].weights.strides == (0, 0, 0, 0)  # no memory
        assert count(quantize(one, None)).taps == expected.taps
        with pytest.raises(
            NetworkError, match=r"network two: its weights are missing; it can be counted and priced, not run$"
        ):
            one.run(np.zeros((1, 3, 8, 8), np.uint8))
    assert document("count", path)["taps"] == expected.taps


def test_sizes_that_are_not_there_are_not_made_up(tmp_path):
    made = whole([node("Reshape", "x", "to")], {"to": np.array([0, 192], I64)}, shape=(192,))
    path = saved(tmp_path, made, save_as_external_data=True, location="sizes.bin", size_threshold=0)
    (tmp_path / "sizes.bin").unlink()
    with pytest.raises(LoweringError, match=r"external data 'sizes.bin': no such file in the model's folder"):
        lower_onnx(path)


def test_everything_without_a_layer_is_told_at_once_and_can_be_counted_around(tmp_path):
    nodes = [node("Hardmax", "x"), conv(source="hardmax_out", pads=[1, 1, 1, 1]), node("Mod", "conv_out", "conv_out", fmod=1)]
    path = saved(tmp_path, whole(nodes, {"w": W, "b": B}, shape=(4, 8, 8)))
    with pytest.raises(
        LoweringError, match=r"2 operations have no layer: Hardmax at node 'hardmax': .*; Mod at node 'mod': has no"
    ):
        lower_onnx(path)
    network = lower_onnx(path, countable=True)
    assert network.metadata["proof"] == "not checked"
    assert [layer.kind() for layer in network.layers].count("unknown") == 2
    assert count(quantize(network, None)).taps == 64 * 27 * 4 + 256 * 3


def test_a_network_is_proved_beside_its_file(tmp_path, monkeypatch):
    nodes = [conv(pads=[1, 1, 1, 1]), node("LeakyRelu", "conv_out", alpha=0.25), node("Clip", "leakyrelu_out", "", "hi")]
    path = saved(tmp_path, whole(nodes, {"w": W, "b": B, "hi": np.float32(1.5)}, shape=(4, 8, 8)))
    assert re.match(r"largest difference \S+ of the largest value, 3 images, beside onnx", lower_onnx(path).metadata["proof"])
    assert lower_onnx(path, check=False).metadata["proof"] == "not checked"
    clip = pointwise.clip
    monkeypatch.setattr(pointwise, "clip", lambda graph, name, flow, low, high: clip(graph, name, flow, low, high - 0.5))
    with pytest.raises(
        LoweringError, match=r"differs from the file: .*; the first layer that differs is 'clip', for 'clip_out'"
    ):
        lower_onnx(path)


def test_what_the_evaluator_cannot_run_is_said_and_not_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, whole([node("QuickGelu", "x", domain="com.microsoft")], domains=("com.microsoft",)))
    with monkeypatch.context() as without:
        without.setattr(evaluator, "has_runtime", lambda: False)  # onnxruntime runs it
        assert re.match(r"not checked: the evaluator ", lower_onnx(path).metadata["proof"])
    path = saved(tmp_path, whole([node("Log", "x")]))
    assert "NaN or infinite values for made-up images; give images" in lower_onnx(path).metadata["proof"]
    images = np.random.default_rng(1).random((3, 3, 8, 8), np.float32) + 0.5
    assert "largest difference" in lower_onnx(path, images=images).metadata["proof"]


@pytest.mark.parametrize("batch", ["batch", 1, 3])
def test_images_with_channels_last_are_given_so_or_where_asked_with_channels_first(batch, tmp_path):
    nodes = [node("Sub", "x", "mean"), node("Transpose", "sub_out", perm=[0, 3, 1, 2]), conv(source="transpose_out")]
    made = whole(
        nodes,
        {"mean": weights(3), "w": W, "b": B},
        shape=(4, 4, 6),
    )
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 6, 8, 3]))
    network = lower_onnx(saved(tmp_path, made), channels_first=True)
    assert network.input_shape == (3, 6, 8)
    assert network.metadata["layout"].startswith("the file takes images height x width x channels")
    x = np.random.default_rng(5).normal(size=(3, 3, 6, 8)).astype(np.float32)
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 6, 8, 3]))
    (expected,) = ReferenceEvaluator(made).run(None, {"x": np.ascontiguousarray(x.transpose(0, 2, 3, 1))})
    assert np.abs(network.run(x) - expected).max() < 1e-5
    as_it_is = lower_onnx(saved(tmp_path, made))
    assert as_it_is.input_shape == (6, 8, 3)
    assert "layout" not in as_it_is.metadata
    assert np.abs(as_it_is.run(np.ascontiguousarray(x.transpose(0, 2, 3, 1))) - expected).max() < 1e-5
    with pytest.raises(DataError, match=r"expected \(images, 6, 8, 3\); the network takes channels last: .*channels_first"):
        as_it_is.run(x)


@pytest.mark.parametrize("shape", [(16,), (4, 9)])
def test_features_and_signals(shape, tmp_path):
    nodes = [node("Gemm" if len(shape) == 1 else "Conv", "x", "w", name="first"), node("Relu", "first_out")]
    kernel = weights(16, 5) if len(shape) == 1 else weights(5, 4, 3)
    made = whole(nodes, {"w": kernel}, shape=(5,) if len(shape) == 1 else (5, 7))
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape]))
    network = lower_onnx(saved(tmp_path, made))
    assert network.input_shape == shape
    assert "largest difference" in network.metadata["proof"]


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link.bin", ""])
def test_data_outside_the_models_folder_are_not_read(location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    made = whole([conv()], {"w": W, "b": B}, shape=(4, 6, 6))
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    (folder / "net.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(LoweringError, match="lie outside the model's folder, and are not read"):
        lower_onnx(folder / "net.onnx")


def changed(made, change):
    change(made)
    return made


def cyclic():
    nodes = [node("Add", "x", "relu_out", name="plus"), node("Relu", "plus_out"), node("Flatten", "relu_out")]
    return model(nodes)


def small(**attributes):
    return whole([conv(**attributes)], {"w": W, "b": B}, shape=(4, 6, 6))


PADS = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], I64)}
REFUSED = [
    (cyclic, r"node 'plus' \(Add\): the graph is cyclic, 'relu_out' depends on itself"),
    (lambda: model([node("Add", "add_out", "x")]), r"node 'add' \(Add\): the graph is cyclic"),
    (
        lambda: whole([node("Hardmax", "x")]),
        r"1 operation has no layer: Hardmax at node 'hardmax': has no layer\. With countable",
    ),
    (
        lambda: whole([node("Relu", "x", domain="com.microsoft")]),
        r"com.microsoft.Relu at node 'relu': has no layer; what is behind it was not looked at, for the shape .* is not known",
    ),
    (
        lambda: whole([node("Hardmax", "x"), node("Det", "hardmax_out"), node("Hardmax", "hardmax_out", name="two")]),
        r"Hardmax at node 'hardmax' and 1 more: has no layer",
    ),
    (lambda: model([node("Flatten", "gone")]), r"node 'flatten' .* reads 'gone', which no node, input or initialiser gives"),
    (
        lambda: model([node("Flatten", "x"), node("Relu", "x", output="flatten_out")]),
        r"writes 'flatten_out', which something else gives, too",
    ),
    (lambda: model([node("Flatten", "x")], output="y"), r"output 'y' of the graph: no node gives it"),
    (lambda: model([node("Flatten", "x")], shape=("b", 3, "h", 8)), r"input 'x' is batch x 3 x \? x 8; give input_shape"),
    (
        lambda: model([node("Flatten", "x")], shape=("b", 3, 4, 4, 4)),
        r"input 'x' has shape \? x 3 x 4 x 4 x 4; expected batch x channels x height x width",
    ),
    (
        lambda: model([node("Flatten", "x")], kind=TensorProto.UINT8),
        r"input 'x' is of type UINT8; expected DOUBLE, FLOAT, FLOAT16",
    ),
    (lambda: model([node("Flatten", "x")], opset=6), r"opset 6; at least 7 is needed"),
    (
        lambda: whole([node("Relu", "x")], {"k": weights(3)}, shape=(3, 8, 8), output="k"),
        r"output 'k' of the graph: no node gives it",
    ),
    (lambda: whole([node("If", "x", then_branch=model([node("Relu", "x")]).graph)]), r"If at node 'if': has no layer"),
    (lambda: small(pads=[0, 0, -1, 1]), r"attribute pads: \(0, 0, -1, 1\); expected 4 whole numbers of at least 0"),
    (lambda: small(strides=[0, 1]), r"attribute strides: \(0, 1\); expected 2 whole numbers of at least 1"),
    (lambda: small(strides=2), r"attribute strides: 2 is not of the kind of \(1, 1\)"),
    (lambda: small(kernel_shape=[5, 5]), r"attribute kernel_shape: \(5, 5\); the weights have \(3, 3\)"),
    (lambda: small(auto_pad="SAME"), r"attribute auto_pad: 'SAME' is not one of NOTSET, VALID"),
    (lambda: small(group=2), r"Conv at node 'conv': weights expect 6 input channels, the input \(3, 8, 8\) has 3"),
    (lambda: small(colour=1), r"attribute colour is not known; known: auto_pad, dilations"),
    (lambda: whole([node("Conv", "x", "x")]), r"Conv at node 'conv': weights is computed from the image; only constants"),
    (lambda: whole([node("Conv", "x", "w")], {"w": weights(4, 3)}), r"weights of shape \(4, 3\); expected one or two"),
    (
        lambda: whole([node("Conv", "x", "w")], {"w": weights(4, 3, 3)}),
        r"a window of 1 axes over a value of shape \(3, 8, 8\)",
    ),
    (lambda: whole([node("Conv", "x", "w")], {"w": np.full((4, 3, 1, 1), np.nan, np.float32)}), r"weights holds 12 NaN"),
    (
        lambda: whole([node("MaxPool", "x", kernel_shape=[2, 2], output=["a", "indices"]), node("Add", "a", "indices")]),
        r"2 operations have no layer: MaxPool at node 'maxpool': its output 'indices' is not supported",
    ),
    (lambda: whole([node("Pad", "x", "p", mode="mirror")], PADS), r"attribute mode: 'mirror' is not one of constant, reflect"),
    (
        lambda: whole([node("Pad", "x", "p")], {"p": np.array([1, *[0] * 7], I64)}),
        r"pads \(1, 0, 0, 0, 0, 0, 0, 0\) add images or take some away",
    ),
    (lambda: whole([node("MatMul", "x", "x")]), r"MatMul at node 'matmul': a product of two matrices that both depend"),
    (lambda: whole([node("Div", "x", "k")], {"k": np.float32(0)}), r"Div at node 'div': division by zero"),
    (
        lambda: whole([node("Add", "x", "k")], {"k": weights(2, 3, 8, 8)}),
        r"a constant of shape \(2, 3, 8, 8\) differs from image",
    ),
    (lambda: whole([node("Transpose", "x", perm=[1, 0, 2, 3])]), r"perm \(1, 0, 2, 3\) moves the images' axis"),
    (lambda: whole([node("Softmax", "x", axis=0)]), r"Softmax at node 'softmax': works along the images' axis"),
    (
        lambda: whole([node("ReduceMean", "x")]),
        r"ReduceMean at node 'reducemean': works over all axes, the images' among them",
    ),
    (
        lambda: whole([node("Flatten", "x", axis=2)]),
        r"attribute axis: 2 mixes images with other axes; 1 keeps the images apart",
    ),
    (
        lambda: whole([node("Cast", "x", to=TensorProto.INT64)]),
        r"Cast at node 'cast': to type 7; values that depend on the image",
    ),
    (lambda: whole([node("Resize", "x", "", "s", mode="cubic")], {"s": np.ones(4, np.float32)}), r"attribute mode: 'cubic'"),
    (
        lambda: whole([node("Add", "x", "k")], {"k": np.ones(3, np.int8)}),
        r"initialiser 'k' of type INT8, and no operator that says what its codes stand for; give the float",
    ),
    (
        lambda: whole([node("Reshape", "x", "to")], {"to": np.array([64, 3], I64)}),
        r"to \[64, 3\] is not supported; the first size must be the number of images",
    ),
    (lambda: whole([node("Reshape", "x", "to")], {"to": np.array([0, 5], I64)}), r"cannot give \(3, 8, 8\) the shape \(5,\)"),
    (lambda: whole([node("Dropout", "x", "r", "t")], {"r": np.float32(0.5), "t": np.array(True)}), r"training_mode is true"),
    (
        lambda: whole([node("BatchNormalization", "x", *"somv", training_mode=1)], NORM),
        r"attribute training_mode: 1 is not supported; only 0",
    ),
    (lambda: whole([node("Concat", "x", "x", axis=0)]), r"Concat at node 'concat': works along the images' axis"),
    (
        lambda: model([node("Gather", "k", "i"), node("Flatten", "gather_out")], {"k": weights(3), "i": np.array([9], I64)}),
        r"cannot be computed from constants of shapes \[\(3,\), \(1,\)\]",
    ),
    (
        lambda: model([node("ConstantOfShape", "k"), node("Flatten", "constantofshape_out")], {"k": np.array([1 << 40], I64)}),
        r"would compute a constant of 1,099,511,627,776 values",
    ),
    (
        lambda: model([node("Flatten", "k")], {"k": weights(2, 2)}),
        r"Flatten at node 'flatten': is computed from constants, which is not supported",
    ),
    (
        lambda: changed(small(), lambda made: made.graph.initializer[0].dims.__setitem__(0, 5)),
        r"initialiser 'w': holds another number of values than its sizes",
    ),
    (
        lambda: changed(small(), lambda made: made.graph.initializer[0].dims.__setitem__(0, 1 << 50)),
        r"initialiser 'w': sizes .* at most 2,147,483,648 bytes",
    ),
    (
        lambda: changed(small(), lambda made: setattr(made.graph.initializer[0], "data_type", TensorProto.STRING)),
        r"initialiser 'w': is of type STRING",
    ),
    (
        lambda: changed(small(), lambda made: made.graph.output.add(name="conv_out")),
        r"the output 'conv' is read by other layers too, or given by none; return only what nothing else reads",
    ),
    (
        lambda: changed(small(), lambda made: made.graph.input.add(name="y")),
        r"the graph has 2 inputs \(x, y\); a network takes one",
    ),
    (lambda: changed(small(), lambda made: made.ClearField("graph")), r"holds no graph with nodes"),
]


def test_an_empty_file_is_called_empty(tmp_path):
    path = tmp_path / "net.onnx"
    path.touch()
    with pytest.raises(LoweringError, match=r"^\S*net\.onnx: the file is empty \(0 bytes\); write or copy it once more$"):
        lower_onnx(path)


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_has_no_layer_names_the_node(make, message, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(LoweringError, match=message) as caught:
        lower_onnx(path)
    assert "\n" not in str(caught.value)


def test_control_characters_in_names_reach_no_message(tmp_path):
    made = whole([node("Relu\n\x1b[2J", "x", name="bad\r\nname")])
    with pytest.raises(LoweringError, match=r"Relu\\n\\x1b\[2J at node .*: has no layer") as caught:
        lower_onnx(saved(tmp_path, made))
    assert str(caught.value).isprintable()


def test_names_that_are_no_text(tmp_path):
    path = tmp_path / "net.onnx"
    sound = whole([node("Relu", "x", name="good", colour=1)], shape=(3, 8, 8)).SerializeToString()
    path.write_bytes(sound.replace(b"good", b"g\xff\xfed"))
    with pytest.raises(LoweringError, match=r"Relu at node 'g.*xff.*': attribute colour is not known"):
        lower_onnx(path)


def backbone(heads=1):
    """Two convolutions, the second once for each head, without a classifier."""
    ends = [node("Conv", "conv_out", f"w{head}", name=f"head{head}") for head in range(heads)]
    constants = {f"w{head}": weights(4, 5, 1, 1) for head in range(heads)} | {"w": weights(5, 3, 3, 3)}
    made = model([node("Conv", "x", "w", name="conv"), *ends], constants, output="head0_out")
    made.graph.output.extend(onnx.helper.make_empty_tensor_value_info(f"head{head}_out") for head in range(1, heads))
    return made


@pytest.mark.parametrize("heads", [1, 3])
def test_a_backbone_is_counted_and_priced_but_not_simulated(heads, tmp_path):
    network = lower_onnx(saved(tmp_path, backbone(heads)))
    images = np.zeros((2, 3, 8, 8), np.uint8)
    trace = count(quantize(network, None))
    assert trace.taps == 36 * 27 * 5 + heads * 36 * 5 * 4
    cost = estimate(trace, "systolic-16x16")
    stored = {layer.name: layer.words("dram", "output") for layer in cost.layers if layer.words("dram", "output")}
    assert stored == {f"head{head}.requantize": 36 * 4 for head in range(heads)}  # features leave the chip, and nothing else
    assert {layer.output.bits for layer in trace.layers if layer.name in stored} == {8}  # as activations, not as scores
    found = r"its output has shape \(4, 6, 6\)" if heads == 1 else r"it has 3 outputs \(head0.*, head1.*, head2.*\)"
    message = found + r"; scores have shape \(classes,\): a network without them can be counted and priced, not simulated$"
    for run in (lambda: network.run(images), lambda: simulate(quantize(network, images), images)):
        with pytest.raises(NetworkError, match=message):
            run()


def test_the_command_line_prices_a_backbone_and_does_not_simulate_it(tmp_path):
    path = saved(tmp_path, backbone())
    assert document("count", path)["network"] == "net"
    energy_pj = document("estimate", path)["energy_pj"]
    assert document("compare", path)["results"][0]["cost"]["energy_pj"] == energy_pj
    assert refused("simulate", path).startswith("network net: its output has shape (4, 6, 6); scores have shape (classes,)")


def test_constants_that_double_at_each_node_end_before_memory_does(tmp_path):
    nodes = [node("Concat", "k", "k", name="c0", axis=0)]
    nodes += [node("Concat", f"c{i}_out", f"c{i}_out", name=f"c{i + 1}", axis=0) for i in range(40)]
    made = model([*nodes, node("Flatten", "c40_out")], {"k": weights(1024)})
    with pytest.raises(LoweringError, match=r"node 'c14' \(Concat\): would compute a constant of 33,554,432 values"):
        lower_onnx(saved(tmp_path, made))


def test_open_sizes_are_given(tmp_path):
    made = model(
        [conv(pads=[1, 1, 1, 1]), node("GlobalAveragePool", "conv_out"), node("Flatten", "globalaveragepool_out")],
        {"w": W, "b": B},
        shape=("b", 3, "h", "w_"),
    )
    path = saved(tmp_path, made)
    assert lower_onnx(path, (3, 10, 12)).input_shape == (3, 10, 12)
    with pytest.raises(LoweringError, match=r"input_shape \(1, 10, 12\); the file says batch x 3 x \? x \?"):
        lower_onnx(path, (1, 10, 12))


def test_the_command_line_takes_onnx_files(tmp_path):
    path = saved(tmp_path, whole([conv(), node("Relu", "conv_out")], {"w": W, "b": B}, shape=(4, 6, 6)))
    lowered = document("lower", path, "-o", tmp_path / "net.npz", "--name", "mine")
    assert [lowered["network"], lowered["input_shape"]] == ["mine", [3, 8, 8]]
    taps = 36 * 27 * 4 + 144 * 3
    assert document("count", path)["taps"] == document("count", tmp_path / "net.npz")["taps"] == taps
    assert document("estimate", path)["cycles"] > 0
    assert load_network(path).name == "net"
    assert document("check", path)[0]["holds"] == "network"
    assert "--weights and --adder are for torch networks" in refused(
        "lower", path, "-o", tmp_path / "x.npz", "--weights", "w.pth"
    )
    assert not (tmp_path / "x.npz").exists()
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    assert "bad.onnx: not an ONNX model, truncated or altered: " in refused("count", tmp_path / "bad.onnx")
    found = refused("count", tmp_path / "nett.onnx")
    assert "nett.onnx: cannot be read: No such file or directory; did you mean " in found


def test_without_the_package_one_line_says_how_to_get_it(tmp_path):
    code = f"import sys; sys.modules['onnx'] = None; import addersim; addersim.lower_onnx({str(tmp_path / 'net.onnx')!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert found.stderr.splitlines()[-1].endswith("reading ONNX needs onnx; install it with: pip install 'addersim[onnx]'")


SOUND = whole(
    [conv(pads=[1, 1, 1, 1]), node("Relu", "conv_out"), node("Reshape", "relu_out", "to")],
    {"w": W, "b": B, "to": np.array([0, 256], I64)},
    shape=(256,),
).SerializeToString()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(0, 8), st.binary(max_size=8))
def test_garbled_models_give_a_network_or_one_line(tmp_path_factory, place, length, content):
    path = tmp_path_factory.getbasetemp() / "garbled.onnx"
    path.write_bytes(SOUND[:place] + content + SOUND[place + length :])
    try:
        lower_onnx(path)
    except AddersimError as error:
        assert "\n" not in str(error)


PLAIN = st.one_of(
    st.integers(-5, 1 << 40), st.floats(allow_nan=True), st.text(max_size=5), st.lists(st.integers(-3, 9), max_size=5)
)
NAMES = st.sampled_from(
    ["pads", "strides", "axis", "axes", "perm", "group", "kernel_shape", "to", "mode", "keepdims", "ceil_mode", "value_ints"]
)
READS = st.lists(st.sampled_from(["x", "w", "b", "k", "one_out", ""]), max_size=4)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(LAYERS)),
    READS,
    st.dictionaries(NAMES, PLAIN, max_size=3),
)
def test_any_attributes_and_inputs_give_a_network_or_one_line(tmp_path_factory, operator, reads, attributes):
    try:
        first = helper.make_node("Relu", ["x"], ["one_out"], name="one")
        second = helper.make_node(
            operator.rpartition(".")[2], reads, ["y"], name="two", domain=operator.rpartition(".")[0], **attributes
        )
        made = model([first, second], {"w": W, "b": B, "k": np.array([0, -1], I64)}, output="y")
    except (ValueError, TypeError):  # an empty list has no type that onnx could write
        return
    path = saved(tmp_path_factory.getbasetemp(), made, "any.onnx")
    try:
        lower_onnx(path)
    except AddersimError as error:
        assert "\n" not in str(error)


def test_a_bound_as_large_as_the_type_holds_is_none(tmp_path):
    ends = {"low": np.array(0, np.float32), "high": np.array(np.finfo(np.float32).max)}
    network = lower_onnx(saved(tmp_path, whole([node("Clip", "x", "low", "high")], ends)))
    assert [layer.maximum for layer in network.layers if layer.kind() == "relu"] == [None]


@pytest.mark.parametrize("groups", [0, -1, 2])
def test_groups_of_a_norm_that_do_not_divide_the_channels_are_refused(groups, tmp_path):
    made = whole([node("GroupNormalization", "x", "g", "g", num_groups=groups)], {"g": np.ones(3, np.float32)}, opset=21)
    with pytest.raises(LoweringError, match=rf"num_groups {groups} for 3 channels; expected a number that divides them"):
        lower_onnx(saved(tmp_path, made))


@pytest.mark.parametrize("ways", [{}, {"coordinate_transformation_mode": "align_corners"}])
@pytest.mark.parametrize("size", [(8, 14), (5, 3), (1, 10), (16, 15)])
def test_linear_resizing_is_proved_beside_what_torch_computes(size, ways):
    """onnx's own evaluator misses where rounding puts a place just below a value, such as 7.0 of 10 values made 14."""
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).standard_normal((2, 4, 8, 10), np.float32)
    made = model([node("Resize", "x", "", "", "s", mode="linear", **ways)], {"s": np.array((2, 4, *size))})
    (found,) = ReferenceEvaluator(made, new_ops=evaluator.definitions(17)).run(None, {"x": images})
    wanted = torch.nn.functional.interpolate(torch.from_numpy(images), size, mode="bilinear", align_corners=bool(ways))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
