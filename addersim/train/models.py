"""The networks of the AdderNet literature, by arithmetic: every window layer an adder layer or a multiplying one.

Modules of the ResNets are named as in the released AdderNet code (huawei-noah/AdderNet), so that its state dicts load.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from addersim.errors import NetworkError
from addersim.train.nn import LAYERS, Gradient
from addersim.train.state_dicts import Fit, load_fitting

__all__ = ["ARCHITECTURES", "Architecture", "Ends", "Layers", "build", "load_weights"]

ARITHMETICS = (*LAYERS, "conv")
Ends = Literal["adder", "multiply"]


@dataclass(frozen=True, slots=True)
class Layers:
    """Which arithmetic the window layers of a network use.

    Attributes
    ----------
    arithmetic
        ``adder``, ``euclidean`` or ``conv``.
    ends
        What the first layer and the classifier of an adder network do: ``multiply``, as in the released code, or ``adder``.
    gradient
        Rule of the adder filters' gradient.
    """

    arithmetic: str = "adder"
    ends: Ends = "multiply"
    gradient: Gradient = "full"

    def conv(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, *, end: bool = False
    ) -> nn.Module:
        """A window layer without bias; `end` marks the first layer and the classifier."""
        if self.multiplies(end):
            layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (kernel * kernel * outputs)))
            return layer
        return LAYERS[self.arithmetic][0](inputs, outputs, kernel, stride, padding, bias=False, gradient=self.gradient)

    def linear(self, inputs: int, outputs: int, *, end: bool = False) -> nn.Module:
        """A fully connected layer without bias."""
        if self.multiplies(end):
            return nn.Linear(inputs, outputs, bias=False)
        return LAYERS[self.arithmetic][1](inputs, outputs, bias=False, gradient=self.gradient)

    def multiplies(self, end: bool) -> bool:
        """Whether a layer multiplies."""
        return self.arithmetic == "conv" or (end and self.ends == "multiply")


class LeNet5(nn.Sequential):
    """LeNet-5-BN: two 5x5 window layers with pooling, three fully connected ones, batch norm after each."""

    def __init__(self, layers: Layers, classes: int = 10, channels: int = 1):
        modules: dict[str, nn.Module] = {}
        for place, (inputs, outputs, padding) in enumerate(((channels, 6, 2), (6, 16, 0)), 1):
            modules |= {
                f"conv{place}": layers.conv(inputs, outputs, 5, padding=padding, end=place == 1),
                f"conv{place}_bn": nn.BatchNorm2d(outputs),
                f"conv{place}_relu": nn.ReLU(),
                f"conv{place}_pool": nn.MaxPool2d(2),
            }
        modules["flatten"] = nn.Flatten()
        for place, (inputs, outputs) in enumerate(((400, 120), (120, 84)), 1):
            modules |= {
                f"fc{place}": layers.linear(inputs, outputs),
                f"fc{place}_bn": nn.BatchNorm1d(outputs),
                f"fc{place}_relu": nn.ReLU(),
            }
        modules |= {"fc3": layers.linear(84, classes, end=True), "fc3_bn": nn.BatchNorm1d(classes)}
        super().__init__(OrderedDict(modules))


class VGGSmall(nn.Sequential):
    """VGG-small: 128-128-M-256-256-M-512-512-M, then one fully connected layer with batch norm on its outputs."""

    def __init__(self, layers: Layers, classes: int = 10, channels: int = 3):
        modules: list[nn.Module] = []
        inputs = channels
        for outputs in (128, 256, 512):
            for _ in range(2):
                modules += [
                    layers.conv(inputs, outputs, 3, padding=1, end=inputs == channels),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(),
                ]
                inputs = outputs
            modules.append(nn.MaxPool2d(2))
        classifier = layers.linear(512 * 4 * 4, classes, end=True)
        super().__init__(*modules, nn.Flatten(), classifier, nn.BatchNorm1d(classes))


def _projection(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(layers.conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 layers beside a shortcut."""

    expansion = 1

    def __init__(self, layers: Layers, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = layers.conv(inputs, width, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = layers.conv(width, width, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(layers, inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(y)) + shortcut)
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 layers beside a shortcut; `stride_in_3x3` tells v1.5 from v1, which strides in the first 1x1."""

    expansion = 4

    def __init__(self, layers: Layers, inputs: int, width: int, stride: int, *, stride_in_3x3: bool):
        super().__init__()
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        self.conv1 = layers.conv(inputs, width, 1, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = layers.conv(width, width, 3, second, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = layers.conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU()
        self.downsample = _projection(layers, inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        out: Tensor = self.relu(self.bn3(self.conv3(y)) + shortcut)
        return out


Block = Callable[[Layers, int, int, int], nn.Module]


class ResNet(nn.Module):
    """Residual network; `conv1`, `pool` and `avgpool` differ between the CIFAR and the ImageNet forms."""

    def __init__(
        self,
        layers: Layers,
        classes: int = 10,
        channels: int = 3,
        *,
        block: Block,
        expansion: int,
        depths: Sequence[int],
        imagenet: bool,
    ):
        super().__init__()
        width = 64 if imagenet else 16
        self.conv1 = layers.conv(channels, width, 7 if imagenet else 3, 2 if imagenet else 1, 3 if imagenet else 1, end=True)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        inputs = width
        for stage, depth in enumerate(depths):
            blocks = []
            for position in range(depth):
                blocks.append(block(layers, inputs, width << stage, 2 if stage and not position else 1))
                inputs = (width << stage) * expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.avgpool = nn.AvgPool2d(7 if imagenet else 8)
        self.fc = layers.conv(inputs, classes, 1, end=True)
        self.bn2 = nn.BatchNorm2d(classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        out: Tensor = self.bn2(self.fc(self.avgpool(x))).flatten(1)
        return out


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built.

    Attributes
    ----------
    name
        Key in `ARCHITECTURES`.
    make
        ``make(layers, classes, channels)``.
    layers
        Arithmetic where the caller does not choose another.
    classes
        Number of classes of its usual data set.
    input_shape
        (channels, height, width) of an image.
    """

    name: str
    make: Callable[[Layers, int, int], nn.Module]
    layers: Layers
    classes: int
    input_shape: tuple[int, int, int]


_Bottleneck1 = partial(Bottleneck, stride_in_3x3=False)
_Bottleneck15 = partial(Bottleneck, stride_in_3x3=True)
_MNIST, _CIFAR, _IMAGENET = (1, 28, 28), (3, 32, 32), (3, 224, 224)
_resnet = partial(partial, ResNet)
_FAMILIES: tuple[tuple[str, Callable[[Layers, int, int], nn.Module], Ends, int, tuple[int, int, int]], ...] = (
    ("lenet5", LeNet5, "adder", 10, _MNIST),  # the paper's MNIST table counts no multiplication
    ("vgg-small", VGGSmall, "multiply", 10, _CIFAR),
    ("resnet20", _resnet(block=BasicBlock, expansion=1, depths=(3, 3, 3), imagenet=False), "multiply", 10, _CIFAR),
    ("resnet32", _resnet(block=BasicBlock, expansion=1, depths=(5, 5, 5), imagenet=False), "multiply", 10, _CIFAR),
    ("resnet18", _resnet(block=BasicBlock, expansion=1, depths=(2, 2, 2, 2), imagenet=True), "multiply", 1000, _IMAGENET),
    ("resnet50", _resnet(block=_Bottleneck15, expansion=4, depths=(3, 4, 6, 3), imagenet=True), "multiply", 1000, _IMAGENET),
    ("resnet50-v1", _resnet(block=_Bottleneck1, expansion=4, depths=(3, 4, 6, 3), imagenet=True), "multiply", 1000, _IMAGENET),
)

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        f"{family}-{arithmetic}": Architecture(f"{family}-{arithmetic}", make, Layers(arithmetic, ends), classes, shape)
        for family, make, ends, classes, shape in _FAMILIES
        for arithmetic in ARITHMETICS
    }
)


