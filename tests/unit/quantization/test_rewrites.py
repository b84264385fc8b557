"""Which affine layers are put in and which are merged, where values have several readers."""

import numpy as np

from addersim.layers import Add, Affine, Relu, Window
from addersim.network import Network
from addersim.quantization.rewrites import SUFFIX, clip_weights, pair_windows


def affine(name, source, multiplier=2.0, addend=1.0):
    return Affine(name=name, inputs=(source,), multiplier=np.array([float(multiplier)]), addend=np.array([float(addend)]))


def network(*layers):
    return Network(name="n", input_shape=(1, 2, 2), mean=(0.0,), std=(1.0,), layers=layers)


def window(arithmetic="mac", weight=3.0, bias=None):
    weights = np.full((1, 1, 1, 1), weight, np.float32)
    return Window(name="w", inputs=("input",), arithmetic=arithmetic, weights=weights, bias=bias)


def names(net):
    return [layer.name for layer in pair_windows(net)[0].layers]


def test_a_window_that_one_affine_alone_reads_keeps_it():
    assert names(network(window(), affine("a", "w"))) == ["w", "a"]
    assert names(network(window())) == ["w", f"w{SUFFIX}"]


def test_a_window_with_other_readers_beside_an_affine_gets_one_of_its_own():
    net = network(window(), affine("a", "w"), Relu(name="r", inputs=("w",)), Add(name="s", inputs=("a", "r")))
    paired, _ = pair_windows(net)
    assert [layer.name for layer in paired.layers] == ["w", f"w{SUFFIX}", "a", "r", "s"]
    assert paired.layers[3].inputs == (f"w{SUFFIX}",)
    image = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2)
    assert np.array_equal(dict(paired.values(image))["s"], dict(net.values(image))["s"])


def test_affines_merge_only_where_nobody_else_reads_between_them():
    assert names(network(affine("a", "input"), affine("b", "a"))) == ["b"]
    net = network(affine("a", "input"), affine("b", "a"), Add(name="s", inputs=("a", "b")))
    assert names(net) == ["a", "b", "s"]
    merged = pair_windows(network(affine("a", "input", 2, 1), affine("b", "a", 3, 5)))[0].layers[0]
    assert (merged.multiplier.tolist(), merged.addend.tolist()) == ([6.0], [8.0])  # 3 (2 x + 1) + 5


def test_a_bias_moves_through_the_multiplier():
    paired, _ = pair_windows(network(window(bias=np.array([7.0], np.float32)), affine("a", "w", 2, 1)))
    assert (paired.layers[0].bias, paired.layers[1].addend.tolist()) == (None, [15.0])  # 2 (sum + 7) + 1


def test_clipping_moves_what_is_lost_into_the_addend_and_touches_adder_layers_alone():
    for weight, clipped in ((9.0, 4.0), (-9.0, -1.0)):
        found = clip_weights(network(window("l1", weight), affine("a", "w", 2, 1)), {"w": (-1.0, 4.0)}).layers
        assert found[0].weights.item() == clipped
        assert found[1].addend.tolist() == [1 - 2 * abs(weight - clipped)]
    for arithmetic in ("l2", "mac"):
        found = clip_weights(network(window(arithmetic, 9.0), affine("a", "w")), {"w": (-1.0, 4.0)}).layers
        assert (found[0].weights.item(), found[1].addend.tolist()) == (9.0, [1.0])
