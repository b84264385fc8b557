"""Window layers whose weights, register and moves are checked and known before any images come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import Accumulator, FixedFormat, Overflow, Rounding
from addersim.arithmetic.geometry import Geometry
from addersim.kernels.checks import (
    CODE_ENDS,
    CODES,
    NATIVE,
    AccumulatorOverflow,
    FusedResult,
    Moves,
    WindowResult,
    check_arithmetic,
    check_array,
    check_constants,
    check_exact,
    check_format,
    check_kind,
    check_moves,
    check_products,
    check_threads,
)
from addersim.kernels.core import (
    ARITHMETIC_NUMBERS,
    ROUNDINGS,
    chosen_set,
    codes_numbers,
    core,
    flat,
    geometry_numbers,
    type_number,
)
from addersim.kernels.elementwise import affine
from addersim.kernels.requantisation import RescaleNumbers
from addersim.kernels.sums import INT32, Bounds, Sums
from addersim.kernels.zero_points import ZeroPoints, check_zero_points

__all__ = [
    "PreparedWindow",
    "PreparedWindowAffine",
    "prepare_window",
    "prepare_window_affine",
    "window_affine_of",
    "window_of",
]

Array = npt.NDArray[Any]
Shape = tuple[int, int, int, int]

SHAPES = 8
"""Of x, of which a layer keeps what follows from them: batches have few."""


@dataclass(frozen=True, slots=True)
class PreparedWindow:
    """A window layer on codes of one type: everything that does not depend on the images is checked and found out.

    Call it with x and, by keyword, the number of threads. `prepare_window` makes it.

    Attributes
    ----------
    kind
        Type of x.
    operands, arithmetic, products, register, geometry
        The layer.
    word
        Type of the accumulator words.
    sums
        For any x of the type.
    values_matter
        Whether what x really holds may prove more than its type does.
    numbers
        What C takes of x's type and of the operands, whatever x is.
    moved
        Shapes of the output and numbers of the geometry, by the shapes of x that came last.
    """

    kind: np.dtype[Any]
    operands: ZeroPoints
    arithmetic: str
    products: Array | None
    register: Accumulator
    geometry: Geometry
    word: type[np.signedinteger[Any]]
    sums: Sums
    values_matter: bool
    numbers: tuple[Any, ...]
    moved: dict[tuple[int, ...], tuple[Shape, tuple[int, ...]]] = field(default_factory=dict)

    @property
    def weights(self) -> Array:
        """The weights that meet the codes of x; zero points may be in them."""
        return self.operands.weights

    def __call__(self, x: Array, *, threads: int | None = None) -> WindowResult:
        x, shape, count = self.checked(x, threads)
        y = np.empty(shape, self.word)
        return WindowResult(y, *self.run(x, y, self.sums_of(x), count)[0]) if y.size else WindowResult(y, 0, 0, 0)

    def checked(self, x: Array, threads: int | None) -> tuple[Array, Shape, int]:
        """x as it is passed on, the shape of the output, and the number of threads."""
        x = check_array("x", x, (NATIVE[self.kind],))
        return x, self._moved(x.shape)[0], check_threads(threads)

    def _moved(self, shape: tuple[int, ...]) -> tuple[Shape, tuple[int, ...]]:
        found = self.moved.get(shape)
        if found is None:
            if len(self.moved) >= SHAPES:
                self.moved.clear()
            output = self.geometry.output_shape(shape, self.weights.shape)
            found = self.moved[shape] = output, geometry_numbers(self.geometry, shape, output)
        return found

    def sums_of(self, x: Array) -> Sums:
        """What is known of the sums for this x."""
        if not (self.values_matter and x.size):
            return self.sums
        outside = self.operands.outside
        ends = min(int(x.min()), outside), max(int(x.max()), outside)
        return Sums.of(_bounds(self.operands, self.arithmetic, ends, self.products), self.arithmetic, self.register, ends)

    def run(
        self,
        x: Array,
        y: Array,
        sums: Sums,
        threads: int,
        affine_numbers: tuple[Array, bool, tuple[int, ...]] | None = None,
        rescaling: tuple[RescaleNumbers, bool] | None = None,
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Fill y; returns what was seen in the sums, and in the codes."""
        y_bytes = y.dtype.itemsize if rescaling is None else 4
        plan = self.plan(x.shape, y_bytes, sums, threads, affine_numbers, rescaling)
        seen = plan.run(flat(x), flat(y), len(x), threads)
        check_exact(self.register, *seen[0][:2])
        return seen

    def plan(
        self,
        shape: tuple[int, ...],
        y_bytes: int,
        sums: Sums,
        threads: int,
        affine_numbers: tuple[Array, bool, tuple[int, ...]] | None = None,
        rescaling: tuple[RescaleNumbers, bool] | None = None,
    ) -> core.WindowPlan:
        """What C needs for x of a shape, weights packed; `y_bytes` of a sum that is stored, or of a code by the affine."""
        x_type, weights, weights_type, arithmetic, zeros = self.numbers
        how = sums.handling, sums.narrow, sums.ordered, affine_numbers, rescaling, chosen_set(), threads
        return core.WindowPlan(
            x_type, sums.ends, weights, weights_type, y_bytes, self._moved(shape)[1], arithmetic, self.products, zeros, *how
        )


