"""Constants: how they divide, which of them are one a channel, defaults, padding that adds up, and room in memory."""

import numpy as np
import pytest

from addersim import lower_onnx
from addersim.errors import LoweringError
from addersim.frontends import graph
from addersim.frontends.onnx import constants
from addersim.frontends.onnx.file import Node
from addersim.frontends.onnx.folding import fold
from tests.unit.frontends.onnx.models import model, node, saved, weights, whole


@pytest.mark.parametrize(("first", "second", "quotient"), [(7, 2, 3), (-7, 2, -3), (7, -2, -3), (-7, -2, 3), (-6, 2, -3)])
def test_whole_numbers_divide_towards_zero(first, second, quotient):
    found = fold(Node("d", "Div", ("a", "b"), ("c",), {}), [np.array([first]), np.array([second])])
    assert found.tolist() == [quotient]


def test_fractions_divide_as_they_are():
    found = fold(Node("d", "Div", ("a", "b"), ("c",), {}), [np.array([-7.0]), np.array([2.0])])
    assert found.tolist() == [-3.5]


@pytest.mark.parametrize("shape", [(2,), (1, 2), (1, 1, 2), (2, 1)])
def test_two_numbers_along_another_axis_are_not_one_a_channel(tmp_path, shape):
    """As many as channels, but they broadcast along rows or columns, as the proof finds, too."""
    made = whole([node("Add", "x", "c")], {"c": weights(*shape)}, shape=(2, 2, 2))
    made.graph.input[0].CopyFrom(model([node("Relu", "x")], shape=("batch", 2, 2, 2)).graph.input[0])
    network = lower_onnx(saved(tmp_path, made))
    assert "largest difference" in network.metadata["proof"]
    assert network.layers[1].multiplier.size == 2
    assert network.layers[0].kind() == "move"


def test_one_a_channel_of_two_channels_is_taken(tmp_path):
    made = whole([node("Add", "x", "c")], {"c": np.array([1, 2], np.float32).reshape(2, 1, 1)}, shape=(2, 2, 2))
    made.graph.input[0].CopyFrom(model([node("Relu", "x")], shape=("batch", 2, 2, 2)).graph.input[0])
    assert lower_onnx(saved(tmp_path, made)).layers[0].addend.tolist() == [1.0, 2.0]


def test_epsilon_of_batch_norm_is_a_hundred_thousandth_unless_given(tmp_path):
    norm = {name: np.full(3, value, np.float32) for name, value in (("s", 1), ("o", 0), ("m", 0), ("v", 0))}
    for given, epsilon in (({}, 1e-5), ({"epsilon": 0.25}, 0.25)):
        made = whole([node("BatchNormalization", "x", "s", "o", "m", "v", **given)], norm)
        found = lower_onnx(saved(tmp_path, made)).layers[0]
        assert found.multiplier == pytest.approx([epsilon**-0.5] * 3)


def test_two_pads_in_a_row_add_up(tmp_path):
    """A row above and below by each of them, three columns left and right by the second."""
    pads = {name: np.array([0, 0, *one, 0, 0, *one], np.int64) for name, one in (("p", (1, 0)), ("q", (1, 3)))}
    nodes = [node("Pad", "x", "p", name="one"), node("Pad", "one_out", "q", name="two"), node("Conv", "two_out", "w")]
    made = whole(nodes, pads | {"w": weights(4, 3, 3, 3)}, shape=(4, 10, 12))
    found = lower_onnx(saved(tmp_path, made))
    assert found.layers[0].padding == (2, 3)
    assert found.shapes()["conv"] == (4, 10, 12)


def test_weights_of_all_nodes_together_have_one_bound(tmp_path, monkeypatch):
    """Each convolution's weights take 324 bytes: 700 are room for two, and not for three."""

    def chain(number):
        names = ["x", *(f"conv{place}_out" for place in range(number))]
        nodes = [node("Conv", names[place], f"w{place}", name=f"conv{place}", pads=[1, 1, 1, 1]) for place in range(number)]
        kernels = {f"w{place}": weights(3, 3, 3, 3) for place in range(number)}
        return whole([*nodes, node("GlobalAveragePool", names[-1])], kernels, shape=(3, 1, 1))

    monkeypatch.setattr(graph, "MAX_FILE_BYTES", 700)
    lower_onnx(saved(tmp_path, chain(2)))
    with pytest.raises(LoweringError, match=r"Conv at node 'conv2': weights and computed constants take more than 700 bytes"):
        lower_onnx(saved(tmp_path, chain(3)))


def test_a_computed_constant_has_a_bound(monkeypatch):
    monkeypatch.setattr(constants, "MAX_VALUES", 8)
    add = Node("a", "Add", ("a", "b"), ("c",), {})
    assert fold(add, [np.ones((4, 1)), np.ones(2)]).shape == (4, 2)
    with pytest.raises(LoweringError, match=r"node 'a' \(Add\): would compute a constant of 12 values; at most 8 are allowed"):
        fold(add, [np.ones((4, 1)), np.ones(3)])


def test_a_constant_keeps_its_size_where_the_shape_says_zero():
    reshape = Node("r", "Reshape", ("a", "b"), ("c",), {})
    assert fold(reshape, [np.zeros((2, 6)), np.array([0, 3, 2])]).shape == (2, 3, 2)
    assert fold(reshape, [np.zeros((2, 6)), np.array([0, -1])]).shape == (2, 6)


@pytest.mark.parametrize(
    ("attributes", "pads"),
    [
        ({"auto_pad": "VALID", "pads": [1, 1, 1, 1]}, (0, 0)),
        ({"auto_pad": "NOTSET", "pads": [1, 2, 1, 2]}, (1, 2)),
        ({"auto_pad": "SAME_UPPER"}, (1, 1)),
        ({"auto_pad": "SAME_UPPER", "dilations": [2, 3]}, (2, 3)),  # spans of 5 and 7 pixels
    ],
)
def test_padding_of_a_convolution(tmp_path, attributes, pads):
    sizes = [8 + 2 * pad - dilation * 2 for pad, dilation in zip(pads, attributes.get("dilations", (1, 1)), strict=True)]
    made = whole([node("Conv", "x", "w", **attributes)], {"w": weights(4, 3, 3, 3)}, shape=(4, *sizes))
    assert lower_onnx(saved(tmp_path, made)).layers[0].padding == pads


def test_a_norm_has_two_trained_values_a_channel_and_a_factor_none(tmp_path):
    norm = {name: np.full(3, value, np.float32) for name, value in (("s", 1), ("o", 0), ("m", 0), ("v", 1))}
    nodes = [node("BatchNormalization", "x", "s", "o", "m", "v"), node("Mul", "batchnormalization_out", "k")]
    found = lower_onnx(saved(tmp_path, whole(nodes, norm | {"k": np.float32(0.5)})))
    assert [layer.parameters() for layer in found.layers[:2]] == [6, 0]
