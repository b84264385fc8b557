"""Several processes that train one network: each takes its share of every batch, and the steps are those of one process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from addersim.processes.stopping import end_with

__all__ = ["Team", "join"]


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that ``torchrun`` started, or one process alone.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and of all of them.
    device
        Where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums of numbers over all processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def share(self, network: nn.Module) -> nn.Module:
        """The network as it must be called in training: gradients are averaged, batch norm sees the whole batch."""
        if self.size == 1:
            return network
        _share_norms(network)
        return DistributedDataParallel(network)


@contextmanager
def join(device: str) -> Iterator[Team]:
    """The team of this process, by the variables that ``torchrun`` sets; gloo connects CPUs, NCCL GPUs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(0, 1, torch.device(device))
        return
    if "TORCHELASTIC_RUN_ID" in os.environ:  # started by torchrun, which can no longer end it where that is killed
        end_with(os.getppid())
    cuda = device == "cuda"
    here = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device(device)
    if cuda:
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if cuda else "gloo", device_id=here if cuda else None)
    try:
        yield Team(distributed.get_rank(), size, here)
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sum over processes, in both directions."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the shares of all processes (torch's own SyncBatchNorm runs on GPUs only)."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        axes, shape = [axis for axis in range(input.ndim) if axis != 1], (1, -1, *(1,) * (input.ndim - 2))
        count = torch.full((1,), input.numel() / input.shape[1], device=input.device, dtype=input.dtype)
        total: Tensor = _Sum.apply(torch.cat([input.sum(axes), count]))  # type: ignore[no-untyped-call]
        count, mean = total[-1].detach(), total[:-1] / total[-1].detach()
        centred = input - mean.view(shape)
        # The mean first and then the squares: an adder layer's outputs lie far from zero, and their squares would cancel.
        variance: Tensor = _Sum.apply(centred.square().sum(axes)) / count  # type: ignore[no-untyped-call]
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        return centred * (self.weight * (variance + self.eps).rsqrt()).view(shape) + self.bias.view(shape)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _share_norms(module: nn.Module) -> None:
    """Replace every batch norm by a shared one with the same parameters and statistics."""
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            shared = _SharedBatchNorm(child.num_features, child.eps, child.momentum)
            for key, parameter in child.named_parameters():
                setattr(shared, key, parameter)
            for key, buffer in child.named_buffers():
                setattr(shared, key, buffer)
            setattr(module, name, shared)
        else:
            _share_norms(child)
