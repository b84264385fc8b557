"""Pooling: maximum, average and global average."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Rounding, bits_for
from addersim.arithmetic.ops import OpCounts
from addersim.errors import LoweringError, NetworkError
from addersim.layers.base import (
    Array,
    Bill,
    Built,
    Engine,
    IntegerLayer,
    Layer,
    Pair,
    Plan,
    Run,
    Shape,
    Value,
    pair,
    pooled_size,
)
from addersim.layers.narrowing import Factor, factor_counts, fixed_factor, narrow, planned_gain

__all__ = ["FUNCTIONS", "MODULES", "AveragePool", "IntegerAveragePool", "IntegerMaxPool", "MaxPool"]


def _patches(values: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, fill: float) -> Array:
    """Views of shape (images, height, width, channels, kernel height, kernel width)."""
    if any(padding):
        edges = ((0, 0), (padding[0], padding[0]), (padding[1], padding[1]), (0, 0))
        values = np.pad(values, edges, constant_values=fill)
    reach = tuple(dilation[axis] * (kernel[axis] - 1) + 1 for axis in range(2))
    views = np.lib.stride_tricks.sliding_window_view(values, reach, axis=(1, 2))
    return views[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


class MaxPool(Layer, frozen=True, tag="max_pool"):
    """Maximum over a window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    KEEPS_SCALE = True
    KEEPS_SIGN = True
    PASSES_CODES = True

    def shape(self, *inputs: Shape) -> Shape:
        where = f"layer {self.name}"
        return (inputs[0][0], *pooled_size(inputs[0], self.kernel, self.stride, self.padding, self.dilation, where))

    def run(self, *values: Array, threads: int | None = None) -> Array:
        outputs: Array = _patches(values[0], self.kernel, self.stride, self.padding, self.dilation, -np.inf).max(axis=(-2, -1))
        return outputs

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerMaxPool(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=plan.formats[self.name],
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def details(self) -> str:
        return f"{self.kernel[0]}x{self.kernel[1]} stride {self.stride[0]}"


class IntegerMaxPool(IntegerLayer, frozen=True, tag="max_pool"):
    """Maximum of codes; the format stays."""

    output: FixedFormat
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def value(self, *inputs: Value) -> Value:
        given, expected = inputs[0], self.output
        if given != Value.of(given.shape, expected):
            raise NetworkError(f"layer {self.name}: input {given} and output {expected} must have one format")
        size = pooled_size(given.shape, self.kernel, self.stride, self.padding, self.dilation, f"layer {self.name}")
        return Value.of((given.shape[0], *size), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        pooled = engine.max_pool(
            codes[0], kernel=self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation, threads=threads
        )
        return Run(pooled)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        steps = output.words * (self.kernel[0] * self.kernel[1] - 1)
        return Bill(OpCounts({("cmp", output.bits): steps, ("mux", output.bits): steps}))


class AveragePool(Layer, frozen=True, tag="average_pool"):
    """Mean over a window, padded zeros included; `kernel` None is the whole image."""

    kernel: Pair | None
    stride: Pair | None = None
    padding: Pair = (0, 0)

    KEEPS_SIGN = True

    def window(self, shape: Shape) -> tuple[Pair, Pair]:
        """Kernel and stride for an input."""
        kernel = self.kernel or (shape[1], shape[2])
        return kernel, self.stride or kernel

    def shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 3:
            raise NetworkError(f"layer {self.name}: needs an input of channels x height x width, found {shape}")
        kernel, stride = self.window(shape)
        return (shape[0], *pooled_size(shape, kernel, stride, self.padding, (1, 1), f"layer {self.name}"))

    def run(self, *values: Array, threads: int | None = None) -> Array:
        kernel, stride = self.window((0, *values[0].shape[1:3]))
        patches = _patches(values[0], kernel, stride, self.padding, (1, 1), 0.0)
        outputs: Array = patches.mean(axis=(-2, -1), dtype=np.float32)
        return outputs

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerAveragePool(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            gain=planned_gain(plan.scales[self.inputs[0]] / plan.formats[self.name].scale, plan),
            multiplier_bits=plan.how.multiplier_bits,
            output=plan.formats[self.name],
            rounding=plan.how.rounding,
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
        )

    def details(self) -> str:
        return (
            "global" if self.kernel is None else f"{self.kernel[0]}x{self.kernel[1]} stride {(self.stride or self.kernel)[0]}"
        )


class IntegerAveragePool(IntegerLayer, frozen=True, tag="average_pool"):
    """Sum of codes, then multiply and shift into the output format: ``round(sum * multiplier / 2**shift)``.

    `gain` is the input scale over the output scale; over the window's size it is the real factor that the multiplier holds.
    """

    gain: float
    multiplier_bits: int
    output: FixedFormat
    rounding: Rounding
    kernel: Pair | None
    stride: Pair | None = None
    padding: Pair = (0, 0)

    def _window(self, shape: Shape) -> tuple[Pair, Pair]:
        kernel = self.kernel or (shape[1], shape[2])
        return kernel, self.stride or kernel

    def _multiplier(self, kernel: Pair) -> Factor:
        return fixed_factor(self.gain / (kernel[0] * kernel[1]), self.multiplier_bits, self.name)

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if len(given.shape) != 3:
            raise NetworkError(f"layer {self.name}: needs an input of channels x height x width, found {given.shape}")
        kernel, stride = self._window(given.shape)
        size = pooled_size(given.shape, kernel, stride, self.padding, (1, 1), f"layer {self.name}")
        return Value.of((given.shape[0], *size), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        kernel, stride = self._window((0, *codes[0].shape[1:3]))
        sums = engine.sum_pool(codes[0], kernel=kernel, stride=stride, padding=self.padding, threads=threads)
        return narrow(engine, sums, self._multiplier(kernel), self.output, self.rounding, threads=threads)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        (given,) = inputs
        kernel, _ = self._window(given.shape)
        taps = kernel[0] * kernel[1]
        sum_bits = given.bits + bits_for(0, taps - 1, signed=False) if taps > 1 else given.bits
        counts = OpCounts({("add", sum_bits): output.words * (taps - 1)})
        counts += factor_counts(self._multiplier(kernel), sum_bits, self.multiplier_bits, output.words)
        return Bill(counts, accumulator_bits=sum_bits)


def _max_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Built:
    if ceil_mode or return_indices:
        raise LoweringError("max pooling with ceil_mode or return_indices is not supported")
    kernel = pair(kernel_size, "kernel_size", 1)
    return MaxPool, {
        "kernel": kernel,
        "stride": kernel if stride in (None, []) else pair(stride, "stride", 1),
        "padding": pair(padding, "padding"),
        "dilation": pair(dilation, "dilation", 1),
    }


def _average_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Built:
    padded = pair(padding, "padding")
    if ceil_mode or divisor_override is not None or (any(padded) and not count_include_pad):
        raise LoweringError(
            "average pooling with ceil_mode, divisor_override or without counting the padding is not supported"
        )
    kernel = pair(kernel_size, "kernel_size", 1)
    return AveragePool, {
        "kernel": kernel,
        "stride": kernel if stride in (None, []) else pair(stride, "stride", 1),
        "padding": padded,
    }


def _adaptive_average_pool(output_size: Any) -> Built:
    if output_size not in (1, (1, 1), [1, 1]):
        raise LoweringError(f"adaptive average pooling to {output_size} is not supported; only to 1 x 1")
    return AveragePool, {"kernel": None}


MODULES = {
    "MaxPool2d": lambda m: _max_pool(m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices),
    "AvgPool2d": lambda m: _average_pool(
        m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    ),
    "AdaptiveAvgPool2d": lambda m: _adaptive_average_pool(m.output_size),
}
FUNCTIONS = {
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_average_pool,
}
