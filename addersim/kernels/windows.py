"""Window layers on codes, alone or with the affine that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arguments import (
    CODE_ENDS,
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

_INT32 = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Smallest and largest exact sum of each output, for any x between two codes (zero included), and of all outputs."""

    least: Array
    most: Array
    lowest: int
    highest: int

    @classmethod
    def of(cls, weights: Array, lane: Lane, ends: Pair) -> _Bounds:
        """Bounds of a layer's sums."""
        least, most = np.empty((2, len(weights)), np.int64)
        taps = weights.size // len(weights)
        core.window_bounds(flat(weights), type_number(weights), LANES[lane], taps, *ends, least, most, chosen_set())
        return cls(least, most, int(least.min()), int(most.max()))

    def within(self, low: int, high: int) -> bool:
        """Whether no sum can leave a range."""
        return self.lowest >= low and self.highest <= high

    def held_by(self, register: Accumulator) -> bool:
        """Whether no sum can leave a register."""
        return register.bits is None or self.within(register.minimum, register.maximum)


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
        For such an x.
    narrow
        Whether 32 bits hold every exact sum.
    handling
        The register in the order of the C struct; one that no sum can leave needs no handling.
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
    bounds: _Bounds
    narrow: bool
    handling: tuple[int, int, int, int]

    def ordered(self) -> Array | None:
        """Outputs for which the order of the taps matters: a mac sum that could leave a saturating register on its way."""
        if self.lane != "mac" or self.handling[0] != OVERFLOWS["saturate"]:
            return None
        found: Array = (self.bounds.least < self.register.minimum) | (self.bounds.most > self.register.maximum)
        return found.view(np.uint8)

    def fuses(self, constants: tuple[Array, Array, Array], rounding: Rounding) -> bool:
        """Whether an affine can follow each sum at once: 32-bit words, in no special order, exact in doubles."""
        if not self.narrow or self.handling[0] == OVERFLOWS["wrap"] or self.ordered() is not None:
            return False
        return fits_doubles(max(-self.bounds.lowest, self.bounds.highest), *constants, rounding)

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
            self.handling,
            self.narrow,
            self.ordered(),
            affine_numbers,
            chosen_set(),
            self.threads,
        )
        check_exact(self.register, *seen[0][:2])
        return seen


def _job(x: Array, weights: Array, lane: Lane, moves: Moves, register: Accumulator, threads: int | None) -> _Job:
    x, weights = check_array("x", x, CODES), check_array("weights", weights, CODES)
    geometry, shape = check_window(x, weights, moves)
    ends = CODE_ENDS[x.dtype]
    bounds = _Bounds.of(weights, lane, ends)
    small = register.overflow != "exact" and register.bits is not None and register.bits <= 32
    word = np.int32 if small or bounds.within(*_INT32) else np.int64
    if lane == "mac" and x.size and not (bounds.within(*_INT32) and bounds.held_by(register)):
        ends = min(int(x.min()), 0), max(int(x.max()), 0)  # what x really holds may prove more
        bounds = _Bounds.of(weights, lane, ends)
    narrow, handling = bounds.within(*_INT32), (OVERFLOWS["exact"], 0, 0, 0)
    if register.overflow != "exact" and register.bits is not None and not bounds.held_by(register):
        handling = OVERFLOWS[register.overflow], register.bits, register.minimum, register.maximum
    count = check_threads(threads)
    return _Job(x, weights, lane, register, geometry, shape, count, word, ends, bounds, narrow, handling)


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
