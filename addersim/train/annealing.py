"""Annealing: adder layers begin as Euclidean ones, ``-sum |X - F|^p`` with p = 2, and p falls to 1 while they are trained.

The idea is that of l2-to-l1 training (arXiv 2105.05530, 2105.14202). The schedule is ours, not theirs: p falls in equal steps,
one an epoch, over the first epochs, and is 1 for the rest of them, so that what comes out is an adder network.
"""

from __future__ import annotations

from torch import nn

from addersim.train.nn import Euclidean2d, EuclideanLinear, adder_layers

__all__ = ["power_at", "set_power"]


def power_at(epoch: int, falling: int) -> float:
    """p of an epoch, from 0 on: 2 in the first, 1 from the one after `falling` epochs on.

    Examples
    --------
    >>> [power_at(epoch, 4) for epoch in range(6)]
    [2.0, 1.75, 1.5, 1.25, 1.0, 1.0]
    >>> power_at(0, 0)
    1.0
    """
    return 2.0 - epoch / falling if epoch < falling else 1.0


def set_power(network: nn.Module, power: float) -> bool:
    """Give all adder layers a p; whether that changed any. Euclidean layers stay what they are."""
    layers = [layer for _, layer in adder_layers(network) if not isinstance(layer, (Euclidean2d, EuclideanLinear))]
    changed = [layer for layer in layers if layer.power != power]
    for layer in changed:
        layer.power = power
    return bool(changed)
