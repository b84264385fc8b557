"""Learned step sizes: scales of formats as trained values, in octaves (LSQ, arXiv 1902.08153; TQT, arXiv 1903.08066)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.layers import Window
from addersim.layers.base import Array, Plan
from addersim.network import Network
from addersim.quantization.value_formats import own_scales, scale_groups, sum_step

__all__ = ["Octaves", "ValueSteps", "layer_of", "module_name", "stepped", "through"]


FARTHEST = 8.0
"""Octaves by which a step may differ from what calibration chose."""


class _Through(torch.autograd.Function):
    """A value that was computed otherwise, with the gradient of a real one (straight-through, arXiv 1308.3432)."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def through(real: Tensor, value: Tensor) -> Tensor:
    """Numbers of `value`, gradient of `real`."""
    return cast("Tensor", _Through.apply(real, value))  # type: ignore[no-untyped-call]


def stepped(real: Tensor, step: Tensor, ends: tuple[int, int], codes: Tensor) -> Tensor:
    """Codes of real values, with the gradient of ``real / step`` where that lies within the ends of the codes.

    Times the step they have LSQ's gradient of it: the code less the real value in steps; at the ends the code.
    """
    return through((real / step).clamp(*ends), codes)


class Octaves(nn.Module):
    """Step sizes as multiples ``2**octave`` of those that calibration chose.

    Equal moves of an octave change a step by equal shares of itself, whatever its size, and no move makes one negative. The
    gradient is damped by LSQ's ``1 / sqrt(values * largest code)``: against the step it is then no larger than a weight's is
    against the weight.

    Parameters
    ----------
    number
        Of steps.
    whole
        Whether octaves are rounded to whole ones, with the gradient passing: steps that are powers of two stay so.
    codes
        Number of values that share a step times their largest code.
    """

    def __init__(self, number: int, whole: bool, codes: int):
        super().__init__()
        self.whole, self.damping = whole, 1 / math.sqrt(max(codes, 1))
        self.octaves = nn.Parameter(torch.zeros(number))

    @torch.no_grad()
    def project(self) -> None:
        """Bring steps that left all reason back: what they would hold is one code, or none."""
        self.octaves.clamp_(-FARTHEST, FARTHEST)

    def ratios(self) -> Array:
        """Each step over the one at the start, in float64."""
        octaves = self.octaves.detach().cpu().numpy().astype(np.float64)
        return np.exp2(np.rint(octaves) if self.whole else octaves)

    def forward(self) -> Tensor:
        """The same with their gradient."""
        octaves = through(self.octaves * self.damping, self.octaves.detach())
        return torch.exp2(through(octaves, octaves.detach().round()) if self.whole else octaves)


class ValueSteps(nn.Module):
    """Scales of the values of a network, one step size for all values that must share one.

    A value keeps its scale where that follows from its layer's kind, and where it is one bit. Names of the modules are those
    of values, so that what diverges can be named.

    Parameters
    ----------
    network
        With its formats chosen.
    plan
        These.
    """

    def __init__(self, network: Network, plan: Plan):
        super().__init__()
        self.start, self.windows = plan, [layer for layer in network.layers if isinstance(layer, Window)]
        self.leader: dict[str, str] = {}
        own = own_scales(network)
        sizes = network.shapes()
        for names in _groups(network, plan):
            if any(name in own or plan.formats[name].bits == 1 for name in names):
                continue
            codes = max(math.prod(sizes[name]) * plan.formats[name].maximum for name in names)
            self.add_module(module_name(names[0]), Octaves(1, plan.how.power_of_two, codes))
            self.leader |= dict.fromkeys(names, module_name(names[0]))

    def plan(self) -> Plan:
        """The plan at the steps as they are now."""
        ratios = {name: float(self._steps(name).ratios()[0]) for name in self.leader}
        formats = {name: replace(held, scale=held.scale * ratios.get(name, 1.0)) for name, held in self.start.formats.items()}
        scales = {name: held.scale for name, held in formats.items()}
        scales |= {one.name: sum_step(one, self.start.how, formats[one.inputs[0]]) for one in self.windows}
        return Plan(formats, scales, self.start.how, self.start.twins)

    def forward(self) -> Mapping[str, Tensor]:
        """Ratio of each value's step to the one at the start, with its gradient."""
        found = {name: step()[0] for name, step in self.named_children()}
        return {name: found[self.leader[name]] if name in self.leader else torch.ones(()) for name in self.start.formats}

    def _steps(self, name: str) -> Octaves:
        return cast("Octaves", self.get_submodule(self.leader[name]))


def _groups(network: Network, plan: Plan) -> list[tuple[str, ...]]:
    """Values that must share one scale: those that layers pass on, and inputs of windows that share weights of their grid."""
    groups = scale_groups(network, plan.how)
    windows = {layer.name: layer for layer in network.layers if isinstance(layer, Window)}
    for layer in windows.values():
        if layer.shared and ARITHMETICS[layer.arithmetic].shared_scale:
            ends = {layer.inputs[0], windows[layer.shared].inputs[0]}
            joined = [names for names in groups if ends & set(names)]
            groups = [names for names in groups if names not in joined] + [tuple(name for names in joined for name in names)]
    return groups


def module_name(name: str) -> str:
    """A layer's name as torch takes it for a module's: without dots, and no attribute that modules have."""
    return "layer " + name.replace("%", "%25").replace(".", "%2e")


def layer_of(parameter: str) -> str:
    """Name of the layer, or value, whose parameter has a name in a network of such modules."""
    return parameter.split(".")[1].removeprefix("layer ").replace("%2e", ".").replace("%25", "%")
