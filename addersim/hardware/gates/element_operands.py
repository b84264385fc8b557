"""Operands of processing elements: made up with a share of zeros, or those of a network's own layer; and what they sum to.

An element sees the taps of one output after another, each in the order kernel row, kernel column, input channel, as the
simulator sums them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import bits_for
from addersim.errors import HardwareError
from addersim.hardware.prices.row import device_of
from addersim.images import Images
from addersim.layers import IntegerWindow
from addersim.program import Program
from addersim.rtl.elements import Element as VerilogElement
from addersim.toggles import Toggles

__all__ = ["LANES", "Element", "Operands", "layer_operands", "made_up_operands", "uniform_operands"]

Array = npt.NDArray[Any]

LANES = 32
"""Signs that an element of binary layers takes at once: as many as its datapath sums together."""
TAPS = 256
"""Taps of a sum that the accumulator of an element in a table holds, whatever they are."""
GROUP = 64
"""Taps of a sum of made-up operands."""
TURN, ROW_GROUP = 8, 12
"""Sums that take turns, and taps of each, in an element of a row stationary array whose operands are made up: as many as a row
of a kernel has of a few channels."""
SHORT = 3
"""Taps of a sum of made-up operands where one filter alone is an element's: a row of a kernel of a depthwise layer."""
HOLD = 16
"""Taps for which a made-up word is held, where one operand is: few words would stand for too little."""


@dataclass(frozen=True, slots=True)
class Element:
    """A processing element: a datapath at a width, as the package's Verilog has it.

    Attributes
    ----------
    datapath, style
        Name of the datapath, and of the multiplier's style where there are several (``booth``; empty for the usual one).
    input_bits, weight_bits, input_signed, weight_signed
        Formats of its operands, as stored.
    accumulator_bits
        Width of its sum, which wraps.
    scratchpads
        Whether its operands and sums come from scratchpads, and sums go back there: an element of a row stationary array.
        These are memories, and no part of it.
    """

    datapath: str
    style: str
    input_bits: int
    weight_bits: int
    input_signed: bool
    weight_signed: bool
    accumulator_bits: int
    scratchpads: bool = False

    @property
    def in_verilog(self) -> VerilogElement:
        """The same as the package's Verilog has it."""
        circuit = "_".join([self.datapath.replace("-", "_"), *([self.style] if self.style else [])])
        widths = (self.lanes, self.lanes) if self.lanes > 1 else (self.input_bits, self.weight_bits)
        signs = self.input_signed, self.weight_signed
        return VerilogElement(circuit, *widths, *signs, self.accumulator_bits, scratchpads=self.scratchpads)

    @property
    def module(self) -> str:
        """Name of its Verilog module."""
        return self.in_verilog.module

    @property
    def lanes(self) -> int:
        """Taps that it takes at once."""
        return DATAPATHS[self.datapath].together

    @property
    def device(self) -> str:
        """What tables call it beside its datapath: the multiplier's style, whether inputs have a sign, and whose element."""
        return device_of(self.style, self.input_signed and self.lanes == 1, self.scratchpads)

    @property
    def parameters(self) -> dict[str, int | str]:
        """Parameters of its module."""
        return dict(self.in_verilog.design().parameters)

    @classmethod
    def of_width(
        cls,
        datapath: str,
        bits: int,
        style: str = "",
        more_accumulator: int = 0,
        signed: bool = False,
        scratchpads: bool = False,
    ) -> Element:
        """The element of a width in a table: activations behind a ReLU, and a sum that 256 taps cannot overflow.

        Inputs have a sign where that is asked for. Weights have one, but for those that are clipped to their input's range
        (adder layers).

        Examples
        --------
        >>> Element.of_width("l1-2a", 8)
        Element(datapath='l1-2a', style='', input_bits=8, weight_bits=8, input_signed=False, weight_signed=False,\
 accumulator_bits=17, scratchpads=False)
        """
        record = DATAPATHS[datapath].arithmetic
        if record.activation_bits == 1:
            bits, weight_bits, signed = 1, 1, True
            ends: tuple[tuple[int, int], tuple[int, int]] = ((-1, 1), (-1, 1))
        else:
            weight_bits = record.codec.bits(bits, f"datapath {datapath}")
            most = record.codec.largest(weight_bits)
            weights = (-(1 << weight_bits - 1), most) if record.codec.uniform else (-most, most)
            inputs = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            ends = inputs, inputs if record.exact_clip else weights
        low, high = record.ends(*ends)
        accumulator = bits_for(TAPS * low, TAPS * high) + more_accumulator
        signs = signed, signed or not record.exact_clip
        return cls(datapath, style, bits, weight_bits, *signs, accumulator, scratchpads)

    @classmethod
    def of_layer(cls, layer: IntegerWindow, style: str = "", scratchpads: bool = False) -> Element:
        """The element that a layer runs on, its operands aligned to one scale where its terms want that.

        It takes them less their zero points: inputs whose zero is the least code have no sign, others one bit more.
        """
        (input_bits, weight_bits, signed), (x_places, w_places) = layer.tap_operands(), layer.places()
        weight_signed = layer.weight_zero_points is not None or layer.weight_format.signed
        formats = (input_bits + x_places, weight_bits + w_places, signed, weight_signed)
        return cls(layer.datapath, style, *formats, layer.accumulator_bits(), scratchpads)