@dataclass(frozen=True, slots=True)
class PreparedWindowAffine:
    """A prepared window and the affine after it; call it like the window. `prepare_window_affine` makes it.

    Attributes
    ----------
    window
        The window layer.
    constants
        Multiplier, addend and shift of each output.
    output, rounding, overflow, then
        As in `affine`.
    fuses
        Whether the affine can follow each sum at once, whatever x of its type holds.
    numbers
        The affine as C takes it.
    """

    window: PreparedWindow
    constants: tuple[Array, Array, Array]
    output: FixedFormat
    rounding: Rounding
    overflow: Overflow
    then: FixedFormat | None
    fuses: bool
    numbers: tuple[Array, bool, tuple[int, ...]]

    def __call__(self, x: Array, *, threads: int | None = None) -> FusedResult:
        x, shape, count = self.window.checked(x, threads)
        known = self.window.sums_of(x)
        fuses = self.fuses or (self.overflow == "saturate" and known is not self.window.sums and self._fuse(known))
        if fuses and shape[0]:
            y = np.empty(shape, (self.then or self.output).dtype)
            sums, codes = self.window.run(x, y, known, count, self.numbers)
            return FusedResult(y, *sums, *codes)
        words = np.empty(shape, self.window.word)
        sums = self.window.run(x, words, known, count)[0] if words.size else (0, 0, 0)
        how: dict[str, Any] = {"output": self.output, "rounding": self.rounding, "overflow": self.overflow, "then": self.then}
        after = affine(words, *self.constants, **how, threads=threads)
        return FusedResult(after.values, *sums, after.minimum, after.maximum, after.overflowed)

    def _fuse(self, sums: Sums) -> bool:
        return sums.fuses(self.constants, self.rounding)


def _bounds(operands: ZeroPoints, arithmetic: str, ends: tuple[int, int], products: Array | None) -> Bounds:
    """Of the sums, for codes of x between two."""
    low, high = (end - operands.zero_point for end in ends)
    return Bounds.of(operands.exact_weights(), arithmetic, (low, high), products)


def window_of(
    kind: np.dtype[Any],
    weights: Array,
    arithmetic: str,
    moves: Moves,
    register: Accumulator,
    products: Array | None = None,
    zero_point: int = 0,
    weight_zero_points: Array | None = None,
) -> PreparedWindow:
    """A window that borrows its weights and its multiplier's table."""
    weights = check_array("weights", weights, CODES)
    products = check_products(products, arithmetic, kind, weights.dtype)
    geometry, ends = check_moves(weights, moves), CODE_ENDS[kind]
    zeros = check_zero_points(zero_point, weight_zero_points, arithmetic, kind, weights, products)
    operands = ZeroPoints.of(weights, arithmetic, *zeros)
    bounds = _bounds(operands, arithmetic, ends, products)
    small = register.overflow != "exact" and register.bits is not None and register.bits <= 32
    word = np.int32 if small or bounds.within(*INT32) else np.int64
    values_matter = ARITHMETICS[arithmetic].degree > 1 and not (bounds.within(*INT32) and bounds.held_by(register))
    sums = Sums.of(bounds, arithmetic, register, ends)
    taken = operands.weights
    of_operands = flat(taken), type_number(taken), ARITHMETIC_NUMBERS[arithmetic], operands.numbers()
    numbers = type_number(np.empty(0, kind)), *of_operands
    return PreparedWindow(kind, operands, arithmetic, products, register, geometry, word, sums, values_matter, numbers)


