"""What the kernels and their slow twins take and give: checks of every argument, and the records of results."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import arithmetic as find_arithmetic
from addersim.arithmetic.fixed import OVERFLOWS, ROUNDINGS, Accumulator, FixedFormat
from addersim.arithmetic.geometry import Geometry, Pair, check_pair, check_work
from addersim.arithmetic.pooling import PoolAxis, adaptive_axes
from addersim.errors import FormatError, NetworkError
from addersim.inputs.limits import THREADS, shown

__all__ = ["CodesResult", "FusedResult", "WindowResult"]

Array = npt.NDArray[Any]


class Moves(TypedDict, total=False):
    """How a window moves, by keyword: what `Geometry` holds beside the kernel, with its defaults."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    far_padding: Pair | None


AccumulatorOverflow = Literal["exact", "wrap", "saturate"]

CODES = ("int8", "uint8", "int16", "uint16")
INTEGERS = (*CODES, "int32", "int64")
CODE_ENDS = MappingProxyType({np.dtype(kind): (int(np.iinfo(kind).min), int(np.iinfo(kind).max)) for kind in INTEGERS})
"""Smallest and largest value of each integer type."""
NATIVE = MappingProxyType({np.dtype(kind): kind for kind in (*INTEGERS, "float32")})
"""Names of the types, kept because numpy builds them at each call."""
MAX_SHIFT = 62
MAX_PRODUCT = 1 << 62
PIECE_BITS, PLACE_BITS = 8, 16
"""Of a mantissa: what chooses one of a table's pieces of an octave, and its place within it."""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Output of a window layer on codes.

    Attributes
    ----------
    values
        Accumulator words, ``(images, out_height, out_width, outputs)``: int32 where the weights and the type of x prove that
        every exact sum fits 32 bits, or where the register wraps or saturates within 32 bits; int64 otherwise.
    minimum, maximum
        Extremes of the exact sums, before any overflow; zero where there is no output.
    overflowed
        Outputs that wrapped (their word is not the exact sum), or that saturated at one tap or more.
    """

    values: Array
    minimum: int
    maximum: int
    overflowed: int


@dataclass(frozen=True, slots=True)
class CodesResult:
    """Codes of an output format, with the extremes of the exact results and how many did not fit.

    Attributes
    ----------
    values
        Codes, of the format's type.
    minimum, maximum
        Extremes before saturation or wrap-around; zero where there is no output.
    overflowed
        Values outside the format; where a format that ends at zero saturates from below it is a ReLU, and that is none.
    """

    values: Array
    minimum: int
    maximum: int
    overflowed: int


@dataclass(frozen=True, slots=True)
class FusedResult:
    """A window layer and the affine after it, run as one.

    Attributes
    ----------
    values
        Codes, as of the affine (and of the format that they then saturated to).
    sums_minimum, sums_maximum, sums_overflowed
        As in `WindowResult`.
    minimum, maximum, overflowed
        As in `CodesResult`.
    """

    values: Array
    sums_minimum: int
    sums_maximum: int
    sums_overflowed: int
    minimum: int
    maximum: int
    overflowed: int


def check_array(what: str, values: object, types: tuple[str, ...]) -> Array:
    """A contiguous, aligned array in native byte order, of one of some types: what C may take by its address."""
    if isinstance(values, np.ndarray) and values.dtype in NATIVE and NATIVE[values.dtype] in types:
        whole = np.ascontiguousarray(values)
        return whole if whole.flags.aligned else whole.copy()
    if not isinstance(values, np.ndarray) or values.dtype.newbyteorder("=").name not in types:
        found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise FormatError(f"{what}: {found} is not an array of {' or '.join(types)}")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def check_levels(pixels: object, levels: object) -> tuple[Array, Array]:
    """uint8 pixels ``(images, channels, height, width)`` and a table ``(256, channels)`` of codes or float32."""
    found, table = check_array("pixels", pixels, ("uint8",)), check_array("levels", levels, (*CODES, "float32"))
    if found.ndim != 4 or table.shape != (256, found.shape[1]):
        raise NetworkError(
            f"look_up: pixels of shape {found.shape} and levels of shape {table.shape}; expected (images, channels, height, "
            "width) and (256, channels)"
        )
    return found, table


def check_threads(threads: int | None) -> int:
    """Number of threads, 0 for the default."""
    if threads is None:
        return 0
    return THREADS.check(threads, "threads")


def check_kind(kind: npt.DTypeLike) -> np.dtype[Any]:
    """A type of codes, in native byte order."""
    found = np.dtype(kind).newbyteorder("=")
    if found.name not in CODES:
        raise FormatError(f"kind: {found} is not {' or '.join(CODES)}")
    return found


def check_moves(weights: Array, moves: Moves) -> Geometry:
    """Geometry of a window layer."""
    if weights.ndim != 4 or weights.size == 0:
        raise NetworkError(f"weights: shape {weights.shape} is not (outputs, kernel_height, kernel_width, channels / groups)")
    check_work(weights.size // len(weights), 1)
    return Geometry((weights.shape[1], weights.shape[2]), **moves)


def check_window(x: Array, weights: Array, moves: Moves) -> tuple[Geometry, tuple[int, int, int, int]]:
    """Geometry and output shape of a window layer."""
    geometry = check_moves(weights, moves)
    return geometry, geometry.output_shape(x.shape, weights.shape)


def check_arithmetic(arithmetic: str, accumulator_bits: int | None, overflow: AccumulatorOverflow) -> Accumulator:
    """The register of a window layer, after checking that its arithmetic exists."""
    find_arithmetic(arithmetic)
    return Accumulator(accumulator_bits, overflow)


def check_products(products: object, arithmetic: str, *operands: npt.DTypeLike) -> Array | None:
    """The table of a multiplier, int32 ``(256, 256)``, whose rows and columns codes of one byte find whatever they hold."""
    if products is None:
        return None
    found = check_array("products", products, ("int32",))
    if found.shape != (256, 256):
        raise FormatError(f"products: shape {found.shape}; a multiplier's table has (256, 256)")
    if arithmetic != "mac":
        raise FormatError(f"products: a multiplier's table takes the place of mac, not of {arithmetic}")
    if wide := [kind for one in operands if (kind := np.dtype(one)).itemsize > 1]:
        raise FormatError(f"products: a multiplier's table takes codes of int8 or uint8, found {wide[0].name}")
    return found


def check_exact(register: Accumulator, minimum: int, maximum: int) -> None:
    """Refuse sums that left a register which promised to hold them."""
    if register.overflow == "exact" and register.bits and not register.minimum <= minimum <= maximum <= register.maximum:
        raise FormatError(
            f"accumulator: sums of {minimum}..{maximum} leave the {register.bits} bits that hold "
            f"{register.minimum}..{register.maximum}; widen it, or let it saturate or wrap"
        )


def check_format(output: FixedFormat, overflow: str, then: FixedFormat | None = None) -> None:
    """An output format, what happens beyond it, and the format that codes then saturate to."""
    for what, value in (("output", output), ("then", then)):
        if not isinstance(value, FixedFormat) and (what, value) != ("then", None):
            raise FormatError(f"{what}: {shown(value)} is not a FixedFormat")
    if overflow not in OVERFLOWS:
        raise FormatError(f"overflow: {overflow!r} is not one of {', '.join(OVERFLOWS)}")


def check_constants(
    shape: tuple[int, ...], multiplier: Array, addend: Array, shift: Array, rounding: str
) -> tuple[Array, Array, Array]:
    """Multipliers, addends and shifts of an affine, one a channel of x's shape, and a rounding that exists."""
    if rounding not in ROUNDINGS:
        raise FormatError(f"rounding: {rounding!r} is not one of {', '.join(ROUNDINGS)}")
    types = {"multiplier": "int32", "addend": "int64", "shift": "uint8"}
    found = []
    for (name, kind), values in zip(types.items(), (multiplier, addend, shift), strict=True):
        found.append(check_array(name, values, (kind,)))
        if values.shape != shape[-1:] or not shape:
            raise NetworkError(f"{name}: shape {values.shape}; x of shape {shape} needs one value a channel")
    if found[2].size and (largest := int(found[2].max())) > MAX_SHIFT:
        raise FormatError(f"shift: {largest} is not in 0..{MAX_SHIFT}")
    return found[0], found[1], found[2]