@dataclass(frozen=True, slots=True)
class Operands:
    """Values of both operands, step by step, ``(steps, lanes)``, and where a sum begins.

    Attributes
    ----------
    x, w, starts
        Inputs, weights, and whether a step is the first of its sum.
    turn
        Sums that take turns, each a tap: a step goes on with the sum of so many steps before.
    """

    x: Array
    w: Array
    starts: Array
    turn: int = 1

    @property
    def zeros(self) -> float:
        """Share of the taps whose input is zero."""
        return float((self.x == 0).mean())

    def words(self, element: Element) -> dict[str, Array]:
        """What the ports of an element are given, a word a step."""
        record = DATAPATHS[element.datapath].arithmetic
        steps = len(self.starts)
        if element.lanes > 1:
            places = np.arange(element.lanes)
            x, w = (((one < 0).astype(np.int64) << places).sum(axis=1) for one in (self.x, self.w))
        else:
            x, w = self.x[:, 0], record.codec.stored(self.w[:, 0], element.weight_bits)
        starts = self.starts.astype(np.int64)
        words = {"input_code": x, "weight_code": w, "clear": starts, "enable": np.ones(steps, np.int64)}
        if element.scratchpads:
            words["sum_before"] = np.concatenate([np.zeros(self.turn, np.int64), self.sums(element)[: -self.turn]])[:steps]
        return words

    def incoming_sums(self, element: Element) -> Array:
        """What the register of the sum that comes takes in an element between scratchpads, step by step."""
        return np.where(self.starts, 0, self.words(element)["sum_before"])

    def alone(self, taps: int = SHORT) -> Operands:
        """The same as sums of so many taps that follow each other: none takes turns."""
        return replace(self, starts=np.arange(len(self.starts)) % taps == 0, turn=1)

    def held(self, x: bool, steps: int = HOLD) -> Operands:
        """The same with every word of one operand, the inputs or the weights, held for some steps."""
        places = np.arange(len(self.starts)) // steps * steps
        return replace(self, x=self.x[places]) if x else replace(self, w=self.w[places])

    def toggles(self, element: Element) -> Toggles:
        """What the bits at an element's ports do, from one sum to the next too; of sums only where they have a port."""
        words = self.words(element)
        x, w = words["input_code"] & (1 << element.input_bits) - 1, words["weight_code"]
        sums = [self.incoming_sums(element)] if element.scratchpads else []
        x_changes, w_changes, *of_sums = (float(np.bitwise_count(one[1:] ^ one[:-1]).mean()) for one in (x, w, *sums))
        ones = (float(np.bitwise_count(one).mean()) for one in (x, w))
        return Toggles("as given", self.zeros, x_changes, w_changes, *ones, *of_sums)

    def sums(self, element: Element) -> Array:
        """What the accumulator holds after each step, as its bits read without sign."""
        terms = DATAPATHS[element.datapath].arithmetic.term(self.x.astype(np.int64), self.w.astype(np.int64)).sum(axis=1)
        sums = np.empty_like(terms)
        for one in range(self.turn):
            sums[one :: self.turn] = _running(terms[one :: self.turn], self.starts[one :: self.turn])
        bits: Array = sums & ((1 << element.accumulator_bits) - 1)
        return bits


