"""Window layers on codes, alone or with the affine that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arguments import (
    CODES,
    AccumulatorOverflow,
    FusedResult,
    Lane,
    Moves,
    WindowResult,
    check_array,
    check_constants,
    check_exact,
    check_format,
    check_lane,
    check_threads,
    check_window,
)
from addersim.fixed import Accumulator, FixedFormat, Overflow, Rounding
from addersim.geometry import Geometry, Pair
from addersim.kernels.core import (
    LANES,
    OVERFLOWS,
    ROUNDINGS,
    chosen_set,
    codes_numbers,
    core,
    flat,
    geometry_numbers,
    type_number,
)
from addersim.kernels.elementwise import affine, fits_doubles

__all__ = ["window", "window_affine"]

Array = npt.NDArray[Any]
Bounds = tuple[Array, Array]

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True)
class _Job:
    """A window layer that is known to be sound.

    Attributes
    ----------
    word
        Type of the accumulator words.
    ends
        Smallest and largest code of x, zero included, as far as it was worth finding out.
    bounds
        Smallest and largest exact sum of each output for such an x.
    """

    x: Array
    weights: Array
    lane: Lane
    register: Accumulator
    geometry: Geometry
    shape: tuple[int, int, int, int]
    threads: int
    word: type[np.signedinteger[Any]]
    ends: Pair
    bounds: Bounds

    @property
    def narrow(self) -> bool:
        """Whether 32 bits hold every exact sum."""
        return _within(self.bounds, _INT32.min, _INT32.max)

    @property
    def ordered(self) -> Array | None:
        """Outputs for which the order of the taps matters: a mac sum that could leave a saturating register on its way."""
        if self.lane != "mac" or self.register.overflow != "saturate" or _holds(self.register, self.bounds):
            return None
        found: Array = (self.bounds[0] < self.register.minimum) | (self.bounds[1] > self.register.maximum)
        return found.view(np.uint8)

    def fuses(self, constants: tuple[Array, Array, Array], rounding: Rounding) -> bool:
        """Whether an affine can follow each sum at once: 32-bit words, in no special order, exact in doubles."""
        if not self.narrow or self.ordered is not None or self.register_numbers()[0] == OVERFLOWS["wrap"]:
            return False
        return fits_doubles(max(-int(self.bounds[0].min()), int(self.bounds[1].max())), *constants, rounding)

    def register_numbers(self) -> tuple[int, int, int, int]:
        """The register in the order of the C struct; one that no sum can leave needs no handling."""
        register = self.register
        if register.overflow == "exact" or register.bits is None or _holds(register, self.bounds):
            return OVERFLOWS["exact"], 0, 0, 0
        return OVERFLOWS[register.overflow], register.bits, register.minimum, register.maximum

    def run(
        self, y: Array, affine_numbers: tuple[Any, ...] | None = None
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Fill y; returns what was seen in the sums, and in the codes."""
        seen = core.window(
            flat(self.x),
            type_number(self.x),
            self.ends,
            flat(self.weights),
            type_number(self.weights),
            flat(y),
            y.dtype.itemsize,
            geometry_numbers(self.geometry, self.x, y),
            LANES[self.lane],
            self.register_numbers(),
            self.narrow,
            self.ordered,
            affine_numbers,
            chosen_set(),
            self.threads,
        )
        check_exact(self.register, *seen[0][:2])
        return seen


def _within(bounds: Bounds, low: int, high: int) -> bool:
    return bool(bounds[0].min() >= low and bounds[1].max() <= high)


def _holds(register: Accumulator, bounds: Bounds) -> bool:
    return register.bits is None or _within(bounds, register.minimum, register.maximum)


def _bounds(weights: Array, lane: Lane, ends: Pair) -> Bounds:
    least, most = np.empty((2, len(weights)), np.int64)
    taps = weights[0].size
    core.window_bounds(flat(weights), type_number(weights), LANES[lane], taps, *ends, least, most, chosen_set())
    return least, most


def _job(x: Array, weights: Array, lane: Lane, moves: Moves, register: Accumulator, threads: int | None) -> _Job:
    x, weights = check_array("x", x, CODES), check_array("weights", weights, CODES)
    geometry, shape = check_window(x, weights, moves)
    ends = int(np.iinfo(x.dtype).min), int(np.iinfo(x.dtype).max)
    bounds = _bounds(weights, lane, ends)
    small = register.overflow != "exact" and register.bits is not None and register.bits <= 32
    narrow = _within(bounds, _INT32.min, _INT32.max)
    if lane == "mac" and x.size and not (narrow and _holds(register, bounds)):  # what x really holds may prove more
        ends = min(int(x.min()), 0), max(int(x.max()), 0)
        bounds = _bounds(weights, lane, ends)
    word = np.int32 if narrow or small else np.int64
    return _Job(x, weights, lane, register, geometry, shape, check_threads(threads), word, ends, bounds)