def build(
    name: str,
    *,
    classes: int | None = None,
    ends: Ends | None = None,
    gradient: Gradient = "full",
    seed: int | None = None,
) -> nn.Module:
    """Build a network of the registry with fresh weights.

    Parameters
    ----------
    name
        A key of `ARCHITECTURES`, such as ``resnet20-adder``.
    classes
        Number of classes; None takes that of the network's usual data set.
    ends
        First layer and classifier of an adder network: ``multiply`` or ``adder``; None takes the architecture's default.
    gradient
        Rule of the adder filters' gradient.
    seed
        Seed of the weights; None draws from torch's current state.

    Raises
    ------
    NetworkError
        For a name that is not in the registry, or another value of `ends`.

    Examples
    --------
    >>> net = build("lenet5-adder", seed=0)
    >>> net(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    if name not in ARCHITECTURES:
        raise NetworkError(f"architecture: {name!r} is not known; known: {', '.join(ARCHITECTURES)}")
    found = ARCHITECTURES[name]
    if ends not in (None, *get_args(Ends)):
        raise NetworkError(f"{name}: ends {ends!r} is not one of {', '.join(get_args(Ends))}")
    layers = Layers(found.layers.arithmetic, ends or found.layers.ends, gradient)
    with torch.random.fork_rng(devices=(), enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return found.make(layers, classes or found.classes, found.input_shape[0])


def load_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict, of this package or of the released AdderNet code, wrapped by DataParallel or not.

    Raises
    ------
    NetworkError
        Where names or shapes do not match; the message lists them, and the network keeps its weights.
    """
    load_fitting(network, Fit.of(network, state))
