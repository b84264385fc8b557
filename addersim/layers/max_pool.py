"""Maximum over windows."""

from __future__ import annotations

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.kernels.pooling import reduce_axes
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Pair, Plan, Run, Shape, Value
from addersim.layers.pool_windows import check_windows, moves_of, pool_shape, pooled, windows_in_words, windows_of

__all__ = ["IntegerMaxPool", "MaxPool"]


class MaxPool(Layer, frozen=True, tag="max_pool"):
    """Maximum over a window; padding never wins.

    `kernel` None is the whole image, `stride` None the kernel's size. Padding and `ceil_mode` are as in
    `addersim.arithmetic.geometry.Geometry`. `output_size` shares the image out instead (adaptive pooling).
    """

    kernel: Pair | None = None
    stride: Pair | None = None
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    far_padding: Pair | None = None
    ceil_mode: bool = False
    output_size: Pair | None = None

    KEEPS_SCALE = True
    KEEPS_SIGN = True
    PASSES_CODES = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_windows(self)

    def shape(self, *inputs: Shape) -> Shape:
        return pool_shape(self, inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        (x,) = values
        return reduce_axes(x, windows_of(self, (x.shape[3], *x.shape[1:3])), np.maximum, x.dtype)

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerMaxPool(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            output=plan.formats[self.name],
            **moves_of(self),
        )

    def details(self) -> str:
        return windows_in_words(self)


class IntegerMaxPool(IntegerLayer, frozen=True, tag="max_pool"):
    """Maximum of codes; the format stays. Windows as in `MaxPool`."""

    output: FixedFormat
    kernel: Pair | None = None
    stride: Pair | None = None
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    far_padding: Pair | None = None
    ceil_mode: bool = False
    output_size: Pair | None = None

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_windows(self)

    def value(self, *inputs: Value) -> Value:
        given, expected = inputs[0], self.output
        if given != Value.of(given.shape, expected):
            raise NetworkError(f"layer {self.name}: input {given} and output {expected} must have one format")
        return Value.of(pool_shape(self, given.shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        return Run(pooled(self, codes[0], engine.max_pool, engine.adaptive_max_pool, threads))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        """One comparison and one choice for each tap but the first; a tap in the padding is one, too."""
        rows, columns = (sum(axis.taps) for axis in windows_of(self, inputs[0].shape))
        steps = output.shape[0] * rows * columns - output.words
        return Bill(OpCounts({("cmp", output.bits): steps, ("mux", output.bits): steps}))
