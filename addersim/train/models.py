"""Architectures by name: which networks can be built, with which arithmetic, for which images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import get_args

import torch
from torch import Tensor, nn

from addersim.errors import NetworkError
from addersim.inputs.text import did_you_mean
from addersim.train.architectures.addernet import BasicBlock, Bottleneck, LeNet5, ResNet, VGGSmall
from addersim.train.architectures.densenet import DenseNetBC
from addersim.train.architectures.ghostnet import GhostNet
from addersim.train.architectures.layers import ARITHMETICS, Ends, Layers, Shortcut
from addersim.train.architectures.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3
from addersim.train.architectures.shufflenet import ShuffleNetV2
from addersim.train.architectures.squeezenet import SqueezeNet
from addersim.train.nn import LAYERS, Gradient
from addersim.train.state_dicts import Fit, load_fitting

__all__ = ["ARCHITECTURES", "KNOWN", "Architecture", "build", "load_weights"]

Make = Callable[[Layers, int, int], nn.Module]
Shape = tuple[int, ...]
MNIST_SIDE = 28
"""The smallest image that most networks are for; all but one have pixels left for their poolings there."""


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
        (channels, height, width) of an image of that set.
    smallest
        Least height and width of other images that it takes, of any number of channels; None where it takes no others.
    about
        What it is, and where it comes from.
    """

    name: str
    make: Make
    layers: Layers
    classes: int
    input_shape: Shape
    smallest: int | None
    about: str

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether it can be built for images of this shape."""
        if self.smallest is None or len(shape) != 3:
            return tuple(shape) == self.input_shape
        return shape[0] >= 1 and min(shape[1:]) >= self.smallest

    def images(self) -> str:
        """The images that it takes, in words."""
        own = str(self.input_shape)
        return f"{own}, or any channels of at least {self.smallest} x {self.smallest}" if self.smallest else own


@dataclass(frozen=True, slots=True)
class _Family:
    """One network in every arithmetic; attributes as in `Architecture`."""

    name: str
    make: Make
    about: str
    classes: int = 10
    input_shape: Shape = (3, 32, 32)
    ends: Ends = "multiply"
    smallest: int | None = MNIST_SIDE

    def with_arithmetic(self, arithmetic: str) -> Architecture:
        layers = Layers(arithmetic, self.ends if arithmetic in LAYERS else "multiply")
        name = f"{self.name}-{arithmetic}"
        return Architecture(name, self.make, layers, self.classes, self.input_shape, self.smallest, self.about)


def _resnet(name: str, paper: str, depths: tuple[int, ...], block: Callable[..., nn.Module] = BasicBlock) -> _Family:
    imagenet = len(depths) == 4
    expansion = 1 if block is BasicBlock else 4
    make = partial(ResNet, block=block, expansion=expansion, depths=depths, imagenet=imagenet)
    classes, shape = (1000, _IMAGENET) if imagenet else (10, _CIFAR)
    return _Family(name, make, paper, classes, shape, smallest=None)


def _both(name: str, make: Callable[..., nn.Module], paper: str) -> tuple[_Family, _Family]:
    """A network for ImageNet, and the same for small images, whose first two halvings are left out."""
    small = f"{paper}; stride 1 in place of the first two halvings"
    imagenet = _Family(name, make, paper, 1000, _IMAGENET)
    return imagenet, _Family(f"{name}-cifar", partial(make, small_images=True), small)


_MNIST, _CIFAR, _IMAGENET = (1, 28, 28), (3, 32, 32), (3, 224, 224)
_ADDERNET = "AdderNet, arXiv 1912.13200"
_FAMILIES: tuple[_Family, ...] = (
    # the paper's MNIST table counts no multiplication
    _Family("lenet5", LeNet5, f"LeNet-5-BN of {_ADDERNET}", 10, _MNIST, "adder", smallest=None),
    _Family("vgg-small", VGGSmall, f"VGG-small of {_ADDERNET}", smallest=None),
    _resnet("resnet20", _RESNET := "ResNet, arXiv 1512.03385", (3, 3, 3)),
    _resnet("resnet32", _RESNET, (5, 5, 5)),
    _resnet("resnet18", _RESNET, (2, 2, 2, 2)),
    _resnet("resnet50", f"{_RESNET}; stride in the 3x3", (3, 4, 6, 3), partial(Bottleneck, stride_in_3x3=True)),
    _resnet("resnet50-v1", f"{_RESNET}; stride in the 1x1", (3, 4, 6, 3), partial(Bottleneck, stride_in_3x3=False)),
    *_both("mobilenetv1", MobileNetV1, "MobileNet, arXiv 1704.04861"),
    *_both("mobilenetv2", MobileNetV2, _V2 := "MobileNetV2, arXiv 1801.04381"),
    *_both("mobilenetv2-x0.35", partial(MobileNetV2, width=0.35), f"{_V2}, width 0.35"),
    *_both("mobilenetv3-large", partial(MobileNetV3, size="large"), _V3 := "MobileNetV3, arXiv 1905.02244"),
    *_both("mobilenetv3-small", partial(MobileNetV3, size="small"), _V3),
    *_both("mobilenetv3-small-x0.5", partial(MobileNetV3, size="small", width=0.5), f"{_V3}, width 0.5"),
    *_both("shufflenetv2-x0.5", partial(ShuffleNetV2, widths=(48, 96, 192, 1024)), _S2 := "ShuffleNetV2, arXiv 1807.11164"),
    *_both("shufflenetv2-x1.0", partial(ShuffleNetV2, widths=(116, 232, 464, 1024)), _S2),
    *_both("squeezenet1.0", partial(SqueezeNet, first=(96, 7), pools=(0, 3, 7)), _SQ := "SqueezeNet, arXiv 1602.07360"),
    *_both("squeezenet1.1", partial(SqueezeNet, first=(64, 3), pools=(0, 2, 4)), f"{_SQ}, version 1.1 of the released code"),
    *_both("ghostnet", GhostNet, "GhostNet, arXiv 1911.11907"),
    _Family(
        "densenet121",
        partial(DenseNetBC, growth=32, depths=(6, 12, 24, 16)),
        _DENSE := "DenseNet-BC, arXiv 1608.06993",
        1000,
        _IMAGENET,
        smallest=29,
    ),
    _Family(
        "densenet-bc-100",
        partial(DenseNetBC, growth=12, depths=(16, 16, 16), small_images=True),
        f"{_DENSE}, L=100, k=12",
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {found.name: found for family in _FAMILIES for found in (family.with_arithmetic(arithmetic) for arithmetic in ARITHMETICS)}
)

KNOWN = f"{', '.join(family.name for family in _FAMILIES)}, each with {', '.join(f'-{one}' for one in ARITHMETICS)}"
"""Names in the registry, in words."""


WITH_SHORTCUTS = ("resnet", "mobilenetv2", "mobilenetv3")
"""How names of networks begin whose residual blocks take a learned shift."""


def check_shortcut(name: str, shortcut: str) -> None:
    """Refuse a shortcut that there is not, and a learned one for a network without residual blocks."""
    if shortcut not in get_args(Shortcut):
        known = get_args(Shortcut)
        raise NetworkError(
            f"{name}: shortcut {shortcut!r} is not one of {', '.join(known)}{did_you_mean(str(shortcut), known)}"
        )
    if shortcut != "plain" and not name.startswith(WITH_SHORTCUTS):
        raise NetworkError(f"{name}: shortcut {shortcut} is for residual blocks: {', '.join(WITH_SHORTCUTS)}; leave it out")


def build(
    name: str,
    *,
    classes: int | None = None,
    input_shape: Sequence[int] | None = None,
    ends: Ends | None = None,
    gradient: Gradient = "full",
    shortcut: Shortcut = "plain",
    seed: int | None = None,
) -> nn.Module:
    """Build a network of the registry with fresh weights.

    Parameters
    ----------
    name
        A key of `ARCHITECTURES`, such as ``resnet20-adder``.
    classes
        Number of classes; None takes that of the network's usual data set.
    input_shape
        (channels, height, width) of an image, where the network takes images of any size; None takes the usual one.
    ends
        First layer and classifier of an adder network: ``multiply`` or ``adder``; None takes the architecture's default.
    gradient
        Rule of the adder filters' gradient.
    shortcut
        What residual blocks add: ``plain``, their input, or ``shift``, that times a learned power of two.
    seed
        Seed of the weights; None draws from torch's current state.

    Raises
    ------
    NetworkError
        For a name that is not in the registry, another value of `ends`, and images that the network does not take.

    Examples
    --------
    >>> net = build("lenet5-adder", seed=0)
    >>> net(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    if name not in ARCHITECTURES:
        raise NetworkError(f"architecture: {name!r} is not known; known: {KNOWN}{did_you_mean(name, ARCHITECTURES)}")
    found = ARCHITECTURES[name]
    if ends not in (None, *get_args(Ends)):
        raise NetworkError(
            f"{name}: ends {ends!r} is not one of {', '.join(get_args(Ends))}{did_you_mean(str(ends), get_args(Ends))}"
        )
    check_shortcut(name, shortcut)
    shape = found.input_shape if input_shape is None else tuple(input_shape)
    if not found.takes(shape):
        raise NetworkError(f"{name}: takes images of {found.images()}; found {shape}")
    layers = Layers(found.layers.arithmetic, ends or found.layers.ends, gradient, shortcut)
    with torch.random.fork_rng(devices=(), enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return found.make(layers, classes or found.classes, shape[0])


def load_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict, of this package or of the released AdderNet code, wrapped by DataParallel or not.

    Raises
    ------
    NetworkError
        Where names or shapes do not match; the message lists them, and the network keeps its weights.
    """
    load_fitting(network, Fit.of(network, state))
