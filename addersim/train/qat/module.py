"""QuantisedNetwork: a program that learns. Its layers are the simulator's own, their gradients those of the float layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn import functional

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.codecs import Codec
from addersim.arithmetic.fixed import FixedFormat, Rounding
from addersim.images import Images
from addersim.layers import Affine, AnyLayer, IntegerLayer, IntegerWindow, Relu, Window
from addersim.layers.base import Array, Plan
from addersim.network import INPUT, Network, walk
from addersim.program import Program
from addersim.quantization.pipeline import assemble, lay_out, prepare, quantize_prepared
from addersim.quantization.rules import Quantization
from addersim.train.qat.forms import form, tensor, window_sums

__all__ = ["QuantisedNetwork", "Signal", "layer_of"]


class _Through(torch.autograd.Function):
    """A value that was computed otherwise, with the gradient of a real one (straight-through, arXiv 1308.3432)."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _through(real: Tensor, value: Tensor) -> Tensor:
    return cast("Tensor", _Through.apply(real, value))  # type: ignore[no-untyped-call]


class Signal(NamedTuple):
    """A value between layers.

    Attributes
    ----------
    codes
        What the simulator computes, channels last.
    real
        What they stand for, channels first, with its gradient: codes times their scale; signs where a code is one bit.
    layer
        The integer layer that gave it; None for the image.
    """

    codes: Array
    real: Tensor
    layer: IntegerLayer | None


def _reals(codes: Array, bits: int, scale: float) -> Tensor:
    reals = codes.astype(np.float32)
    return tensor(2 * reals + 1 if bits == 1 else reals * np.float32(scale))


class _Weights(nn.Module):
    """Trained weights of a window, as shares of the codec's largest value: a step of an optimizer means the same anywhere."""

    def __init__(self, window: Window, integer: IntegerWindow, rounding: Rounding):
        super().__init__()
        self.codec: Codec = ARITHMETICS[window.arithmetic].codec
        self.bits = self.codec.stored_bits(integer.weight_format)
        self.rounding: Rounding = rounding
        held = integer.weight_format
        self.scale = held.scale if self.codec.uniform else 1.0
        self.code = FixedFormat(held.bits, held.signed)
        self.largest = max(-self.code.minimum, self.code.maximum) if self.codec.uniform else self.codec.largest(self.bits)
        values = window.weights.astype(np.float64) / self.scale
        if self.bits == 1:  # signs have no size: as far from the threshold as weights of other codecs are at most
            values = np.where(values < 0, -0.5, 0.5) * np.minimum(np.abs(values) / max(np.abs(values).mean(), 1e-30), 2.0)
        self.shares = nn.Parameter(torch.from_numpy(values / self.largest).float())
        self.project()

    @torch.no_grad()
    def project(self) -> None:
        """Bring weights beyond the codec's ends back to them: they would move there without any effect."""
        low = self.code.minimum / self.largest if self.codec.uniform else -1.0
        high = self.code.maximum / self.largest if self.codec.uniform else 1.0
        self.shares.clamp_(low, high)

    def codes(self) -> Array:
        """The value that each weight takes, shape of the float layer's weights."""
        values = self.shares.detach().numpy().astype(np.float64) * self.largest
        return self.code.encode(values, self.rounding) if self.codec.uniform else self.codec.nearest(values, self.bits)

    def forward(self, codes: Array) -> Tensor:
        """The real weights that codes stand for, with their gradient."""
        real = self.shares * (self.largest * self.scale)
        return _through(real, torch.from_numpy(np.asarray(codes * self.scale, np.float32)))


class _Norm(nn.Module):
    """The multiply-add behind a window as batch norm: its outputs' mean and spread are trained, whatever the sums are.

    Sums of adder layers drift with every step, so that constants chosen before would be wrong after it; those of multiplying
    layers with few bits do, too.
    """

    def __init__(self, mean: Array, spread: Array):
        super().__init__()
        self.size = float(np.sqrt(np.square(spread).mean())) or 1.0
        self.mean, self.spread = (torch.from_numpy(one).float() for one in (mean, spread))
        self.gain = nn.Parameter(torch.ones(len(mean)))
        self.shift = nn.Parameter(torch.zeros(len(mean)))

    def constants(self, sums: Array, scale: float, most: float) -> tuple[Array, Array]:
        """Multiplier and addend that bring sums, in codes and channels last, to the trained mean and spread."""
        flat = sums.reshape(-1, sums.shape[-1])
        mean, variance = flat.mean(0, dtype=np.float64) * scale, flat.var(0, dtype=np.float64) * scale**2
        wanted, spread = (one.detach().numpy().astype(np.float64) for one in self.targets())
        multiplier = np.clip(spread / np.sqrt(variance + scale**2), -most, most)
        return multiplier, wanted - multiplier * mean

    def targets(self) -> tuple[Tensor, Tensor]:
        """Mean and spread of the outputs, a channel."""
        return self.mean + self.shift * self.size, self.spread * self.gain

    def forward(self, sums: Tensor, scale: float) -> Tensor:
        """Outputs, with their gradient through the statistics of these sums."""
        mean, spread = self.targets()
        return functional.batch_norm(sums, None, None, spread, mean, training=True, eps=scale**2)


