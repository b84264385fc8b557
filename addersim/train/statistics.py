"""Batch norm's statistics taken anew: the averages that evaluation uses, of the weights as they are now.

While a network trains, running averages follow some ten steps behind its weights. With convolutions that hardly shows; the
sums of an adder layer move with every step of its normalised rate: the averages belong to a network that is no longer there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from addersim.errors import NetworkError

__all__ = ["reestimate_batch_norm"]


@torch.no_grad()
def reestimate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace the running statistics of every batch norm by plain averages of those of some batches.

    Mean and variance become the averages of the batches' means and unbiased variances, each batch counting as much as any
    other. While they are taken, batch norms normalise by the batch, as in training, and everything else is as in evaluation:
    no dropout, no gradient. Nothing else of the network changes, and afterwards each module is in the mode that it was in.

    Parameters
    ----------
    network
        Any network; batch norms without running statistics are left alone.
    batches
        Inputs of the network, each of two images at least; training images, never those that judge it.

    Returns
    -------
    How many batches there were; 0 for a network without running statistics, which reads none.

    Raises
    ------
    NetworkError
        Where there is no batch; the statistics are then what they were.

    Examples
    --------
    >>> norm = nn.BatchNorm1d(1)
    >>> reestimate_batch_norm(norm, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [9.0]])])
    2
    >>> norm.running_mean.item(), norm.running_var.item()
    (4.5, 5.0)
    """
    norms = [one for one in network.modules() if isinstance(one, _BatchNorm) and one.running_mean is not None]
    if not norms:
        return 0
    count = 0
    with _measuring(network, norms):
        for batch in batches:
            if not count:
                for norm in norms:
                    norm.reset_running_stats()
            network(batch)
            count += 1
    if not count:
        raise NetworkError("batch norm's statistics: no batch of images was given; give one at least")
    return count


@contextmanager
def _measuring(network: nn.Module, norms: list[_BatchNorm]) -> Iterator[None]:
    """Everything in evaluation mode but these norms, which average over all batches; afterwards as it was."""
    modes = [(one, one.training) for one in network.modules()]
    momenta = [norm.momentum for norm in norms]
    try:
        network.eval()
        for norm in norms:
            norm.train()
            norm.momentum = None  # torch's word for a plain average
        yield
    finally:
        for one, training in modes:
            one.training = training
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
