"""The words of one window layer for one image: operands as they enter the datapath, sums, and the codes that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import Arithmetic
from addersim.arithmetic.datapaths import datapath
from addersim.arithmetic.fixed import FixedFormat, bits_for, format_name
from addersim.errors import NetworkError
from addersim.images import Images
from addersim.inputs.text import did_you_mean
from addersim.layers import IntegerAffine, IntegerRescale, IntegerWindow
from addersim.program import Program
from addersim.rtl.elements import Element
from addersim.rtl.shapes import LayerShape

__all__ = ["LayerVectors", "layer_vectors"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerVectors:
    """A window layer's words for one image.

    Attributes
    ----------
    network, layer
        Names.
    element
        The processing element that computes it, its operands and its register.
    shape
        Of the layer.
    inputs
        Operands as they are stored, of every pixel and channel, channels last.
    weights
        As they are stored, a row a filter: its taps in the order of the sum.
    sums
        What the register holds after the last tap, ``(pixels, filters)``.
    codes
        What the sums become, of the same shape, or None where nothing narrows them.
    products
        Of a multiplier that is a table: by the byte of the input and that of the weight, or of their magnitudes. Else None.
    facts
        Formats and constants, for a file.
    """

    network: str
    layer: str
    element: Element
    shape: LayerShape
    inputs: Words
    weights: Words
    sums: Words
    codes: Words | None
    facts: dict[str, Any]
    products: Array | None = None

    def places(self, most: int) -> Words:
        """Sums whose taps are at most some number altogether, as numbers in their order: all, or some chosen by chance."""
        count = max(1, most // self.shape.taps)
        if count >= self.sums.size:
            return np.arange(self.sums.size)
        return np.sort(np.random.default_rng(0).choice(self.sums.size, count, replace=False))

    def taps(self, places: Words) -> tuple[Words, Words]:
        """Inputs and weights of some sums, ``(sums, taps)``, as they are stored; zero in the padding."""
        shape = self.shape
        pixel, filter_ = np.divmod(places, len(self.weights))
        row, column = np.divmod(pixel, shape.out_width)
        tap, channel = np.divmod(np.arange(shape.taps), shape.group_channels)
        y, x = np.divmod(tap, shape.kernel_width)
        y = row[:, None] * shape.stride_y - shape.padding_y + y * shape.dilation_y
        x = column[:, None] * shape.stride_x - shape.padding_x + x * shape.dilation_x
        inside = (y >= 0) & (y < shape.height) & (x >= 0) & (x < shape.width)
        first = filter_ // shape.group_filters * shape.group_channels
        at = (y * shape.width + x) * shape.channels + first[:, None] + channel
        return np.where(inside, self.inputs[np.where(inside, at, 0)], 0), self.weights[filter_]


def layer_vectors(program: Program, layer: str, images: Images) -> LayerVectors:
    """The words of a window layer of a program for the first of some images.

    Raises
    ------
    NetworkError
        For a name that is no window layer's.
    """
    windows = {one.name: one for one in program.layers if isinstance(one, IntegerWindow)}
    if layer not in windows:
        raise NetworkError(f"layer {layer!r} is no window layer; known: {', '.join(windows)}{did_you_mean(layer, windows)}")
    window = windows[layer]
    values = {name: np.asarray(run.values) for name, run in program.runs(images[:1])}
    codes = values[window.inputs[0]]
    x, w = window.operands(codes, window.operand_weights(np.arange(len(window.weights))))
    arithmetic = datapath(window.datapath).arithmetic
    input_bits, input_signed, x = _stored_inputs(window, arithmetic, x)
    weight_bits, weight_signed, w = _stored_weights(window, arithmetic, w)
    pixels = codes.reshape(1, 1, 1, -1) if codes.ndim == 2 else codes
    sums = values[layer].reshape(-1, len(w)).astype(np.int64)
    readers = (one for one in program.layers if one.inputs == (layer,))
    after = next((one for one in readers if isinstance(one, IntegerAffine | IntegerRescale)), None)
    height, width, channels = pixels.shape[1:]
    return LayerVectors(
        network=program.name,
        layer=layer,
        element=Element(
            window.datapath.replace("-", "_"),
            input_bits,
            weight_bits,
            input_signed,
            weight_signed,
            window.accumulator_bits(),
            window.accumulator.overflow == "saturate",
        ),
        shape=LayerShape.of((1, height, width, channels), _four(window.weights.shape), window.geometry),
        inputs=x.reshape(-1),
        weights=w.reshape(len(w), -1),
        sums=sums,
        codes=None if after is None else values[after.name].reshape(sums.shape).astype(np.int64),
        facts=_facts(program, window, after),
        products=None
        if window.multiplier is None
        else window.multiplier.by_operands(window.input_format, window.weight_format),
    )


def _four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    filters, height, width, channels = shape
    return filters, height, width, channels


def _stored_inputs(window: IntegerWindow, arithmetic: Arithmetic, x: Array) -> tuple[int, bool, Words]:
    """Bits, whether they are signed, and words of inputs that are operands."""
    if arithmetic.activation_bits == 1:
        return 1, True, (x < 0).astype(np.int64)
    ends = np.array([window.input_format.minimum, window.input_format.maximum])
    low, high = (int(one) for one in window.operands(ends, ends)[0])
    bits = bits_for(low, high, signed=low < 0)
    return bits, low < 0, x & ((1 << bits) - 1)


def _stored_weights(window: IntegerWindow, arithmetic: Arithmetic, w: Array) -> tuple[int, bool, Words]:
    codec = arithmetic.codec
    if not codec.uniform:
        bits = codec.stored_bits(window.weight_format)
        return bits, True, codec.stored(w, bits)
    ends = np.array([window.weight_format.minimum, window.weight_format.maximum])
    shifted = window.operands(ends, ends)[1]
    low, high = min(int(w.min()), int(shifted[0])), max(int(w.max()), int(shifted[1]))
    bits = bits_for(low, high, signed=low < 0)
    return bits, low < 0, codec.stored(w, bits)


def _facts(program: Program, window: IntegerWindow, after: IntegerAffine | IntegerRescale | None) -> dict[str, Any]:
    register = window.accumulator
    facts: dict[str, Any] = {
        "network": program.name,
        "layer": window.name,
        "datapath": window.datapath,
        "input": str(window.input_format),
        "weights": str(window.weight_format),
        "sum": format_name(window.accumulator_bits(), True, window.scale),
        "overflow": register.overflow,
    }
    if after is not None:
        facts["output"] = {"layer": after.name, "format": str(after.output), **_ends(after.output), **_constants(after)}
    return facts


def _ends(output: FixedFormat) -> dict[str, int]:
    return {"low": output.minimum, "high": output.maximum, "zero_point": output.zero_point}


def _constants(after: IntegerAffine | IntegerRescale) -> dict[str, Any]:
    if isinstance(after, IntegerAffine):
        numbers = {name: getattr(after, name).tolist() for name in ("multiplier", "addend", "shift")}
        return {"rule": after.rounding, "overflow": after.overflow, **numbers}
    return {"rule": after.rule, "bias": after.bias.tolist(), "scale": after.scale.tolist()}
