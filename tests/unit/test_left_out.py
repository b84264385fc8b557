"""What no layer computes is named and not billed; a softmax of the scores at the end is not run by hardware."""

import numpy as np
import pytest

from addersim import count, estimate, load_accelerator, quantize, simulate
from addersim.errors import NetworkError
from addersim.layers import Move, Relu, Softmax, Unknown, Window
from addersim.network import Network


def network(*layers, shape=(2, 4, 4)):
    return Network(name="net", input_shape=shape, mean=(0.0,), std=(1.0,), layers=layers)


def window(name, source, outputs, inputs):
    weights = np.linspace(-1, 1, outputs * inputs, dtype=np.float32).reshape(outputs, inputs, 1, 1)
    return Window(name=name, inputs=(source,), arithmetic="mac", weights=weights)


def with_attention(products=96):
    return network(
        window("first", "input", 3, 2),
        Unknown(name="attention", inputs=("first", "input"), operation="attention", output=(5,), products=products),
        window("last", "attention", 2, 5),
    )


def test_it_is_counted_around_and_told_with_its_share():
    trace = count(quantize(with_attention(), None))
    assert trace.taps == 16 * 6 + 10
    assert {layer.name: layer.left_out for layer in trace.left_out} == {"attention": 96}
    assert str(trace).endswith(f"left out attention, {96 / (96 + 106):.1%} of all products")
    assert trace.to_dict()["left_out"] == {"attention": 96}
    cost = estimate(trace, load_accelerator("systolic-16x16"))
    assert "left out 1 operation without a layer, attention first" in " ".join(str(cost).split())


def test_without_known_products_no_share_is_made_up():
    assert str(count(quantize(with_attention(0), None))).endswith("left out attention")


def test_a_whole_network_says_nothing():
    assert "left out" not in str(count(quantize(network(window("first", "input", 3, 2)), None)))


def test_it_cannot_be_run_or_calibrated(tmp_path):
    with_attention().save(tmp_path / "net.npz")
    images = np.zeros((2, 2, 4, 4), np.uint8)
    for run in (lambda: Network.load(tmp_path / "net.npz").run(images), lambda: quantize(with_attention(), images)):
        with pytest.raises(NetworkError, match="layer attention: attention has no layer; the network can be counted, not run"):
            run()


def scored(*ends):
    return network(window("score", "input", 4, 32), *ends, shape=(32,))


def test_a_softmax_at_the_end_is_dropped_and_changes_no_choice():
    soft = scored(Softmax(name="soft", inputs=("score",)), Softmax(name="again", inputs=("soft",)))
    images = np.random.default_rng(0).integers(0, 255, (40, 32), np.uint8)
    program = quantize(soft, images)
    assert [layer.kind() for layer in program.layers] == ["window", "affine"]
    found = simulate(program, images, network=soft)
    assert np.array_equal(found.predictions, simulate(quantize(scored(), images), images).predictions)
    assert np.allclose(soft.run(images).sum(1), 1)


def test_a_softmax_that_is_read_or_not_of_scores_stays():
    images = np.random.default_rng(0).integers(0, 255, (10, 2, 4, 4), np.uint8)
    kept = network(Softmax(name="soft", inputs=("input",)), Move(name="flat", inputs=("soft",)))
    assert "softmax" in [layer.kind() for layer in quantize(kept, images).layers]
    assert quantize(network(Relu(name="relu", inputs=("input",)), Move(name="flat", inputs=("relu",))), images)


@pytest.mark.parametrize("shape", [(4,), (3, 2, 5)])
def test_a_logarithm_of_softmax_inside_is_done_in_steps(shape):
    inputs = int(np.prod(shape))
    images = np.random.default_rng(0).integers(0, 255, (30, *shape), np.uint8)
    net = network(
        Softmax(name="log", inputs=("input",), log=True),
        Move(name="flat", inputs=("log",)),
        window("last", "flat", 3, inputs),
        shape=shape,
    )
    whole = quantize(net, images)
    assert not {layer.kind() for layer in whole.layers} & {"softmax"}
    found = simulate(whole, images, network=net)
    assert {error.name: error.relative_error < 0.02 for error in found.errors}["log"]
    assert count(quantize(net, None)).taps == inputs * 3


def test_an_onnx_file_with_attention_is_counted_and_named(tmp_path):
    onnx = pytest.importorskip("onnx")
    from addersim.model_zoo import load

    make, sizes = onnx.helper, onnx.numpy_helper.from_array(np.array([0, 4, 36]), "sizes")
    nodes = [
        make.make_node("Conv", ["x", "weights"], ["a"]),
        make.make_node("Reshape", ["a", "sizes"], ["b"]),
        make.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 1]),
        make.make_node("MatMul", ["c", "b"], ["d"], name="product"),
    ]
    ends = [make.make_tensor_value_info(name, 1, shape) for name, shape in (("x", ["n", 3, 8, 8]), ("d", None))]
    weights = onnx.numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "weights")
    graph = make.make_graph(nodes, "g", ends[:1], ends[1:], [weights, sizes])
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), tmp_path / "net.onnx")
    trace = count(quantize(load(tmp_path / "net.onnx", countable=True), None))
    assert trace.taps == 36 * 27 * 4
    assert {layer.name: layer.left_out for layer in trace.left_out} == {"product": 36 * 36 * 4}
