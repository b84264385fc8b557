"""Fixed-point formats: what an integer code means, how a real number becomes one, and what overflow does.

A code ``c`` in a format of scale ``s`` and zero point ``z`` stands for the real number ``(c - z) * s``. Every format holds
zero exactly, as the code of its zero point, so that padding and ReLU are exact. Formats of our choice have the zero point 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from addersim.errors import FormatError
from addersim.inputs.limits import ACCUMULATOR_BITS, CODE_BITS, Limit, shown
from addersim.inputs.text import did_you_mean

__all__ = [
    "OVERFLOWS",
    "ROUNDINGS",
    "Accumulator",
    "FixedFormat",
    "Overflow",
    "Rounding",
    "bits_for",
    "format_name",
    "round_real",
    "shift_right",
]

Rounding = Literal["half-even", "half-up", "truncate"]
Overflow = Literal["saturate", "wrap"]
AccumulatorOverflow = Literal["exact", "wrap", "saturate"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
OVERFLOWS: tuple[Overflow, ...] = get_args(Overflow)

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


def _choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise FormatError(
            f"{what}: {shown(value)} is not one of {', '.join(allowed)}{did_you_mean(str(value), map(str, allowed))}"
        )


def bits_for(minimum: int, maximum: int, signed: bool = True) -> int:
    """Smallest number of bits whose codes hold the limits of a range.

    Examples
    --------
    >>> bits_for(-128, 127), bits_for(-128, 128), bits_for(0, 255, signed=False)
    (8, 9, 8)
    """
    if minimum > maximum or (not signed and minimum < 0):
        raise FormatError(f"no {'signed' if signed else 'unsigned'} code holds the range {minimum}..{maximum}")
    magnitude = max(int(maximum), -int(minimum) - 1 if minimum < 0 else 0).bit_length()
    return max(1, magnitude + signed)


def wrap(values: Integers, bits: int, signed: bool = True) -> npt.NDArray[np.int64]:
    """Values modulo ``2**bits``, as the codes of that width (what a register without overflow logic holds)."""
    values = np.asarray(values, dtype=np.int64)
    offset = 1 << (bits - 1) if signed else 0
    return ((values + offset) & ((1 << bits) - 1)) - offset


def round_real(values: Floats, rounding: Rounding) -> Floats:
    """Round reals to integers: to nearest with ties to even or upwards, or down to the next integer (truncate)."""
    _choice("rounding", rounding, ROUNDINGS)
    if rounding == "half-even":
        return np.rint(values)
    if rounding == "truncate":
        return np.floor(values)
    floor = np.floor(values)  # floor(x + 0.5) would round 0.49999999999999994 up
    return np.asarray(floor + (values - floor >= 0.5), dtype=floor.dtype)


def shift_right(values: Integers, shift: int | Integers, rounding: Rounding = "half-even") -> npt.NDArray[np.int64]:
    """Arithmetic right shift of int64 values with rounding, as hardware drops low bits.

    Parameters
    ----------
    values
        Integers of magnitude below ``2**62``.
    shift
        Places, 0..62; broadcasts against `values`.
    rounding
        ``truncate`` drops the bits (rounds towards minus infinity); ``half-up`` adds one half first; ``half-even`` does
        the same and clears the last bit of a tie.

    Examples
    --------
    >>> import numpy as np
    >>> [shift_right(np.array([-3, 1, 3, 5]), 1, mode).tolist() for mode in ("half-even", "half-up", "truncate")]
    [[-2, 0, 2, 2], [-1, 1, 2, 3], [-2, 0, 1, 2]]
    """
    _choice("rounding", rounding, ROUNDINGS)
    values, shift = np.broadcast_arrays(np.asarray(values, np.int64), np.asarray(shift, np.int64))
    floor = values >> shift
    if rounding == "truncate":
        return floor
    remainder = values - (floor << shift)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 1)  # no half without a shift: never reached
    up = remainder >= half if rounding == "half-up" else (remainder > half) | ((remainder == half) & (floor & 1 == 1))
    return floor + up


def format_name(bits: int, signed: bool, scale: float, zero_point: int = 0) -> str:
    """A format of any width as printed: ``fx8.5``, or ``s8*0.3`` where the scale is no power of two; ``s8*0.3 zero -5``."""
    zero = f" zero {zero_point}" if zero_point else ""
    if (fraction := _fraction_bits(scale)) is not None:
        return f"{'' if signed else 'u'}fx{bits}.{fraction}{zero}"
    return f"{'s' if signed else 'u'}{bits}*{scale:.4g}{zero}"


def _fraction_bits(scale: float) -> int | None:
    mantissa, exponent = math.frexp(scale)
    return 1 - exponent if mantissa == 0.5 else None


@dataclass(frozen=True, slots=True)
class FixedFormat:
    """A fixed-point number format: codes of a width, the real step between two of them, and the code of zero.

    Parameters
    ----------
    bits
        Width of a code, 1..16, sign included. The codes of one bit with a sign are -1 and 0: those are told apart by the sign
        alone, so that reals become one of them by rounding down (`rounding_for`).
    signed
        Two's complement where true; codes from zero up otherwise.
    scale
        Real step between neighbouring codes: any positive number. A power of two prints as ``fxBITS.FRACTION`` (``ufx``
        unsigned).
    zero_point
        The code that stands for zero.

    Raises
    ------
    FormatError
        For a width outside 1..16, a scale that is not positive and finite, or a zero point that is no code of the format.

    Examples
    --------
    >>> q = FixedFormat(8, scale=2**-5)
    >>> print(q, q.low, q.high)
    fx8.5 -4.0 3.96875
    >>> q.encode(np.array([0.1, 9.0])).tolist()
    [3, 127]
    >>> print(FixedFormat(4, signed=False, scale=0.3))
    u4*0.3
    >>> asymmetric = FixedFormat(8, signed=False, scale=0.1, zero_point=100)
    >>> print(asymmetric, asymmetric.encode(-1.0), asymmetric.decode(90))
    u8*0.1 zero 100 90 -1.0
    """

    bits: int
    signed: bool = True
    scale: float = 1.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        bits = CODE_BITS.check(self.bits, "bits", FormatError)
        if not (isinstance(self.scale, (int, float, np.floating)) and math.isfinite(self.scale) and self.scale > 0):
            raise FormatError(f"scale: {shown(self.scale)} is not a positive finite number")
        object.__setattr__(self, "bits", bits)
        object.__setattr__(self, "signed", bool(self.signed))
        object.__setattr__(self, "scale", float(self.scale))
        zero_point = Limit(self.minimum, self.maximum).check(self.zero_point, "zero point", FormatError)
        object.__setattr__(self, "zero_point", zero_point)

    @classmethod
    def parse(cls, text: str) -> FixedFormat:
        """Read ``fx8.5`` or ``ufx8.5``: bits, a dot, fraction bits (which may be negative: ``fx8.-2``)."""
        match = re.fullmatch(r"(u?)fx([0-9]{1,3})\.(-?[0-9]{1,3})", text)
        if not match:
            raise FormatError(f"format: {text!r} is not fxBITS.FRACTION or ufxBITS.FRACTION, such as fx8.5")
        return cls(int(match[2]), not match[1], 2.0 ** -int(match[3]))

    @property
    def minimum(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest code."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def centred(self) -> tuple[int, bool]:
        """Bits of codes less the zero point, and whether these have a sign: one bit more unless zero is 0 or the least code.

        Examples
        --------
        >>> FixedFormat(8, zero_point=-128).centred, FixedFormat(8, zero_point=83).centred
        ((8, False), (9, True))
        """
        wider = self.zero_point not in (0, self.minimum)
        return self.bits + wider, wider or (self.signed and not self.zero_point)

    @property
    def low(self) -> float:
        """Smallest real value."""
        return (self.minimum - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """Largest real value."""
        return (self.maximum - self.zero_point) * self.scale

    @property
    def ends_at_zero(self) -> bool:
        """Whether the smallest code stands for zero: to saturate there is a ReLU, and no overflow."""
        return self.minimum == self.zero_point

    def rounding_for(self, rounding: Rounding) -> Rounding:
        """How reals become codes where a rounding is asked for: a sign bit is that of the real, so it is never rounded up."""
        return "truncate" if self.bits == 1 else rounding

    @property
    def fraction_bits(self) -> int | None:
        """Fraction bits where the scale is a power of two, else None."""
        return _fraction_bits(self.scale)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest numpy integer type that holds the codes."""
        return np.dtype(f"{'i' if self.signed else 'u'}{1 if self.bits <= 8 else 2}")

    def encode(self, values: npt.ArrayLike, rounding: Rounding = "half-even", overflow: Overflow = "saturate") -> Integers:
        """Codes of real values.

        Parameters
        ----------
        values
            Reals of any shape; NaN and infinities are refused.
        rounding, overflow
            How a value between two codes, or beyond the last one, is treated.

        Returns
        -------
        Array of the same shape and of type `dtype`.
        """
        _choice("overflow", overflow, OVERFLOWS)
        real = np.asarray(values, dtype=np.float64)
        if not np.isfinite(real).all():
            raise FormatError(f"encode: {int((~np.isfinite(real)).sum())} of {real.size} values are NaN or infinite")
        codes = round_real(real / self.scale, rounding) + self.zero_point
        if overflow == "saturate":
            return np.clip(codes, self.minimum, self.maximum).astype(self.dtype)
        if codes.size and np.abs(codes).max() >= 2.0**62:
            raise FormatError("encode: values beyond 2**62 codes cannot be wrapped exactly")
        return wrap(codes.astype(np.int64), self.bits, self.signed).astype(self.dtype)

    def decode(self, codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Real values of codes."""
        return (np.asarray(codes, dtype=np.float64) - self.zero_point) * self.scale

    def __str__(self) -> str:
        return format_name(self.bits, self.signed, self.scale, self.zero_point)


@dataclass(frozen=True, slots=True)
class Accumulator:
    """The register that sums the terms of one output: its width and what it does on overflow.

    Parameters
    ----------
    bits
        Width, 8..48, two's complement. None (``exact`` only): each layer gets the width that its worst case needs.
    overflow
        ``exact`` promises that no sum leaves the width, and a program in which one could, with its weights and some codes of
        its inputs' formats, is refused (`addersim.prove` says how many bits do); ``wrap`` keeps the
        sum modulo ``2**bits``; ``saturate`` clamps after every addition.

    Examples
    --------
    >>> Accumulator.parse("16:saturate")
    Accumulator(bits=16, overflow='saturate')
    >>> print(Accumulator.parse("exact"))
    exact
    """

    bits: int | None = None
    overflow: AccumulatorOverflow = "exact"

    def __post_init__(self) -> None:
        _choice("accumulator overflow", self.overflow, get_args(AccumulatorOverflow))
        if self.bits is None:
            if self.overflow != "exact":
                raise FormatError(f"accumulator: {self.overflow} needs a width, such as 16:{self.overflow}")
        else:
            ACCUMULATOR_BITS.check(self.bits, "accumulator", FormatError)

    @classmethod
    def parse(cls, text: str) -> Accumulator:
        """Read ``exact``, ``24``, ``24:exact``, ``16:saturate`` or ``16:wrap``."""
        if text == "exact":
            return cls()
        match = re.fullmatch(r"([0-9]{1,3})(?::(exact|wrap|saturate))?", text)
        if not match:
            bits = text.partition(":")[0]
            near = did_you_mean(
                text, ("exact", *(f"{bits if bits.isdecimal() else 16}:{one}" for one in get_args(AccumulatorOverflow)))
            )
            raise FormatError(
                f"accumulator: {text!r} is not exact, BITS or BITS:exact|wrap|saturate, such as 16:saturate{near}"
            )
        return cls(int(match[1]), match[2] or "exact")  # type: ignore[arg-type]  # the pattern allows no other

    @property
    def minimum(self) -> int:
        """Smallest value of a register with a width."""
        return -(1 << (self._width() - 1))

    @property
    def maximum(self) -> int:
        """Largest value of a register with a width."""
        return (1 << (self._width() - 1)) - 1

    def _width(self) -> int:
        if self.bits is None:
            raise FormatError("accumulator: exact without a width has no smallest or largest code")
        return self.bits

    def __str__(self) -> str:
        return self.overflow if self.bits is None else f"{self.bits}:{self.overflow}"