class QuantisedNetwork(nn.Module):
    """A network as its program runs it, bit for bit, with trained weights, means and spreads.

    The values of each step are those of the integer layers; a gradient passes them as it would pass the float layers, and
    ends where a value left its format. The constants behind each window follow from the sums of the images at hand.

    Parameters
    ----------
    network
        Trained network.
    images
        Calibration images, which choose formats; scales stay what they are, while the multipliers before and behind a value
        learn its step size.
    how
        Bit widths and rules.
    """

    def __init__(self, network: Network, images: Images, how: Quantization):
        super().__init__()
        prepared = prepare(network, images, how.fold_batch_norm)
        start = quantize_prepared(prepared, how)  # refuses what cannot be quantised
        laid = lay_out(prepared, how)
        twins = {layer.name: layer.name for layer in laid.network.layers if layer.name in laid.plan.twins}
        self.network = laid.network
        self.plan = Plan(laid.plan.formats, laid.plan.scales, laid.plan.how, twins)
        self.encode = start.encode
        self.start = {layer.name: layer for layer in start.layers}
        self.owner: dict[str, str] = {}
        self.weights, self.norms = nn.ModuleDict(), nn.ModuleDict()
        windows: dict[str, Window] = {}
        for layer in laid.network.layers:
            if isinstance(layer, Window):
                windows[layer.name] = layer
                self.owner[layer.name] = self.owner[layer.shared] if layer.shared else layer.name
                if not layer.shared:
                    integer = cast("IntegerWindow", self.start[layer.name])
                    self.weights[_key(layer.name)] = _Weights(layer, integer, how.rounding)
            elif isinstance(layer, Affine) and layer.inputs[0] in windows:
                seen = prepared.samples[layer.name]
                sign = np.where(np.broadcast_to(layer.multiplier, seen.std.shape) < 0, -1.0, 1.0)
                self.norms[_key(layer.name)] = _Norm(seen.mean, seen.std * sign)

    def project(self) -> None:
        """What follows each step of an optimizer."""
        for one in self.weights.values():
            cast("_Weights", one).project()

    def signals(self, images: Images) -> Iterator[tuple[str, Signal]]:
        """What every layer gives for a batch, ``input`` first, in execution order."""
        codes = self.encode(images)
        held = self.plan.formats[INPUT]
        yield from walk(self.network.layers, Signal(codes, _reals(codes, held.bits, held.scale), None), self._run)

    def forward(self, images: Images) -> Tensor:
        """Scores, shape ``(images, classes)``."""
        for _, signal in self.signals(images):
            last = signal
        return last.real

    @torch.no_grad()
    def trained(self, images: Images) -> tuple[Network, Program]:
        """What was trained, in float and on codes, with the constants behind windows taken from these images."""
        layers: list[IntegerLayer] = [signal.layer for _, signal in self.signals(images) if signal.layer is not None]
        program = assemble(self.network, self.plan, layers)
        floats = tuple(self._float(layer, one) for layer, one in zip(self.network.layers, program.layers, strict=True))
        return replace(self.network, layers=floats), program

    def _run(self, layer: AnyLayer, inputs: list[Signal]) -> Signal:
        given = [one.real for one in inputs]
        if isinstance(layer, Window):
            return self._window(layer, inputs[0])
        if _key(layer.name) not in self.norms:
            integer, real = layer.integer(self.plan), form(layer, *given)
        else:
            integer, real = self._norm(cast("Affine", layer), inputs[0])
        codes = cast("Array", integer.run(kernels, *[one.codes for one in inputs], threads=torch.get_num_threads()).values)
        held = self.plan.formats[layer.name]
        if held.bits == 1:
            real = real.clamp(-1, 1)
        elif not (layer.PASSES_CODES or isinstance(layer, Relu)):  # these stay within what they are given
            real = real.clamp(held.low, held.high)
        return Signal(codes, _through(real, _reals(codes, held.bits, held.scale)), integer)

    def _window(self, layer: Window, given: Signal) -> Signal:
        trained = cast("_Weights", self.weights[_key(self.owner[layer.name])])
        values = trained.codes()
        start = cast("IntegerWindow", self.start[layer.name])
        weights = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).astype(start.weight_format.dtype)
        integer = replace(start, weights=weights)
        codes = cast("Array", integer.run(kernels, given.codes, threads=torch.get_num_threads()).values)
        sums = window_sums(layer, given.real, trained(values))
        return Signal(codes, _through(sums, tensor(codes.astype(np.float32) * np.float32(integer.scale))), integer)

    def _norm(self, layer: Affine, given: Signal) -> tuple[IntegerLayer, Tensor]:
        norm = cast("_Norm", self.norms[_key(layer.name)])
        scale = self.plan.scales[layer.inputs[0]]
        most = (2 ** (self.plan.how.multiplier_bits - 1) - 1) * self.plan.formats[layer.name].scale / scale
        multiplier, addend = norm.constants(given.codes, scale, most)
        return replace(layer, multiplier=multiplier, addend=addend).integer(self.plan), norm(given.real, scale)

    def _float(self, layer: AnyLayer, integer: Any) -> AnyLayer:
        """The float layer whose numbers an integer one holds."""
        if isinstance(layer, Window):
            weights = (
                integer.weights.transpose(0, 3, 1, 2) * cast("_Weights", self.weights[_key(self.owner[layer.name])]).scale
            )
            return replace(layer, weights=np.ascontiguousarray(weights, np.float32))
        if isinstance(layer, Affine) and _key(layer.name) in self.norms:
            scale = integer.output.scale
            multiplier = np.ldexp(integer.multiplier.astype(np.float64), -integer.shift.astype(int)) * scale
            addend = np.ldexp(integer.addend.astype(np.float64), -integer.shift.astype(int)) * scale
            return replace(layer, multiplier=multiplier / self.plan.scales[layer.inputs[0]], addend=addend)
        return layer


def _key(name: str) -> str:
    """A layer's name as torch takes it for a module's."""
    return name.replace("%", "%25").replace(".", "%2e")


def layer_of(parameter: str) -> str:
    """Name of the layer whose parameter has a name in a `QuantisedNetwork`."""
    return parameter.split(".")[1].replace("%2e", ".").replace("%25", "%")
