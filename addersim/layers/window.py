"""Window layers in float: convolution, depthwise, grouped and linear, of any arithmetic; on codes: `integer_window`."""

from __future__ import annotations

import dataclasses

import numpy as np

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry
from addersim.errors import NetworkError
from addersim.layers.base import Array, IntegerLayer, Layer, Pair, Plan, Shape, moves_in_words
from addersim.layers.integer_window import IntegerWindow
from addersim.layers.window_moves import as_pixels, check_groups, like_input, moves_of, window_shape
from addersim.layers.window_operands import nonzero_groups, skips_zeros
from addersim.quantization.rules import Quantization

__all__ = ["Window"]


class Window(Layer, frozen=True, tag="window"):
    """A sliding window in float.

    Attributes
    ----------
    arithmetic
        A name in `addersim.arithmetic.arithmetics.ARITHMETICS`, such as ``l1`` for -sum |x - f|, ``mac`` for sum x * f.
    weights
        Shape ``(filters, channels / groups, kernel height, kernel width)``, as in PyTorch.
    bias
        Shape ``(filters,)``, or None.
    stride, padding, dilation
        Vertical and horizontal. Padded zeros are operands: in ``l1`` each contributes ``-|0 - f|``.
    shared
        Name of the layer before it whose weights it uses: they, and a bias equal to that layer's, are counted there.
    weight_bits
        Stored width that its weights were trained for, where their codec has several; quantisation takes no wider one.
    """

    arithmetic: str
    weights: np.ndarray
    bias: np.ndarray | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    far_padding: Pair | None = None
    shared: str | None = None
    weight_bits: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        if self.arithmetic not in ARITHMETICS:
            raise NetworkError(f"{where}: unknown arithmetic {self.arithmetic!r}; known: {', '.join(ARITHMETICS)}")
        if self.weights.ndim != 4 or self.weights.size == 0:
            raise NetworkError(f"{where}: weights are {self.weights.dtype} {self.weights.shape}; expected 4 axes of floats")
        if self.bias is not None and self.bias.shape != self.weights.shape[:1]:
            raise NetworkError(f"{where}: bias has shape {self.bias.shape}, expected {self.weights.shape[:1]}")
        if self.weight_bits is not None:
            ARITHMETICS[self.arithmetic].codec.bits(self.weight_bits, where)
        check_groups(self)

    @property
    def kernel(self) -> Pair:
        """Height and width of the window."""
        return self.weights.shape[2], self.weights.shape[3]

    @property
    def geometry(self) -> Geometry:
        """How it moves over an image."""
        return Geometry(self.kernel, **moves_of(self))

    def stored_bits(self, how: Quantization) -> int:
        """Width in which rules store a weight."""
        return how.weight_bits_of(self.name, self.arithmetic, self.weight_bits)

    def shape(self, *inputs: Shape) -> Shape:
        filters, channels, *kernel = self.weights.shape
        return window_shape(self, (filters, *kernel, channels), inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        x = values[0]
        weights = np.ascontiguousarray(self.weights.transpose(0, 2, 3, 1), dtype=x.dtype)
        outputs = kernels.forward(as_pixels(x), weights, arithmetic=self.arithmetic, threads=threads, **moves_of(self))
        if self.bias is not None:
            outputs += self.bias.astype(x.dtype)
        return like_input(outputs, x)

    def integer(self, plan: Plan) -> IntegerLayer:
        record = plan.how.datapath_of(self.arithmetic)
        input_format = plan.formats[self.inputs[0]]
        bits = self.stored_bits(plan.how)
        shape = (self.weights.shape[0], *self.kernel, self.weights.shape[1])
        if record.arithmetic.shared_scale:
            # codes of another width than the input's sit on the same grid, whole places up or down
            signed = input_format.signed or bool((self.weights < 0).any())
            weight_format = FixedFormat(bits, signed, input_format.scale * 2.0 ** (input_format.bits - bits))
        else:
            weight_format = record.arithmetic.codec.format(bits)  # linear filters were brought to scale one
        reals = self.weights.transpose(0, 2, 3, 1)
        zero = input_format.zero_point if record.arithmetic.shared_scale else 0  # weights that are clipped to the input fit
        if not plan.calibrated:
            weights = np.broadcast_to(np.zeros(1, weight_format.dtype), shape)
        elif record.arithmetic.codec.uniform:
            weights = dataclasses.replace(weight_format, zero_point=zero).encode(reals, plan.how.rounding)
        else:
            weights = record.arithmetic.codec.nearest(reals, bits).astype(weight_format.dtype)
        return IntegerWindow(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            datapath=record.name,
            weights=weights,
            input_format=input_format,
            weight_format=weight_format,
            accumulator=plan.how.accumulator,
            **moves_of(self),
            shared=self.shared,
            nonzero=nonzero_groups(reals) if skips_zeros(record.arithmetic) and not plan.calibrated else (),
            weight_zero_points=np.full(len(weights), zero, np.int32) if zero else None,
        )

    def details(self) -> str:
        words = [f"{self.arithmetic} {self.kernel[0]}x{self.kernel[1]}", *moves_in_words(self.geometry)]
        return " ".join(words + ["bias"] * (self.bias is not None))

    def parameters(self) -> int:
        return (0 if self.shared else self.weights.size) + (0 if self.bias is None else self.bias.size)
