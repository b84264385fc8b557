"""QuantisedNetwork: a program that learns. Its layers are the simulator's own, their gradients those of the float layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn import functional

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.codecs import Codec
from addersim.arithmetic.fixed import FixedFormat, Rounding
from addersim.images import Images, normalised
from addersim.layers import Affine, AnyLayer, IntegerLayer, IntegerWindow, Relu, Window
from addersim.layers.base import Array, Plan
from addersim.network import INPUT, Network, walk
from addersim.program import Program, image_encoder
from addersim.quantization.pipeline import assemble, lay_out, prepare, quantize_prepared
from addersim.quantization.rules import Quantization
from addersim.train.qat import integers
from addersim.train.qat.forms import form, tensor, window_sums
from addersim.train.qat.steps import Octaves, ValueSteps, module_name, stepped, through
from addersim.train.rate import NAME as ADDER

__all__ = ["QuantisedNetwork", "Signal"]


class Signal(NamedTuple):
    """A value between layers.

    Attributes
    ----------
    codes
        What the simulator computes, channels last and in its types.
    real
        What they stand for, channels first, with its gradient: codes times their scale; signs where a code is one bit.
    layer
        The integer layer that gave it; None for the image.
    """

    codes: Tensor
    real: Tensor
    layer: IntegerLayer | None


def _reals(codes: Tensor, bits: int, scale: float) -> Tensor:
    reals = codes.float().movedim(-1, 1)
    return 2 * reals + 1 if bits == 1 else reals * scale


class _Weights(nn.Module):
    """Trained weights of a window, as shares of the codec's largest value: a step of an optimizer means the same anywhere.

    Filters of linear arithmetics have a step size each, which the statistics behind the window take out of its sums again;
    weights of the others share the step of their input.
    """

    def __init__(self, window: Window, integer: IntegerWindow, how: Quantization):
        super().__init__()
        record = ARITHMETICS[window.arithmetic]
        self.codec: Codec = record.codec
        self.bits = self.codec.stored_bits(integer.weight_format)
        self.rounding: Rounding = how.rounding
        held = integer.weight_format
        self.scale = held.scale if self.codec.uniform else 1.0
        self.code = FixedFormat(held.bits, held.signed)
        self.largest = max(-self.code.minimum, self.code.maximum) if self.codec.uniform else self.codec.largest(self.bits)
        self.ends = (self.code.minimum, self.code.maximum) if self.codec.uniform else (-self.largest, self.largest)
        values = window.weights.astype(np.float64) / self.scale
        if self.bits == 1:  # signs have no size: as far from the threshold as weights of other codecs are at most
            values = np.where(values < 0, -0.5, 0.5) * np.minimum(np.abs(values) / max(np.abs(values).mean(), 1e-30), 2.0)
        # The adder method's rate knows filters by the parameter's name.
        self.shares_step = record.shared_scale
        self.name = ADDER if record.shared_scale else "shares"
        self.register_parameter(self.name, nn.Parameter(torch.from_numpy(values / self.largest).float()))
        codes = values[0].size * self.largest
        self.steps = Octaves(len(values), how.power_of_two, codes) if record.linear and self.bits > 1 else None

    def latent(self) -> Tensor:
        """Weights before they are rounded."""
        return self.get_parameter(self.name)

    def codes(self, ratio: float) -> Array:
        """The value of each weight, shape of the float layer's weights, where the input's step is `ratio` times the first."""
        values = self.latent().detach().cpu().numpy().astype(np.float64) * self.largest / self._step(ratio)
        return self.code.encode(values, self.rounding) if self.codec.uniform else self.codec.nearest(values, self.bits)

    def forward(self, codes: Array, ratio: Tensor) -> Tensor:
        """The real weights that codes stand for, with their gradient; those of a filter with a step of its own count in it."""
        step = self.steps()[:, None, None, None] if self.steps else self._step(ratio)
        held = torch.from_numpy(np.asarray(codes, np.float32)).to(self.latent().device)
        values = stepped(self.latent() * self.largest, step, self.ends, held)
        return values * self.scale if self.steps else values * step * self.scale

    @torch.no_grad()
    def project(self, ratio: float) -> None:
        """Bring weights beyond the codec's ends back to them: they would move there without any effect."""
        step = torch.as_tensor(self._step(ratio), dtype=torch.float32, device=self.latent().device)
        low, high = (end / self.largest * step for end in self.ends)
        self.latent().clamp_(low, high)

    def _step(self, ratio: Any) -> Any:
        """Each weight's step over the one at the start: its filter's own, or the input's where both are codes on one grid."""
        if self.steps:
            return self.steps.ratios()[:, None, None, None]
        return ratio if self.shares_step else 1.0


