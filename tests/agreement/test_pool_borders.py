"""Minus infinity, or less than all values, around what a max pool reads: its padding, exactly, or refused by name."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import addersim
from addersim.errors import LoweringError
from addersim.frontends import rearranging, reductions
from addersim.frontends.graph import Graph
from addersim.frontends.torch.lower import lower
from addersim.layers import MaxPool
from addersim.network import Network
from tests.unit.frontends.onnx.models import node, saved, whole

INFINITE = -float("inf")
LOWEST = float(np.finfo(np.float32).min)
BORDERS = [INFINITE, LOWEST, -65504.0, -1e9]


def drawn(numbers):
    """Sizes, borders in one step or two, and a max pool over them as torch takes it."""
    kernel = [int(one) for one in numbers.integers(1, 5, 2)]
    return {
        "size": [int(one) for one in numbers.integers(3, 9, 2)],
        "pads": [[int(one) for one in numbers.integers(0, 3, 4)] for _ in range(numbers.integers(1, 3))],
        "how": {
            "kernel_size": kernel,
            "stride": [int(one) for one in numbers.integers(1, 4, 2)],
            "padding": [int(numbers.integers(0, one // 2 + 1)) for one in kernel],
            "dilation": [int(one) for one in numbers.integers(1, 3, 2)],
            "ceil_mode": bool(numbers.integers(2)),
        },
    }


def pooled_by_torch(x, pads, how, value):
    for one in pads:
        x = F.pad(x, one, value=value)
    return F.max_pool2d(x, **how)


def pooled_by_layers(x, pads, how, value):
    """What front ends make of it: layers, and their output, channels first."""
    graph = Graph(x.shape[1:])
    flow = graph.image
    for left, right, top, bottom in pads:
        flow = rearranging.pad_with(graph, "pad", flow, ((0, 0), (top, bottom), (left, right)), value)
    names = {"kernel_size": "kernel"}
    fields = {names.get(key, key): tuple(one) if isinstance(one, list) else one for key, one in how.items()}
    layers, _ = graph.finished([reductions.pooled(graph, "pool", MaxPool, flow, **fields)])
    *_, (_, last) = Network.lowered("n", x.shape[1:], layers, None, None, (), {}).values(x)
    return layers, np.moveaxis(last, -1, 1)


@pytest.mark.parametrize("value", [INFINITE, -65504.0])
def test_random_borders_are_the_pools_padding(value):
    numbers, merged, refused = np.random.default_rng(1), 0, 0
    for _ in range(150):
        size, pads, how = drawn(numbers).values()
        x = numbers.standard_normal((2, 3, *size)).astype(np.float32)
        try:
            wanted = pooled_by_torch(torch.from_numpy(x), pads, how, value).numpy()
        except RuntimeError as error:
            assert "too small" in str(error)
            continue
        alone = bool((wanted <= -65504).any())  # a window that meets nothing but the border
        if alone and (value == INFINITE or not np.isfinite(wanted).all()):
            with pytest.raises(LoweringError, match="values with minus infinity around|lets a pooling window miss the image"):
                pooled_by_layers(x, pads, how, value)
            refused += 1
            continue
        layers, found = pooled_by_layers(x, pads, how, value)
        np.testing.assert_array_equal(found, wanted)
        assert alone or [type(one) for one in layers] == [MaxPool]
        merged += not alone
    assert merged > 25
    assert value != INFINITE or refused > 10


class Padded(nn.Module):
    """As cells of NASNet and networks with TensorFlow's SAME padding have it."""

    def __init__(self, value, act=nn.Identity()):  # noqa: B008 - it holds nothing
        super().__init__()
        self.stem, self.act, self.head, self.value = nn.Conv2d(3, 6, 3), act, nn.Linear(6, 4), value

    def forward(self, x):
        y = self.act(F.pad(self.stem(x), (0, 1, 0, 1), value=self.value))
        return self.head(F.max_pool2d(y, 3, 2).mean((2, 3)))