def _running(terms: Array, starts: Array) -> Array:
    """Sums after each term, each sum from where it starts."""
    running = np.cumsum(terms)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(terms)), 0))
    sums: Array = running - (running - terms)[first]
    return sums


def uniform_operands(element: Element, steps: int, seed: int) -> Operands:
    """Operands of which every code is as likely as any other."""
    rng = np.random.default_rng(seed)
    x = _all_inputs(element)[rng.integers(0, len(_all_inputs(element)), (steps, element.lanes))]
    weights = _all_weights(element)
    w = weights[rng.integers(0, len(weights), (steps, element.lanes))]
    return Operands(x, w, *_made_up_sums(element, steps))


def _made_up_sums(element: Element, steps: int) -> tuple[Array, int]:
    """Where sums of made-up operands start, and how many take turns."""
    turn, taps = (TURN, ROW_GROUP) if element.scratchpads else (1, GROUP)
    return np.arange(steps) // turn % taps == 0, turn


def _all_inputs(element: Element) -> Array:
    if element.lanes > 1:
        return np.array([-1, 1])
    low = -(1 << element.input_bits - 1) if element.input_signed else 0
    return np.arange(low, low + (1 << element.input_bits))


def _all_weights(element: Element) -> Array:
    codec = DATAPATHS[element.datapath].arithmetic.codec
    if codec.uniform:
        low = -(1 << element.weight_bits - 1) if element.weight_signed else 0
        return np.arange(low, low + (1 << element.weight_bits))
    levels = np.array(codec.levels(element.weight_bits))
    return np.unique(np.concatenate([-levels, levels]))


def layer_operands(program: Program, images: Images, steps: int, seed: int) -> Iterator[tuple[IntegerWindow, Operands]]:
    """The operands of a program's window layers as images give them: outputs drawn at random, all taps of each.

    Parameters
    ----------
    program
        Calibrated.
    images
        As `simulate` takes them; few are enough.
    steps
        Of each layer, about: whole outputs, eight at least.
    seed
        Of the draw.
    """
    layers: dict[str, list[IntegerWindow]] = {}
    for layer in program.layers:
        if isinstance(layer, IntegerWindow):
            layers.setdefault(layer.inputs[0], []).append(layer)
    rng = np.random.default_rng(seed)
    for name, run in program.runs(images):
        for layer in layers.get(name, ()):
            assert run.values is not None
            yield layer, _drawn(layer, run.values, steps, rng)