def _own(values: Array) -> Array:
    """A copy that nobody can change."""
    values = values.copy()
    values.setflags(write=False)
    return values


def prepare_window(
    kind: npt.DTypeLike,
    weights: Array,
    *,
    arithmetic: str,
    products: Array | None = None,
    zero_point: int = 0,
    weight_zero_points: Array | None = None,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    **moves: Unpack[Moves],
) -> PreparedWindow:
    """`window` for many x of one type: what does not depend on x is checked and found out once.

    Parameters
    ----------
    kind
        Type of x: int8, uint8, int16 or uint16.
    weights, arithmetic, products, zero_point, weight_zero_points, accumulator_bits, overflow
        As in `window`. The arrays are copied: changing them later changes nothing.
    stride, padding, far_padding, dilation, groups
        As in `window`.

    Returns
    -------
    A function of ``x`` and ``threads``, which gives what `window` gives.

    Examples
    --------
    >>> x, w = np.array([[[[100, -2]]]], np.int8), np.array([[[[-100, 1]]]], np.int8)
    >>> prepare_window("int8", w, arithmetic="l1")(x).values.item()
    -203
    """
    register = check_arithmetic(arithmetic, accumulator_bits, overflow)
    weights = _own(check_array("weights", weights, CODES))
    own = None if products is None else _own(check_array("products", products, ("int32",)))
    of_weights = (
        None if weight_zero_points is None else _own(check_array("weight_zero_points", weight_zero_points, ("int32",)))
    )
    return window_of(check_kind(kind), weights, arithmetic, moves, register, own, zero_point, of_weights)


def prepare_window_affine(
    layer: PreparedWindow,
    multiplier: Array,
    addend: Array,
    shift: Array,
    *,
    output: FixedFormat,
    rounding: Rounding = "half-even",
    output_overflow: Overflow = "saturate",
    then: FixedFormat | None = None,
) -> PreparedWindowAffine:
    """`window_affine` for many x of one type.

    Parameters
    ----------
    layer
        What `prepare_window` gave.
    multiplier, addend, shift, output, rounding, output_overflow, then
        As in `window_affine`; the arrays are copied.

    Returns
    -------
    A function of ``x`` and ``threads``, which gives what `window_affine` gives.

    Examples
    --------
    >>> layer = prepare_window("int8", np.array([[[[-100, 1]]]], np.int8), arithmetic="l1")
    >>> both = prepare_window_affine(layer, np.array([-3], np.int32), np.array([100]), np.array([3], np.uint8),
    ...                              output=FixedFormat(8))
    >>> both(np.array([[[[100, -2]]]], np.int8)).values.item()
    89
    """
    check_format(output, output_overflow, then)
    m, a, s = check_constants(layer.weights.shape[:1], multiplier, addend, shift, rounding)
    return window_affine_of(layer, (_own(m), _own(a), _own(s)), output, rounding, output_overflow, then)


def window_affine_of(
    window: PreparedWindow,
    constants: tuple[Array, Array, Array],
    output: FixedFormat,
    rounding: Rounding,
    overflow: Overflow,
    then: FixedFormat | None,
) -> PreparedWindowAffine:
    """The same with an affine after it; the constants are known to be sound."""
    fuses = overflow == "saturate" and window.sums.fuses(constants, rounding)
    scaled = np.empty((2, len(constants[0])))
    core.scaled(*constants, ROUNDINGS[rounding], scaled)
    numbers = scaled, rounding == "half-even", codes_numbers(output, overflow, then)
    return PreparedWindowAffine(window, constants, output, rounding, overflow, then, fuses, numbers)