class _Norm(nn.Module):
    """The multiply-add behind a window as batch norm: its outputs' mean and spread are trained, whatever the sums are.

    Sums of adder layers drift with every step, so that constants chosen before would be wrong after it; those of multiplying
    layers with few bits do, too.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Array, spread: Array):
        super().__init__()
        self.size = float(np.sqrt(np.square(spread).mean())) or 1.0
        for name, values in (("mean", mean), ("spread", spread)):
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)
        self.gain = nn.Parameter(torch.ones(len(mean)))
        self.shift = nn.Parameter(torch.zeros(len(mean)))

    def constants(self, sums: Tensor, scale: float, most: float) -> tuple[Array, Array]:
        """Multiplier and addend that bring sums, in codes and channels last, to the trained mean and spread."""
        found = torch.var_mean(sums.flatten(0, -2).double(), 0, correction=0)
        variance, mean, wanted, spread = (
            torch.stack([*found, *(one.detach().double() for one in self.targets())]).cpu().numpy()
        )
        mean, variance = mean * scale, variance * scale**2
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
        self.values = ValueSteps(laid.network, Plan(laid.plan.formats, laid.plan.scales, laid.plan.how, twins))
        self.plan = self.values.start
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
                    self.weights[module_name(layer.name)] = _Weights(layer, integer, how)
            elif isinstance(layer, Affine) and layer.inputs[0] in windows:
                seen = prepared.samples[layer.name]
                sign = np.where(np.broadcast_to(layer.multiplier, seen.std.shape) < 0, -1.0, 1.0)
                self.norms[module_name(layer.name)] = _Norm(seen.mean, seen.std * sign)

    @property
    def device(self) -> torch.device:
        """Where it computes: where its parameters lie."""
        return next(self.parameters()).device

    def project(self) -> None:
        """What follows each step of an optimizer."""
        for one in self.modules():
            if isinstance(one, Octaves):
                one.project()
        plan = self.values.plan()
        for name, owner in self.owner.items():
            if name == owner:
                cast("_Weights", self.weights[module_name(name)]).project(self._ratio(plan, name))

    def _ratio(self, plan: Plan, window: str) -> float:
        """Step of a window's input over the one at the start."""
        source = cast("IntegerWindow", self.start[window])
        return plan.formats[source.inputs[0]].scale / source.input_format.scale

    def signals(self, images: Images) -> Iterator[tuple[str, Signal]]:
        """What every layer gives for a batch, ``input`` first, in execution order."""
        self.plan, self.ratios = self.values.plan(), self.values()
        yield from walk(self.network.layers, self._image(images), self._run)

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

    def _image(self, images: Images) -> Signal:
        network = self.network
        what = network.input_shape, network.preprocessing, f"network {network.name}"
        encoded = image_encoder(self.plan.formats[INPUT], self.plan.how.rounding, *what)(images, None)
        codes = torch.from_numpy(encoded).to(self.device)
        real = tensor(normalised(images, network.preprocessing, network.input_shape)).to(self.device)
        return Signal(codes, self._narrowed(INPUT, real, codes), None)

    def _run(self, layer: AnyLayer, inputs: list[Signal]) -> Signal:
        given = [one.real for one in inputs]
        if isinstance(layer, Window):
            return self._window(layer, inputs[0])
        if module_name(layer.name) not in self.norms:
            integer, real = layer.integer(self.plan), form(layer, *given)
        else:
            integer, real = self._norm(cast("Affine", layer), inputs[0])
        codes = integers.run(integer, *[one.codes for one in inputs])
        if layer.PASSES_CODES or isinstance(layer, Relu):  # these stay within what they are given
            held = self.plan.formats[layer.name]
            return Signal(codes, through(real, _reals(codes, held.bits, held.scale)), integer)
        return Signal(codes, self._narrowed(layer.name, real, codes), integer)

    def _narrowed(self, name: str, real: Tensor, codes: Tensor) -> Tensor:
        """What codes stand for, with the gradient of the real values and of the step to which these were narrowed."""
        held = self.plan.formats[name]
        if held.bits == 1:
            return through(real.clamp(-1, 1), _reals(codes, 1, held.scale))
        step: Tensor = self.ratios[name] * self.values.start.formats[name].scale
        return stepped(real, step, (held.minimum, held.maximum), _reals(codes, held.bits, 1.0)) * step

    def _window(self, layer: Window, given: Signal) -> Signal:
        trained = cast("_Weights", self.weights[module_name(self.owner[layer.name])])
        source, start = self.plan.formats[layer.inputs[0]], cast("IntegerWindow", self.start[layer.name])
        values = trained.codes(self._ratio(self.plan, layer.name))
        weights = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).astype(start.weight_format.dtype)
        held = start.weight_format
        if ARITHMETICS[layer.arithmetic].shared_scale:
            held = FixedFormat(held.bits, held.signed, source.scale * (held.scale / start.input_format.scale))
        integer = replace(start, weights=weights, input_format=source, weight_format=held)
        codes = integers.run(integer, given.codes)
        sums = window_sums(layer, given.real, trained(values, self.ratios[layer.inputs[0]]))
        return Signal(codes, through(sums, _reals(codes, 0, integer.scale)), integer)

    def _norm(self, layer: Affine, given: Signal) -> tuple[IntegerLayer, Tensor]:
        norm = cast("_Norm", self.norms[module_name(layer.name)])
        scale = self.plan.scales[layer.inputs[0]]
        most = (2 ** (self.plan.how.multiplier_bits - 1) - 1) * self.plan.formats[layer.name].scale / scale
        multiplier, addend = norm.constants(given.codes, scale, most)
        return replace(layer, multiplier=multiplier, addend=addend).integer(self.plan), norm(given.real, scale)

    def _float(self, layer: AnyLayer, integer: Any) -> AnyLayer:
        """The float layer whose numbers an integer one holds."""
        if isinstance(layer, Window):
            weights = integer.weights.transpose(0, 3, 1, 2) * integer.weight_format.scale
            return replace(layer, weights=np.ascontiguousarray(weights, np.float32))
        if isinstance(layer, Affine) and module_name(layer.name) in self.norms:
            scale = integer.output.scale
            multiplier = np.ldexp(integer.multiplier.astype(np.float64), -integer.shift.astype(int)) * scale
            addend = np.ldexp(integer.addend.astype(np.float64), -integer.shift.astype(int)) * scale
            return replace(layer, multiplier=multiplier / self.plan.scales[layer.inputs[0]], addend=addend)
        return layer
