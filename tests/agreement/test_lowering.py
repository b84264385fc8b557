"""Lowering agrees with torch, and says what it does not know."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from addersim import count, quantize
from addersim.errors import LoweringError, NetworkError
from addersim.frontends.proof import PROOF
from addersim.frontends.torch.lower import lower
from addersim.train.models import ARCHITECTURES, build
from tests.properties.torch_modules import agrees_in_double
from tests.taps import TAPS


class adder2d(nn.Module):  # the official code's name, which is what is recognised
    """The layout of the official AdderNet layer, forward written from its formula; groups and dilation do not exist there."""

    def __init__(self, inputs, outputs, kernel_size, stride=1, padding=0, bias=False):
        super().__init__()
        self.stride, self.padding, self.kernel_size = stride, padding, kernel_size
        self.adder = nn.Parameter(torch.randn(outputs, inputs, kernel_size, kernel_size))
        self.b = nn.Parameter(torch.randn(outputs)) if bias else None

    def forward(self, x):
        columns = F.unfold(x, self.kernel_size, padding=self.padding, stride=self.stride)
        sums = -(columns[:, None] - self.adder.flatten(1)[None, :, :, None]).abs().sum(2)
        size = (x.size(2) + 2 * self.padding - self.kernel_size) // self.stride + 1
        sums = sums.view(x.size(0), -1, size, size)
        return sums if self.b is None else sums + self.b.view(1, -1, 1, 1)


class Official(nn.Module):
    """A residual network in the style of the released code: batch norm after every adder layer, view at the end."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Sequential(adder2d(8, 8, 3, 1, 1, bias=True), nn.BatchNorm2d(8))
        self.downsample = nn.Sequential(adder2d(8, 12, 1, 2), nn.BatchNorm2d(12))
        self.main = nn.Sequential(adder2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12))
        self.avgpool = nn.AvgPool2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Conv2d(12, 10, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        residual = x
        x = self.body(x)
        x += residual
        x = self.relu(x)
        x = F.relu(self.main(x) + self.downsample(x))
        x = self.drop(self.avgpool(x))
        x = self.bn2(self.fc(x))
        return x.view(x.size(0), -1)


class Functional(nn.Module):
    """Functional forms, scalars in forward, grouped and dilated windows, several ways to flatten."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.grouped = nn.Conv2d(6, 9, 3, padding=2, dilation=2, groups=3, bias=False)
        self.bn = nn.BatchNorm2d(9, affine=False)
        self.skip = nn.Identity()
        self.hidden = nn.Linear(9 * 16, 11)
        self.bn1d = nn.BatchNorm1d(11)
        self.out = nn.Linear(11, 10, bias=False)

    def forward(self, x):
        x = (x - 0.5) / 4
        x = 2 * F.relu(self.first(x + 10)) - 1
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        x = F.avg_pool2d(self.bn(self.grouped(F.max_pool2d(x, 1))), 2, stride=1, padding=1, count_include_pad=True)
        x = F.max_pool2d(x, 2, 1)
        x = F.dropout(self.skip(x), 0.3, self.training)
        x = torch.flatten(x, 1)
        x = 1 - torch.relu(self.bn1d(self.hidden(x)))
        return F.log_softmax(self.out(-x), dim=1)


def settled(module, shape, seed=0, rounds=12):
    """The module with batch-norm statistics of its own, as after training."""
    torch.manual_seed(seed)
    module.train()
    with torch.no_grad():
        for _ in range(rounds):
            module(torch.rand(8, *shape))
    return module.eval()


def agree(module, shape, images=6):
    """In float32, or, where that rounds too coarsely, in float64: here, or in the proof of `lower`, which says so."""
    x = torch.rand(images, *shape)
    with torch.no_grad():
        expected = module(x)
    network = lower(module, shape)
    if network.metadata[PROOF].startswith("float32 rounds too coarsely here"):
        return
    found = torch.from_numpy(network.run(x.numpy()))
    near = (found - expected).abs().max() <= 1e-4 * max(1.0, float(expected.abs().max()))
    assert near or agrees_in_double(module, network, x)


def test_a_network_of_the_official_code_comes_unchanged():
    torch.manual_seed(0)
    module = settled(Official(), (3, 8, 8))
    agree(module, (3, 8, 8))
    network = lower(module, (3, 8, 8))
    lanes = [layer.arithmetic for layer in network.layers if layer.kind() == "window"]
    assert lanes == ["mac", "l1", "l1", "l1", "mac"]


def test_functional_forms_and_scalars():
    torch.manual_seed(0)
    agree(settled(Functional(), (3, 16, 16)), (3, 16, 16))


SLOW_TO_RUN = ("resnet18", "resnet50", "vgg")
QUICK = tuple(
    f"{family}-cifar-adder"
    for family in ("mobilenetv2-x0.35", "mobilenetv3-small-x0.5", "shufflenetv2-x0.5", "squeezenet1.1", "ghostnet")
)


WHOLE, PARTS = ("-adder", "-conv"), ("lenet5-", "resnet20-", "mobilenetv2-x0.35-cifar-")
CHOSEN = [name for name in ARCHITECTURES if name.endswith(WHOLE) or name.startswith(PARTS)]
"""Every network with adder and multiplying layers, and a few with every other arithmetic."""


def by_speed(names):
    """The networks of the AdderNet paper, and one of each kind of block with adder layers; the others are slow."""

    def is_quick(name):
        ours = name.endswith(WHOLE) and ARCHITECTURES[name].smallest is None
        return ours or name in QUICK or name.startswith("lenet5-")

    return [pytest.param(name, marks=[] if is_quick(name) else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", by_speed([name for name in CHOSEN if not name.startswith(SLOW_TO_RUN)]))
def test_our_architectures_agree_with_torch(name):
    shape = ARCHITECTURES[name].input_shape
    agree(settled(build(name, seed=1), shape, rounds=2), shape, images=2)


@pytest.mark.parametrize("name", by_speed(CHOSEN))
def test_every_architecture_lowers_and_counts_its_published_taps(name):
    network = lower(build(name, seed=0), ARCHITECTURES[name].input_shape, name=name, check=False)
    trace = count(quantize(network, None))
    family, _, arithmetic = name.rpartition("-")
    if arithmetic == "shiftadd":  # two layers for one
        first = (layer for layer in trace.layers if layer.datapath in ("shift", "mac"))
        assert sum(layer.work.taps for layer in first) == TAPS[family]
    else:
        assert trace.taps == TAPS[family]


def test_lowering_changes_nothing_in_the_module():
    module = settled(Official(), (3, 8, 8)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    lower(module, (3, 8, 8))
    assert module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_lowered_arrays_are_copies():
    module = settled(Official(), (3, 8, 8))
    network = lower(module, (3, 8, 8))
    x = torch.rand(2, 3, 8, 8).numpy()
    before = network.run(x)
    with torch.no_grad():
        module.conv1.weight.zero_()
    assert np.array_equal(network.run(x), before)


class Backbone(nn.Module):
    """Two convolutions, what they give by a function of both, and a layer whose values nobody gets."""

    def __init__(self, returned):
        super().__init__()
        self.first, self.second, self.unused = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 5, 3), nn.Conv2d(3, 6, 3)
        self.returned = returned

    def forward(self, x):
        first, second = self.first(x), self.second(x)
        self.unused(x)
        return self.returned(first, second)


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (lambda first, second: first, ["first"]),
        (lambda first, second: (first, second), ["first", "second"]),
        (lambda first, second: {"p3": second, "p4": [first]}, ["first", "second"]),
    ],
)
def test_what_forward_returns_is_all_that_a_network_holds(returned, names):
    network = lower(Backbone(returned), (3, 8, 8))
    assert [layer.name for layer in network.layers] == names
    assert count(quantize(network, None)).taps == 36 * 27 * sum({"first": 4, "second": 5}[name] for name in names)
    with pytest.raises(NetworkError, match="network Backbone: its output has shape|network Backbone: it has 2 outputs"):
        network.run(np.zeros((1, 3, 8, 8), np.uint8))


def test_a_returned_value_that_another_layer_reads_is_refused():
    with pytest.raises(LoweringError, match="the output 'first' is read by other layers too"):
        lower(Backbone(lambda first, second: (first, F.relu(first))), (3, 8, 8))


def test_a_wrong_image_shape_is_refused():
    with pytest.raises(LoweringError, match=r"Official: torch.export cannot follow its forward: .*channels"):
        lower(settled(Official(), (3, 8, 8)), (1, 8, 8))