@pytest.mark.parametrize("value", [INFINITE, LOWEST])
def test_a_module_is_lowered_and_quantised_as_one_whose_pool_pads(value):
    network = lower(Padded(value), (3, 10, 10), mean=[0], std=[1])
    assert [one.kind() for one in network.layers].count("affine") == 0
    (pool,) = (one for one in network.layers if isinstance(one, MaxPool))
    assert (pool.padding, pool.far_padding) == ((0, 0), (1, 1))
    images = np.random.default_rng(0).integers(0, 256, (64, 3, 10, 10), dtype=np.uint8)
    program = addersim.quantize(network, images)
    fast, slow = (addersim.simulate(program, images, engine=engine).predictions for engine in ("kernels", "reference"))
    np.testing.assert_array_equal(fast, slow)
    assert (fast == network.run(images).argmax(1)).mean() > 0.9


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Padded(INFINITE, nn.ReLU()), "relu at act .ReLU.: reads 'pad', values with minus infinity around them"),
        (Padded(INFINITE, nn.Conv2d(6, 6, 3)), "conv2d at act .Conv2d.: reads 'pad', values with minus infinity around them"),
        (Padded(float("inf")), "pad at forward, .*: pads with inf; only finite numbers have codes, and minus infinity before"),
        (Padded(float("nan")), "pads with nan; only finite numbers"),
    ],
)
def test_what_else_reads_minus_infinity_is_refused_by_name(module, message):
    with pytest.raises(LoweringError, match=message):
        lower(module, (3, 10, 10))
    lower(module, (3, 10, 10), countable=True)  # which leaves the layer out


def test_what_may_win_and_padded_channels_stay_as_they_are():
    x = np.full((1, 2, 4, 4), -3, np.float32)
    one = {"kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil_mode": False}
    _, found = pooled_by_layers(x, [[0, 1, 0, 1]], one | {"kernel_size": [3, 3]}, -1.0)
    assert (found[:, :, -1] == -1).all()
    graph = Graph((2, 4, 4))
    padded = rearranging.pad_with(graph, "pad", graph.image, ((1, 0), (0, 1), (0, 1)), -65504.0)
    assert reductions.pooled(graph, "pool", MaxPool, padded, kernel=(3, 3), stride=(2, 2), padding=(0, 0)).shape == (3, 2, 2)


@pytest.mark.parametrize("value", BORDERS)
@pytest.mark.parametrize("transposed", [False, True])
def test_onnx(tmp_path, value, transposed):
    held = {"v": np.float32(value), "p": np.array([0, 0, 1, 0, 0, 0, 2, 1], np.int64)}
    nodes = [node("Pad", "x", "p", "v")]
    if transposed:  # as a file from TensorFlow has it
        held["p"] = np.array([0, 1, 0, 0, 0, 2, 1, 0], np.int64)
        nodes = [
            node("Transpose", "x", perm=[0, 2, 3, 1], name="last"),
            node("Pad", "last_out", "p", "v"),
            node("Transpose", "pad_out", perm=[0, 3, 1, 2], name="first"),
        ]
    pool = node("MaxPool", nodes[-1].output[0], kernel_shape=[3, 3], strides=[2, 2], name="pool")
    network = addersim.load(saved(tmp_path, whole([*nodes, pool], held, (3, 5, 4))))
    first = network.layers[0]
    assert isinstance(first, MaxPool)
    assert (first.padding, first.far_padding) == ((1, 0), (2, 1))
    x = np.random.default_rng(2).standard_normal((3, 3, 8, 8)).astype(np.float32)
    wanted = F.max_pool2d(F.pad(torch.from_numpy(x), (0, 1, 1, 2), value=value), 3, 2).numpy()
    found = dict(network.values(x))[first.name]
    np.testing.assert_array_equal(np.moveaxis(found, -1, 1), wanted)
