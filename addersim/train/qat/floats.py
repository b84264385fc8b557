"""FloatNetwork: a float network on a device, layer by layer as a program learns."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from addersim.images import Images, check_images, normalised
from addersim.layers import Window
from addersim.network import Network, walk
from addersim.train.qat.forms import form, tensor, window_sums
from addersim.train.qat.steps import module_name

__all__ = ["FloatNetwork"]


class FloatNetwork(nn.Module):
    """What `Network.run` computes, as torch computes it where the weights lie.

    Parameters
    ----------
    network
        Trained network.
    """

    def __init__(self, network: Network):
        super().__init__()
        self.network = network
        for layer in network.layers:
            if isinstance(layer, Window):
                self.register_buffer(module_name(layer.name), torch.tensor(layer.weights), persistent=False)
        self.register_buffer("nothing", torch.empty(0), persistent=False)

    def forward(self, images: Images) -> Tensor:
        """Scores, shape ``(images, classes)``."""
        network = self.network
        check_images(images, network.input_shape, network.preprocessing, f"network {network.name}")
        start = tensor(normalised(images, network.preprocessing, network.input_shape)).to(cast("Tensor", self.nothing).device)
        for _, last in walk(network.layers, start, self._run):
            found = last
        return cast("Tensor", found)

    def _run(self, layer: Any, inputs: list[Tensor]) -> Tensor:
        if not isinstance(layer, Window):
            return form(layer, *inputs)
        sums = window_sums(layer, inputs[0], self.get_buffer(module_name(layer.name)))
        if layer.bias is None:
            return sums
        return sums + torch.tensor(layer.bias).to(sums).view(-1, *(1,) * (sums.ndim - 2))