def check_affine_products(x: Array, multiplier: Array, addend: Array) -> None:
    """64 bits for every product of an affine."""
    low, high = CODE_ENDS[x.dtype]
    if not x.size or largest_product(max(-low, high), multiplier, addend) < MAX_PRODUCT:
        return
    if (worst := largest_product(max(-int(x.min()), int(x.max())), multiplier, addend)) >= MAX_PRODUCT:
        raise FormatError(f"affine: |x * multiplier| + |addend| reaches {worst}; the arithmetic holds less than {MAX_PRODUCT}")


def check_shapes(what: str, a: Array, b: Array) -> None:
    """One shape for both operands."""
    if a.shape != b.shape:
        raise NetworkError(f"{what}: shapes {a.shape} and {b.shape} differ")


def check_product(a: Array, b: Array) -> type[np.signedinteger[Any]]:
    """Type of the products of two arrays of codes of one shape."""
    check_shapes("multiply", a, b)
    worst = max(abs(x * y) for x in CODE_ENDS[a.dtype] for y in CODE_ENDS[b.dtype])
    return np.int32 if worst < 1 << 31 else np.int64


def check_table(x: Array, table: Array, least: int, codes: int) -> None:
    """A table with a row for each of some codes from a smallest on, and all of x among them."""
    if table.ndim != 2 or not table.size or not x.ndim or table.shape[1] not in (1, x.shape[-1]):
        raise NetworkError(f"table: shape {table.shape}; x of shape {x.shape} needs rows of one entry, or of one a channel")
    if x.size and not least <= int(x.min()) <= int(x.max()) < least + codes:
        raise FormatError(f"x: codes {x.min()}..{x.max()}; the table holds {least}..{least + codes - 1}")