def _drawn(layer: IntegerWindow, codes: Array, steps: int, rng: np.random.Generator) -> Operands:
    """Operands of some outputs of a layer."""
    if layer.multiplier is not None:
        raise HardwareError(f"layer {layer.name}: has a multiplier's table; no element is made for it")
    pixels = codes if codes.ndim == 4 else codes[:, None, None, :]
    filters, height, width, channels = layer.weights.shape
    geometry, lanes = layer.geometry, DATAPATHS[layer.datapath].together
    rows, columns = geometry.output_size(pixels.shape[1], pixels.shape[2])
    taps = height * width * channels
    outputs = max(8, steps * lanes // taps)
    image, row, column = (rng.integers(0, most, outputs) for most in (len(pixels), rows, columns))
    chosen = rng.integers(0, filters, outputs)
    group = chosen // (filters // layer.groups)
    y = row[:, None] * geometry.stride[0] - geometry.padding[0] + np.arange(height) * geometry.dilation[0]
    x = column[:, None] * geometry.stride[1] - geometry.padding[1] + np.arange(width) * geometry.dilation[1]
    inside = ((y >= 0) & (y < pixels.shape[1]))[:, :, None] & ((x >= 0) & (x < pixels.shape[2]))[:, None, :]
    y, x = y.clip(0, pixels.shape[1] - 1), x.clip(0, pixels.shape[2] - 1)
    channel = group[:, None] * channels + np.arange(channels)
    found = pixels[image[:, None, None, None], y[:, :, None, None], x[:, None, :, None], channel[:, None, None, :]]
    found = np.where(inside[..., None], found, layer.input_format.zero_point)
    x, w = layer.operands(found, layer.operand_weights(chosen))
    return _in_steps(x.reshape(outputs, taps), w.reshape(outputs, taps), lanes)


def _in_steps(x: Array, w: Array, lanes: int) -> Operands:
    """Outputs one after another, some taps at once; those that fill up the last step of one add nothing together."""
    outputs, taps = x.shape
    missing = -taps % lanes
    x = np.concatenate([x, np.ones((outputs, missing), np.int64)], axis=1)
    w = np.concatenate([w, np.where(np.arange(missing) % 2, 1, -1) * np.ones((outputs, 1), np.int64)], axis=1)
    starts = np.arange(outputs * (x.shape[1] // lanes)) % (x.shape[1] // lanes) == 0
    return Operands(x.reshape(-1, lanes), w.reshape(-1, lanes), starts)


_INPUT_SPREAD, _WEIGHT_SPREAD, _CLIPPED_SPREAD = 0.2, 0.22, 2.0
_LEAST_SPREAD = 0.72


def made_up_operands(element: Element, zeros: float, steps: int, seed: int) -> Operands:
    """Operands like those behind a ReLU, of a share of zeros: what a table's rows are measured with.

    Inputs that are not zero are half of a normal distribution whose deviation is a fifth of the largest code, and of either
    sign where they have one; weights are
    Laplace's, 0.22 of the largest value wide, or as wide as makes every second one zero where values are few. Weights that are
    clipped to their input's range (adder layers) are Laplace's of twice that range, clipped, so that most lie at one of its
    ends. All are drawn apart from each other. These are the shapes of the bundled LeNet-5's inner layers at 8 bits.
    """
    rng, shape = np.random.default_rng(seed), (steps, element.lanes)
    record = DATAPATHS[element.datapath].arithmetic
    sums = _made_up_sums(element, steps)
    if element.lanes > 1:  # binary: a zero is a sign like all others
        return Operands(rng.choice([-1, 1], shape), rng.choice([-1, 1], shape), *sums)
    most = int(_all_inputs(element)[-1])
    x = np.rint(np.abs(rng.normal(0, max(_INPUT_SPREAD * most, _LEAST_SPREAD), shape))).astype(np.int64).clip(1, most)
    x[rng.random(shape) < zeros] = 0
    if element.input_signed:
        x *= rng.choice([-1, 1], shape)
    weights = _all_weights(element)
    largest = int(weights[-1])
    spread = _CLIPPED_SPREAD if record.exact_clip else _WEIGHT_SPREAD
    reals = rng.laplace(0, max(spread * largest, _LEAST_SPREAD), shape)
    w = np.rint(reals) if record.codec.uniform else record.codec.nearest(reals, element.weight_bits)
    return Operands(x, w.clip(weights[0], largest).astype(np.int64), *sums)