def window(
    x: Array,
    weights: Array,
    *,
    lane: Lane,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    threads: int | None = None,
) -> WindowResult:
    """Window layer on codes, bit for bit: ``-sum |x - w|`` (l1) or ``sum x * w`` (mac).

    The register starts at zero and takes the taps in the order kernel row, kernel column, input channel; padding is an
    operand of code zero.

    Parameters
    ----------
    x
        Codes ``(images, height, width, channels)``, of type int8, uint8, int16 or uint16.
    weights
        Codes ``(outputs, kernel_height, kernel_width, channels / groups)``, of any of these types, for l1 on x's scale.
    lane
        ``l1`` or ``mac``.
    stride, padding, dilation, groups
        See `addersim.geometry.Geometry`.
    accumulator_bits, overflow
        See `addersim.fixed.Accumulator`; ``exact`` with a width refuses a sum that leaves it.
    threads
        How many; None takes what OpenMP would. The result does not depend on it.

    Returns
    -------
    `WindowResult`

    Raises
    ------
    FormatError, NetworkError, ConfigError
        For wrong types, shapes that do not fit, a register that cannot exist or is too narrow, or threads out of range.

    Examples
    --------
    >>> x, w = np.array([[[[100, -2]]]], np.int8), np.array([[[[-100, 1]]]], np.int8)
    >>> window(x, w, lane="l1").values.item(), window(x, w, lane="mac").values.item()
    (-203, -10002)
    >>> window(x, w, lane="l1", accumulator_bits=8, overflow="saturate").values.item()
    -128
    """
    register = check_lane(lane, accumulator_bits, overflow)
    job = _job(x, weights, lane, (stride, padding, dilation, groups), register, threads)
    y = np.empty(job.shape, job.word)
    return WindowResult(y, *job.run(y)[0]) if y.size else WindowResult(y, 0, 0, 0)


def window_affine(
    x: Array,
    weights: Array,
    multiplier: Array,
    addend: Array,
    shift: Array,
    *,
    lane: Lane,
    output: FixedFormat,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    rounding: Rounding = "half-even",
    output_overflow: Overflow = "saturate",
    then: FixedFormat | None = None,
    threads: int | None = None,
) -> FusedResult:
    """`window` and then `affine` on its words, with the same results; where it can, the words never leave the cache.

    Parameters
    ----------
    x, weights, lane, stride, padding, dilation, groups, accumulator_bits, overflow, threads
        As in `window`.
    multiplier, addend, shift, output, rounding, then
        As in `affine`, one value an output of the window layer.
    output_overflow
        The affine's ``overflow``.

    Examples
    --------
    >>> x, w = np.array([[[[100, -2]]]], np.int8), np.array([[[[-100, 1]]]], np.int8)
    >>> one = window_affine(x, w, np.array([-3], np.int32), np.array([100]), np.array([3], np.uint8), lane="l1",
    ...                     output=FixedFormat(8))
    >>> one.values.item(), one.sums_minimum, one.maximum
    (89, -203, 89)
    """
    register = check_lane(lane, accumulator_bits, overflow)
    job = _job(x, weights, lane, (stride, padding, dilation, groups), register, threads)
    check_format(output, output_overflow, then)
    constants = check_constants(job.shape, multiplier, addend, shift, rounding)
    if output_overflow == "saturate" and job.shape[0] and job.fuses(constants, rounding):
        y = np.empty(job.shape, (then or output).dtype)
        form = codes_numbers(output, output_overflow, then)
        sums, codes = job.run(y, (*constants, np.empty((2, len(weights))), ROUNDINGS[rounding], form))
        return FusedResult(y, *sums, *codes)
    words = np.empty(job.shape, job.word)
    sums = job.run(words)[0] if words.size else (0, 0, 0)
    after = affine(words, *constants, output=output, rounding=rounding, overflow=output_overflow, then=then, threads=threads)
    return FusedResult(after.values, *sums, after.minimum, after.maximum, after.overflowed)
