"""Adder layers in a torch module: found by their layout, run beside their formula, and captured as one operator."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.geometry import Geometry, Pair, same_padding
from addersim.errors import LoweringError
from addersim.frontends.proof import TOLERANCE
from addersim.frontends.torch.inference import as_inference
from addersim.layers.base import pair, stored_array

__all__ = ["AdderLayer", "find_adders", "window"]

CLASSES = {name: one.name for one in ARITHMETICS.values() for name in one.layers}
"""Arithmetic of window layers by the name of their class."""
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
"""What padding holds, by torch's names for layers and for its function."""


@torch.library.custom_op("addersim::window", mutates_args=())
def window(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    arithmetic: str,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    weight_bits: int | None = None,
) -> Tensor:
    """A window of an arithmetic, as one operator of a captured graph; for floats on the CPU."""
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    pixels, filters = (one.detach().cpu().to(kind).permute(0, 2, 3, 1).contiguous().numpy() for one in (x, weights))
    moves: Any = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    sums = torch.from_numpy(kernels.forward(pixels, filters, arithmetic=arithmetic, **moves)).to(x)
    y = sums.permute(0, 3, 1, 2).contiguous()
    return y if bias is None else y + bias[:, None, None]


@window.register_fake
def _(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    arithmetic: str,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    weight_bits: int | None = None,
) -> Tensor:
    filters, _, *kernel = weights.shape
    sizes = [
        (x.shape[axis + 2] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis in range(2)
    ]
    return x.new_empty((x.shape[0], filters, *sizes))


@dataclass(frozen=True)
class AdderLayer:
    """A module that computes ``-sum |x - f|``, or another arithmetic, of its own weights.

    Attributes
    ----------
    path, module
        Where it stands, and the module.
    arithmetic
        Name of what it computes.
    weights, bias
        Its parameters, filters of four axes.
    geometry
        How its window moves.
    padding_mode
        What its padding holds, in torch's words.
    linear
        Whether it works on features in place of pixels.
    weight_bits
        Stored width that its weights are made for, where it has one.
    threshold, scale
        What is taken from each input channel before, and the factor of each output channel behind, where there are such.
    ran
        Whether it was run beside its formula; its forward may need what is not here.
    """

    path: str
    module: nn.Module
    arithmetic: str
    weights: Tensor
    bias: Tensor | None
    geometry: Geometry
    padding_mode: str
    linear: bool
    ran: bool = True
    weight_bits: int | None = None
    threshold: Tensor | None = None
    scale: Tensor | None = None

    def formula(self, x: Tensor) -> Tensor:
        """What it computes, as one operator, between a subtraction and a multiplication where it has those."""
        pixels, padding = x.reshape(-1, self.weights.shape[1], 1, 1) if self.linear else x, self.geometry.padding
        if self.threshold is not None:
            pixels = pixels - self.threshold[:, None, None]
        if self.padding_mode != "zeros" or self.geometry.far_padding is not None:
            around = (*self.geometry.sides(1), *self.geometry.sides(0))
            pixels, padding = functional.pad(pixels, around, MODES[self.padding_mode]), (0, 0)
        bias = self.bias if self.scale is None else None
        rest = (*map(list, (self.geometry.stride, padding, self.geometry.dilation)), self.geometry.groups, self.weight_bits)
        y: Tensor = window(pixels, self.weights, bias, self.arithmetic, *rest)
        if self.scale is not None:
            y = y * self.scale[:, None, None] + (0 if self.bias is None else self.bias[:, None, None])
        return y.reshape(*x.shape[:-1], self.weights.shape[0]) if self.linear else y


def find_adders(module: nn.Module, names: Collection[str], images: Tensor) -> list[AdderLayer]:
    """Adder layers of a module, each shown to compute its formula; others in their layout are left as what they are.

    Parameters
    ----------
    module
        In evaluation mode; it runs once where it holds such layers that are not our own.
    names
        Classes that the user says are adder layers, beside ours and those in the layout of the official code.
    images
        A batch for that run.

    Raises
    ------
    LoweringError
        For a class that the user names and that no module has, or whose layout or values are not those of an adder layer.
    """
    present = {type(one).__name__ for one in module.modules()}
    if unseen := set(names) - present:
        held = ", ".join(sorted(present))
        raise LoweringError(f"adders: no module of class {', '.join(sorted(unseen))}; the network holds {held}")
    candidates = [found for path, one in module.named_modules() if (found := _candidate(path, one, names))]
    ours = [
        dataclasses.replace(one, arithmetic=CLASSES[type(one.module).__name__]) for one in candidates if _is_ours(one.module)
    ]
    others = [one for one in candidates if not _is_ours(one.module)]
    if not others:
        return ours
    with as_inference(module):
        differences = _run_beside(module, others, images)
    judged = (_judged(one, differences, type(one.module).__name__ in names) for one in others)
    return ours + [one for one in judged if one is not None]


def _is_ours(module: nn.Module) -> bool:
    """Whether a module is a layer of this package, whose tests show what it computes."""
    return type(module).__module__ in ("addersim.train.nn", "addersim.train.coded")


def _candidate(path: str, module: nn.Module, names: Collection[str]) -> AdderLayer | None:
    kind = type(module).__name__
    coded: Any = module if _is_ours(module) and hasattr(module, "parts") else None
    parts = coded and coded.parts()
    own = parts.weights if parts else getattr(module, "weight", None) if kind in names else None
    filters = getattr(module, "adder", own)
    if not isinstance(filters, Tensor) or filters.ndim not in (2, 4):
        if kind in names:
            raise LoweringError(f"module {path!r} of class {kind}: no parameter adder or weight of 2 or 4 axes was found")
        return None
    both = (getattr(module, "b", None), getattr(module, "bias", None))
    bias = next((one.detach() for one in both if isinstance(one, Tensor)), None)
    linear = filters.ndim == 2
    weights = filters.detach()[:, :, None, None] if linear else filters.detach()
    where, mode = f"module {path!r} of class {kind}", getattr(module, "padding_mode", "zeros")
    if mode not in MODES:
        raise LoweringError(f"{where}: padding_mode {mode!r} is not one of {', '.join(MODES)}")
    if _is_ours(module) and (power := getattr(module, "power", 1.0)) != 1:
        raise LoweringError(f"{where}: computes -sum |x - f|^{power:g}, as in annealing; set its power to 1, and train it on")
    layer = AdderLayer(path, module, "l1", weights, bias, _geometry(module, filters, where), mode, linear)
    if coded is None:
        return layer
    around = {name: one.detach() for name in ("threshold", "scale") if (one := getattr(parts, name)) is not None}
    return dataclasses.replace(layer, weight_bits=coded.weight_bits, **around)


def _run_beside(module: nn.Module, candidates: Sequence[AdderLayer], images: Tensor) -> dict[nn.Module, dict[str, float]]:
    """How far each candidate that runs is from each arithmetic of its weights: inside the network, else by itself."""
    found: dict[nn.Module, dict[str, float]] = {}

    def watched(layer: AdderLayer, forward: Any) -> Any:
        def run(*given: Any, **options: Any) -> Any:
            y = forward(*given, **options)
            plain = len(given) == 1 and not options and isinstance(y, Tensor) and bool(torch.isfinite(y).all())
            if layer.module not in found and plain:
                found[layer.module] = _differences(layer, given[0], y)
            return y

        return run

    for layer in candidates:
        layer.module.forward = watched(layer, layer.module.forward)
    with contextlib.suppress(Exception):  # what cannot run here is told when it is captured
        module(images)
    for layer in candidates:
        if layer.module not in found:
            with contextlib.suppress(Exception):
                x = _example(layer)
                found[layer.module] = _differences(layer, x, type(layer.module).forward(layer.module, x))
    return found


def _differences(layer: AdderLayer, x: Tensor, given: Any) -> dict[str, float]:
    names = [one.name for one in ARITHMETICS.values() if not one.linear]
    return {name: _difference(given, dataclasses.replace(layer, arithmetic=name).formula(x)) for name in names}


def _judged(layer: AdderLayer, found: Mapping[nn.Module, Mapping[str, float]], named: bool) -> AdderLayer | None:
    kind = type(layer.module).__name__
    if layer.module not in found:
        if named or kind in CLASSES:
            return dataclasses.replace(layer, arithmetic=CLASSES.get(kind, "l1"), ran=False)
        return None
    differences = found[layer.module]
    best = min(differences, key=lambda name: differences[name])
    if differences[best] < TOLERANCE:
        return dataclasses.replace(layer, arithmetic=best)
    if named:
        raise LoweringError(
            f"module {layer.path!r} of class {kind}: differs from -sum |x - f| of its weights by {differences['l1']:.2g} of "
            "the largest value; it is no adder layer: leave its name out, and it is captured as what it is"
        )
    return None


def _geometry(module: nn.Module, filters: Tensor, where: str) -> Geometry:
    if filters.ndim == 2:
        return Geometry((1, 1))

    def both(name: str, default: int, least: int) -> Pair:
        return pair(getattr(module, name, default), f"{where}: {name}", least)

    kernel, dilation = (int(filters.shape[2]), int(filters.shape[3])), both("dilation", 1, 1)
    given, groups = getattr(module, "padding", 0), getattr(module, "groups", 1)
    stride = both("stride", 1, 1)
    if given == "same":
        (top, left), (bottom, right) = same_padding(kernel, dilation)
        return Geometry(kernel, stride, (top, left), dilation, groups, far_padding=(bottom, right))
    return Geometry(kernel, stride, (0, 0) if given == "valid" else both("padding", 0, 0), dilation, groups)


def _example(layer: AdderLayer) -> Tensor:
    """Two images on which the layer can run, of its own type and device, equal each time."""
    generator = torch.Generator().manual_seed(0)
    geometry = layer.geometry
    sizes = [
        max(2, (geometry.kernel[axis] - 1) * geometry.dilation[axis] + 1 + 2 * geometry.stride[axis]) for axis in range(2)
    ]
    channels = layer.weights.shape[1] * geometry.groups
    shape = (2, channels) if layer.linear else (2, channels, sizes[0], sizes[1] + 1)
    spread = float(stored_array(layer.weights).std()) or 1.0
    return (torch.randn(shape, generator=generator) * spread).to(layer.weights)


def _difference(given: Any, wanted: Tensor) -> float:
    """Largest difference, of the largest value; infinite where shapes differ."""
    if not isinstance(given, Tensor) or given.shape != wanted.shape:
        return float("inf")
    largest = float(wanted.abs().max()) or 1.0
    return float((given - wanted).abs().max()) / largest