def check_pieces(x: Array, base: Array, slope: Array, least: int, place_bits: int) -> tuple[Array, Array, Array]:
    """Codes, and the int32 tables of their pieces."""
    x, base, slope = check_array("x", x, CODES), check_array("base", base, ("int32",)), check_array("slope", slope, ("int32",))
    if base.shape != slope.shape or not 0 <= place_bits <= 16:
        found = f"base {base.shape}, slope {slope.shape} and {place_bits} bits of place"
        raise NetworkError(f"pieces: {found}; expected one shape, and 0..16 bits")
    check_table(x, base, least, len(base) << place_bits)
    return x, base, slope


def check_blend(x: Array, first: Array, second: Array, fraction: Array, axis: int, bits: int) -> tuple[Array, ...]:
    """Integers, and for each output along one of their axes two places and the fraction of the second."""
    x = check_array("x", x, INTEGERS)
    taps = [check_array(what, one, ("int64",)) for what, one in (("first", first), ("second", second), ("fraction", fraction))]
    if not 1 <= axis < x.ndim or {one.shape for one in taps} != {(taps[0].size,)} or not 0 <= bits <= 46:
        shapes = ", ".join(str(one.shape) for one in taps)
        found = f"taps of shapes {shapes} along axis {axis} of {x.shape}, {bits} bits"
        raise NetworkError(f"blend: {found}; expected one length, and 0..46 bits")
    ends = ((taps[0], x.shape[axis] - 1), (taps[1], x.shape[axis] - 1), (taps[2], 1 << bits))
    if any(one.size and not 0 <= one.min() <= one.max() <= end for one, end in ends):
        raise NetworkError(f"blend: places or fractions beyond 0..{x.shape[axis] - 1} and 0..{1 << bits}")
    if x.size and (worst := max(-int(x.min()), int(x.max())) << bits) >= MAX_PRODUCT:
        raise FormatError(f"blend: |x| * 2**{bits} reaches {worst}; the arithmetic holds less than {MAX_PRODUCT}")
    return x, *taps


def check_mantissas(x: Array, base: Array, slope: Array) -> tuple[Array, Array, Array]:
    """Positive whole numbers, and a table of one octave or two."""
    x, base, slope = (check_array(what, one, ("int64",)) for what, one in (("x", x), ("base", base), ("slope", slope)))
    if base.shape != slope.shape or base.shape not in ((1 << PIECE_BITS,), (2 << PIECE_BITS,)):
        raise NetworkError(f"mantissas: base {base.shape}, slope {slope.shape}; expected 256 or 512 of each")
    if x.size and x.min() < 1:
        raise FormatError(f"mantissas: x holds {x.min()}; expected numbers from 1 on")
    return x, base, slope


def largest_product(x: int, multiplier: Array, addend: Array) -> int:
    """Largest ``|x * multiplier| + |addend|`` of a channel, for one largest ``|x|``."""
    pairs: list[tuple[int, int]] = list(zip(multiplier.tolist(), addend.tolist(), strict=True))
    return max(x * abs(m) + abs(a) for m, a in pairs)


def check_pool(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, far_padding: Pair | None, ceil_mode: bool
) -> tuple[Geometry, tuple[int, int, int, int]]:
    """Geometry and output shape of pooling."""
    geometry = Geometry(kernel, stride, padding, dilation, ceil_mode=ceil_mode, far_padding=far_padding)
    _check_pixels(x)
    return geometry, (x.shape[0], *geometry.pooled_size(x.shape[1], x.shape[2]), x.shape[3])


def check_adaptive(x: Array, output_size: Pair) -> tuple[PoolAxis, PoolAxis]:
    """The parts that an image is shared out in."""
    _check_pixels(x)
    return adaptive_axes(check_pair("output_size", output_size, 1), x.shape[1], x.shape[2])


def _check_pixels(x: Array) -> None:
    if x.ndim != 4 or min(x.shape[1:]) < 1:
        raise NetworkError(f"x: shape {x.shape} is not (images, height, width, channels) with at least one pixel and channel")
