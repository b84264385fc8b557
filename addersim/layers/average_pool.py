"""Averages over windows, and their sums."""

from __future__ import annotations

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Rounding, bits_for
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.pooling import PoolAxis
from addersim.errors import NetworkError
from addersim.kernels.pooling import reduce_axes
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Pair, Plan, Run, Shape, Value, observe
from addersim.layers.narrowing import factor_counts, fixed_factor, planned_gain
from addersim.layers.pool_windows import check_windows, moves_of, pool_shape, pooled, windows_in_words, windows_of

__all__ = ["AveragePool", "IntegerAveragePool"]


def _check(layer: AveragePool | IntegerAveragePool) -> None:
    check_windows(layer)
    if layer.divisor is not None and layer.divisor < 1:
        raise NetworkError(
            f"layer {layer.name}: divisor {layer.divisor} is not a whole number of at least 1; None divides by the taps"
        )


def _taps(layer: AveragePool | IntegerAveragePool, axes: tuple[PoolAxis, PoolAxis]) -> tuple[Array, Array]:
    """Taps that are summed along height and width, of each window."""
    rows, columns = (np.array(axis.taps if layer.count_padding else axis.inside, np.int64) for axis in axes)
    return rows, columns


def _divisors(layer: AveragePool | IntegerAveragePool, shape: Shape) -> Array:
    """What each output's sum is divided by, ``(height, width)``."""
    rows, columns = _taps(layer, windows_of(layer, shape))
    sizes: Array = np.multiply.outer(rows, columns)
    return sizes if layer.divisor is None else np.full_like(sizes, layer.divisor)


class AveragePool(Layer, frozen=True, tag="average_pool"):
    """Mean over a window. Windows as in `addersim.layers.MaxPool`: `kernel` None is the whole image.

    A sum is divided by the number of taps: those in the padding are zeros and count, unless `count_padding` is false; those
    beyond it, where `ceil_mode` lets a window stick out, never do. `divisor` takes its place: 1 makes a sum of the mean.
    """

    kernel: Pair | None = None
    stride: Pair | None = None
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    far_padding: Pair | None = None
    ceil_mode: bool = False
    count_padding: bool = True
    divisor: int | None = None
    output_size: Pair | None = None

    KEEPS_SIGN = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)

    def shape(self, *inputs: Shape) -> Shape:
        return pool_shape(self, inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        (x,) = values
        shape = (x.shape[3], *x.shape[1:3])
        sums = reduce_axes(x, windows_of(self, shape), np.add, np.float64)
        means: Array = (sums / _divisors(self, shape)[..., None]).astype(x.dtype)
        return means

    def integer(self, plan: Plan) -> IntegerLayer:
        return IntegerAveragePool(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            gain=planned_gain(plan.scales[self.inputs[0]] / plan.formats[self.name].scale, plan),
            multiplier_bits=plan.how.multiplier_bits,
            output=plan.formats[self.name],
            rounding=plan.rounding(self.name),
            count_padding=self.count_padding,
            divisor=self.divisor,
            **moves_of(self),
        )

    def details(self) -> str:
        words = [windows_in_words(self)]
        words += ["padding not counted"] * (not self.count_padding) + [f"divisor {self.divisor}"] * (self.divisor is not None)
        return " ".join(words)


class IntegerAveragePool(IntegerLayer, frozen=True, tag="average_pool"):
    """Sum of codes, then multiply and shift into the output format: ``round(sum * multiplier / 2**shift)``.

    `gain` is the input scale over the output scale; over an output's divisor it is the real factor that its multiplier holds.
    Outputs with different divisors, at an edge, have different multipliers. The rest is as in `AveragePool`.
    """

    gain: float
    multiplier_bits: int
    output: FixedFormat
    rounding: Rounding
    kernel: Pair | None = None
    stride: Pair | None = None
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    far_padding: Pair | None = None
    ceil_mode: bool = False
    count_padding: bool = True
    divisor: int | None = None
    output_size: Pair | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)

    def _factors(self, shape: Shape) -> tuple[Array, Array]:
        """Multiplier and shift of each output place in raster order, or of the first alone where all are the same."""
        divisors, place = np.unique(_divisors(self, shape), return_inverse=True)
        factors = np.array([fixed_factor(self.gain / int(one), self.multiplier_bits, self.name) for one in divisors])
        multiplier, shift = factors[place.ravel() if len(divisors) > 1 else [0]].T
        return multiplier.astype(np.int32), shift.astype(np.uint8)

    def value(self, *inputs: Value) -> Value:
        return Value.of(pool_shape(self, inputs[0].shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        sums = pooled(self, codes[0], engine.sum_pool, engine.adaptive_sum_pool, threads)
        images, rows, columns, channels = sums.shape
        multiplier, shift = self._factors((channels, *codes[0].shape[1:3]))
        places = len(multiplier)  # with their channels they are the channels of one pixel, which the affine tells apart
        found = engine.affine(
            sums.reshape(images, rows * columns // places, places * channels),
            np.repeat(multiplier, channels),
            np.zeros(places * channels, np.int64),
            np.repeat(shift, channels),
            output=self.output,
            rounding=self.rounding,
            overflow="saturate",
            threads=threads,
        )
        seen = observe(found.minimum, found.maximum, found.overflowed, found.values.size)
        return Run(found.values.reshape(sums.shape), seen)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        """An addition for each tap but the first: a tap in the padding is one where it counts."""
        (given,) = inputs
        rows, columns = _taps(self, windows_of(self, given.shape))
        most, taps = int(rows.max() * columns.max()), int(rows.sum() * columns.sum())
        sum_bits = given.bits + bits_for(0, most - 1, signed=False) if most > 1 else given.bits
        counts = OpCounts({("add", sum_bits): output.shape[0] * taps - output.words})
        factors = zip(*(one.tolist() for one in self._factors(given.shape)), strict=True)
        counts += factor_counts(factors, sum_bits, self.multiplier_bits, output.words)
        return Bill(counts, accumulator_bits=sum_bits)
