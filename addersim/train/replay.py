"""A network's training passes on a GPU as CUDA graphs: recorded once, replayed for each batch of the same size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Replayed", "is_replayable"]


def is_replayable(network: nn.Module, device: torch.device) -> bool:
    """Whether a network's passes can be recorded: on a GPU, without hooks, which only Python runs."""
    hooks = (hook for one in network.modules() for hook in (one._forward_hooks, one._forward_pre_hooks, one._backward_hooks))
    return device.type == "cuda" and not any(hooks)


class Replayed:
    """A network in training mode whose forward and backward pass the GPU replays, so that it does not wait for Python.

    Layers of a small network take a GPU less time than the processor takes to start them. Values are those of the network
    itself. Batches of another size than the first one's, such as an epoch's last, go through the network as it is.

    Parameters
    ----------
    network
        On a GPU; see `is_replayable`.
    half
        Type of torch's autocast, under which it is called; None without.
    """

    def __init__(self, network: nn.Module, half: torch.dtype | None = None):
        self.network, self.half = network, half
        self._shape: torch.Size | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
        """The network's output for a batch."""
        if self._shape is None:
            self._record(pixels)
        scores: Tensor = (
            self.network(pixels) if pixels.shape == self._shape else type(self.network).forward(self.network, pixels)
        )
        return scores

    def forget(self) -> None:
        """The network as it was before anything was recorded."""
        self.network.__dict__.pop("forward", None)
        self._shape = None

    def _record(self, pixels: Tensor) -> None:
        kept = [buffer.clone() for buffer in self.network.buffers()]  # trial passes move batch norm's statistics
        with torch.autocast("cuda", self.half, enabled=self.half is not None, cache_enabled=False):
            torch.cuda.make_graphed_callables(self.network, (pixels.clone(),), allow_unused_input=True)
        for buffer, was in zip(self.network.buffers(), kept, strict=True):
            buffer.data.copy_(was)
        self._shape = pixels.shape
