"""Pruning while training goes on: which weights or channels of a trained network are zero, and that they stay so.

``channels:S``: of each layer whose channels can go (`addersim.pruning.prunable`), the share S with the smallest batch norm
factors (network slimming, arXiv 1708.06519) or, where a multiplying layer has none, the smallest filters by their sum of
magnitudes (arXiv 1608.08710). Factor and addend become zero, and the network that is written lacks the channels.

``weights:S``: of each window layer, the share S of its weights with the smallest magnitudes (arXiv 1506.02626). The network
keeps its size. In an adder layer a zero weight costs ``|x - 0|``, as much as any other.

``N:M``: of each M weights of a filter, in the order in which they are summed (kernel row, kernel column, input channel), the N
largest stay (arXiv 2104.08378); of those that remain at the end, fewer than M, at most N stay too. Multiplying layers alone:
skipping a zero is exact for a product.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import ConfigError
from addersim.frontends.torch.lower import lower
from addersim.pruning import prunable
from addersim.train.coded import CodedLayer
from addersim.train.nn import Adder2d, AdderLinear

__all__ = ["Masks", "Pruning", "masks", "read_pruning"]

_SHARE = re.compile(r"(channels|weights):([0-9]*\.?[0-9]+)")
_PATTERN = re.compile(r"([0-9]{1,2}):([0-9]{1,2})")
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Pruning(NamedTuple):
    """What a recipe prunes: a share of channels or weights, or all but N of M weights."""

    what: Literal["channels", "weights", "pattern"]
    share: float = 0.0
    most: int = 0
    group: int = 0


def read_pruning(text: str) -> Pruning:
    """Read ``channels:0.3``, ``weights:0.5`` or ``2:4``. Raises ConfigError for anything else.

    Examples
    --------
    >>> read_pruning("2:4")
    Pruning(what='pattern', share=0.0, most=2, group=4)
    """
    if (found := _SHARE.fullmatch(text)) and 0 < (share := float(found[2])) < 1:
        return Pruning("channels" if found[1] == "channels" else "weights", share)
    if (found := _PATTERN.fullmatch(text)) and 0 < int(found[1]) < int(found[2]):
        return Pruning("pattern", most=int(found[1]), group=int(found[2]))
    raise ConfigError(
        f"prune: {text!r}; takes channels:S or weights:S with S above 0 and below 1, or N:M with N below M, as 2:4"
    )


class Masks:
    """Some parameters' zeros: called after each step of an optimizer, which may have moved them.

    Parameters
    ----------
    kept
        A parameter and, in its shape, one where it learns and zero where it is zero.
    """

    def __init__(self, kept: Sequence[tuple[Tensor, Tensor]]):
        self.kept = tuple((parameter, mask.to(parameter)) for parameter, mask in kept)
        self()

    @torch.no_grad()
    def __call__(self, *_: Any) -> None:
        for parameter, mask in self.kept:
            parameter.mul_(mask)


def masks(pruning: Pruning, network: nn.Module, input_shape: Sequence[int]) -> Masks:
    """Prune a trained network in place; what is zero stays so where the masks are called after each step.

    Raises
    ------
    ConfigError
        Where nothing can be pruned, or nothing of a layer would be left.
    """
    if pruning.what == "channels":
        return Masks(list(_channels(pruning.share, network, input_shape)))
    if pruning.what == "weights":
        return Masks([(weight, _large(weight, pruning.share, name)) for name, weight in _weights(network)])
    found = [(one.weight, _pattern(one.weight, pruning)) for _, one in _multiplying(network)]
    if not found:
        raise ConfigError(f"prune {pruning.most}:{pruning.group}: is for multiplying layers; the network has none")
    return Masks(found)


def _multiplying(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and not isinstance(layer, CodedLayer):
            yield name, layer


def _weights(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Weights of all window layers, by the layers' names; those that are never zero are refused."""
    for name, layer in network.named_modules():
        if isinstance(layer, CodedLayer) and 0 not in ARITHMETICS[layer.arithmetic].codec.levels(layer.weight_bits):
            raise ConfigError(
                f"prune weights: layer {name} has {layer.arithmetic} weights, which are never zero; prune channels"
            )
        if isinstance(layer, (Adder2d, AdderLinear)):
            yield name, layer.adder
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            yield name, layer.weight


def _large(values: Tensor, share: float, name: str) -> Tensor:
    """One for all but the share of numbers with the smallest magnitudes; of equals the first ones go."""
    count = _count(values.numel(), share, name)
    kept = torch.ones_like(values).flatten()
    kept[values.detach().abs().flatten().argsort(stable=True)[:count]] = 0
    return kept.view_as(values)


def _count(size: int, share: float, name: str) -> int:
    """The share of a number, to the nearest whole one."""
    count = math.floor(share * size + 0.5)
    if count == size:
        raise ConfigError(f"prune: the share {share} of {size} would leave layer {name} empty; choose a smaller one")
    return count


def _pattern(weight: Tensor, pruning: Pruning) -> Tensor:
    """One for the largest weights of each group along the taps of a filter; of equals the last ones stay."""
    taps = (weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1)).detach().abs()
    rows = taps.reshape(len(taps), -1)
    rows = functional.pad(rows, (0, -rows.shape[1] % pruning.group), value=-1.0)
    groups = rows.view(len(rows), -1, pruning.group)
    kept = torch.zeros_like(groups).scatter_(2, groups.argsort(dim=2, stable=True)[..., -pruning.most :], 1)
    kept = kept.flatten(1)[:, : taps[0].numel()].reshape(taps.shape)
    return kept if weight.ndim == 2 else kept.permute(0, 3, 1, 2)


def _channels(share: float, network: nn.Module, input_shape: Sequence[int]) -> Iterator[tuple[Any, Tensor]]:
    training = network.training
    lowered = lower(network.eval(), tuple(input_shape))
    network.train(training)
    modules, pruned = dict(network.named_modules()), 0
    for name, channels in prunable(lowered).items():
        layer = modules.get(name)
        if not isinstance(layer, (*_NORMS, nn.Conv2d, nn.Linear)):
            continue
        pruned += _count(channels, share, name)
        kept = _large(
            layer.weight if isinstance(layer, _NORMS) else layer.weight.detach().abs().flatten(1).sum(1), share, name
        )
        yield layer.weight, kept.view(-1, *(1,) * (layer.weight.ndim - 1)).expand_as(layer.weight)
        if layer.bias is not None:
            yield layer.bias, kept
    if not pruned:
        raise ConfigError(f"prune channels:{share:g}: no layer has channels to prune; choose a larger share, or weights:S")
