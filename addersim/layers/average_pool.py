"""Averages over windows, and their sums."""

from __future__ import annotations

import msgspec
import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Rounding, bits_for
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.pooling import PoolAxis
from addersim.arithmetic.requantisation import requantisation_rule
from addersim.arithmetic.rescaled_sums import MEANS, Mean, keeps_zero_point, mean_bill, mean_constants
from addersim.errors import FormatError, NetworkError
from addersim.kernels.pooling import reduce_axes
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Pair, Plan, Run, Shape, Value, observe
from addersim.layers.narrowing import factor_counts, fixed_factor, planned_gain
from addersim.layers.pool_windows import check_windows, moves_of, pool_shape, pooled, windows_in_words, windows_of
from addersim.layers.rescale import checked_rule

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

    def counts(self, shape: Shape) -> list[int]:
        """The numbers that sums of windows over an image of a shape are divided by, each once."""
        return sorted({int(one) for one in _divisors(self, shape).flat})

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

    Another `rule` than ``addersim`` scales the exact sums in its own way. With `source`, the format of the input, the mean is
    that of the rule's framework, zero points and a fused activation (`low`, `high`) included: see `kernels.rescaled_mean`,
    which also says what `operator` means.
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
    rule: str = "addersim"
    source: FixedFormat | None = None
    operator: Mean = "pool"
    low: int | None = None
    high: int | None = None

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)
        rule = checked_rule(self.name, self.rule, self.output, self.low, self.high)
        plain = self.dilation == (1, 1) and self.divisor is None and self.output_size is None
        if self.source is not None and not (plain and self.operator in MEANS):
            allowed = f"means of windows without dilation and divisor, and {' or '.join(MEANS)}"
            raise NetworkError(f"layer {self.name}: a mean in the manner of a framework is one of {allowed}")
        if self.source is not None:
            one = np.ones(1, np.int64)
            try:
                mean_constants(rule, self.operator, self.source, self.output, one, one)
            except FormatError as error:
                raise NetworkError(f"layer {self.name}: {error}") from None

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        """Into another format it is a reduction over the whole image, and wherever the rule's pools keep their format."""
        changes = self.source is not None and (self.source.scale, self.source.zero_point) != (
            self.output.scale,
            self.output.zero_point,
        )
        operator: Mean = self.operator if self.kernel is None else "pool"
        if changes and (self.kernel is None or keeps_zero_point(requantisation_rule(rule), "pool")):
            operator = "reduction"
        return msgspec.structs.replace(self, rule=rule, operator=operator)

    def factors(self, shape: Shape) -> tuple[Array, Array]:
        """Multiplier and shift of each output place in raster order, or of the first alone where all are the same."""
        gains, place = np.unique(self.gains(shape), return_inverse=True)
        factors = np.array([fixed_factor(float(one), self.multiplier_bits, self.name) for one in gains])
        multiplier, shift = factors[place].T
        return multiplier.astype(np.int32), shift.astype(np.uint8)

    def gains(self, shape: Shape) -> Array:
        """Output codes a step of the sum, of each place in raster order, or of the first alone where all are the same."""
        divisors = _divisors(self, shape).ravel()
        return self.gain / (divisors if (divisors != divisors[0]).any() else divisors[:1])

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if self.source is not None and given != Value.of(given.shape, self.source):
            raise NetworkError(f"layer {self.name}: expects its input in {self.source}, layer {self.inputs[0]} gives {given}")
        if self.source is None and (given.zero_point or self.output.zero_point):
            raise NetworkError(f"layer {self.name}: averages codes with a zero point; give the format of its input, source")
        return Value.of(pool_shape(self, given.shape), self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        if self.source is not None:
            return self._mean(engine, codes[0], self.source, threads)
        sums = pooled(self, codes[0], engine.sum_pool, engine.adaptive_sum_pool, threads)
        images, rows, columns, channels = sums.shape
        shape = channels, *codes[0].shape[1:3]
        gains = self.gains(shape)
        places = len(gains)  # with their channels they are the channels of one pixel, which the kernels tell apart
        pixels = sums.reshape(images, rows * columns // places, places * channels)
        none = np.zeros(places * channels, np.int64)
        if self.rule != "addersim":
            scales = np.repeat(gains, channels)
            found = engine.requantize(pixels, scales, none, self.rule, output=self.output, threads=threads)
        else:
            multiplier, shift = self.factors(shape)
            found = engine.affine(
                pixels,
                np.repeat(multiplier, channels),
                none,
                np.repeat(shift, channels),
                output=self.output,
                rounding=self.rounding,
                overflow="saturate",
                threads=threads,
            )
        seen = observe(found.minimum, found.maximum, found.overflowed, found.values.size)
        return Run(found.values.reshape(sums.shape), seen)

    def _operator_over(self, image: tuple[int, ...]) -> Mean:
        """ONNX Runtime takes a pool over the whole image for its global one (contrib_ops/cpu/quantization/qlinear_pool.cc)."""
        padded = any((*self.padding, *(self.far_padding or ())))
        whole = self.kernel == tuple(image) and not padded and requantisation_rule(self.rule).formula == "float"
        return "reduction" if whole else self.operator

    def _mean(self, engine: Engine, codes: Array, source: FixedFormat, threads: int | None) -> Run:
        kernel = self.kernel or (codes.shape[1], codes.shape[2])
        found = engine.rescaled_mean(
            codes,
            source,
            self.rule,
            kernel,
            output=self.output,
            operator=self._operator_over(codes.shape[1:3]),
            count_padding=self.count_padding,
            low=self.low,
            high=self.high,
            stride=self.stride or kernel,
            padding=self.padding,
            far_padding=self.far_padding,
            ceil_mode=self.ceil_mode,
            threads=threads,
        )
        return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))

    def bill(self, output: Value, *inputs: Value) -> Bill:
        """An addition for each tap but the first: a tap in the padding is one where it counts."""
        (given,) = inputs
        rows, columns = _taps(self, windows_of(self, given.shape))
        most, taps = int(rows.max() * columns.max()), int(rows.sum() * columns.sum())
        sum_bits = given.bits + bits_for(0, most - 1, signed=False) if most > 1 else given.bits
        counts = OpCounts({("add", sum_bits): output.shape[0] * taps - output.words})
        rule = requantisation_rule(self.rule)
        if self.source is not None:
            counts += mean_bill(rule, self._operator_over(given.shape[1:]), output.words, sum_bits, self.source, self.output)
        elif self.rule == "addersim":
            factors = zip(*(one.tolist() for one in self.factors(given.shape)), strict=True)
            counts += factor_counts(factors, sum_bits, self.multiplier_bits, output.words)
        else:
            counts += rule.bill(output.words, sum_bits, self.output.bits)
        return Bill(counts, accumulator_bits=sum_bits)
