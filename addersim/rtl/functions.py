"""Functions of an engine on codes as they are, by the Verilog: affine, clamps, rules of requantisation, sums, and pooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.arithmetic.geometry import Geometry, Pair
from addersim.arithmetic.pooling import adaptive_axes
from addersim.arithmetic.requantisation import Constants, requantisation_rule
from addersim.errors import FormatError
from addersim.kernels.checks import CodesResult
from addersim.rtl.layers import LayerConstants
from addersim.rtl.pools import PoolDesign, run_pool
from addersim.rtl.shapes import LayerShape
from addersim.rtl.units import AddDesign, UnitDesign, run_add, run_unit

__all__ = ["CODE_BITS", "CodeFunctions", "narrowing", "rule_constants"]

Array = npt.NDArray[Any]
_Pool = Literal["maximum", "sum"]

CODE_BITS = 17
"""Codes of any format; the ends of its own are constants."""
_MANTISSA = 24
_EXPONENTS = (-100, 100)
"""Of numbers of float32 that the circuit takes: far from the ends of that format, which it does not have."""
_NONE = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True)
class CodeFunctions:
    """By which Verilog; extremes and counts of overflows are the kernels', which run too."""

    verilog: Mapping[str, str] | None

    def affine(
        self,
        x: Array,
        multiplier: Array,
        addend: Array,
        shift: Array,
        *,
        output: FixedFormat,
        rounding: Rounding = "half-even",
        overflow: Overflow = "saturate",
        then: FixedFormat | None = None,
        threads: int | None = None,
    ) -> CodesResult:
        """As `addersim.kernels.affine`."""
        how: dict[str, Any] = {"output": output, "rounding": rounding, "overflow": overflow, "then": then}
        usual = kernels.affine(x, multiplier, addend, shift, **how, threads=threads)
        unit, low, high = narrowing(output, rounding, overflow, then)
        return self._by_unit(usual, unit, x, LayerConstants(_NONE, multiplier, addend, shift, 0, low, high))

    def clamp(self, x: Array, *, output: FixedFormat, threads: int | None = None) -> CodesResult:
        """As `addersim.kernels.clamp`."""
        usual = kernels.clamp(x, output=output, threads=threads)
        unit, low, high = narrowing(output, "truncate", "saturate", None)
        once = LayerConstants(_NONE, _NONE + 1, _NONE, _NONE, 0, low, high)
        return self._by_unit(usual, unit, x, once)

    def requantize(
        self,
        values: Array,
        scales: npt.ArrayLike,
        bias: Array,
        rule: str,
        *,
        output: FixedFormat,
        low: int | None = None,
        high: int | None = None,
        threads: int | None = None,
    ) -> CodesResult:
        """As `addersim.kernels.requantize`."""
        usual = kernels.requantize(values, scales, bias, rule, output=output, low=low, high=high, threads=threads)
        numbers = requantisation_rule(rule).constants(scales, output)
        ends = (output.minimum if low is None else low, output.maximum if high is None else high)
        constants = rule_constants(numbers, np.asarray(bias), rule, output.zero_point, *ends)
        return self._by_unit(usual, UnitDesign(numbers.formula, CODE_BITS), values, constants)

    def add(
        self,
        a: Array,
        b: Array,
        *,
        output: FixedFormat,
        overflow: Overflow = "saturate",
        then: FixedFormat | None = None,
        subtract: bool = False,
        threads: int | None = None,
    ) -> CodesResult:
        """As `addersim.kernels.add`."""
        usual = kernels.add(a, b, output=output, overflow=overflow, then=then, subtract=subtract, threads=threads)
        if not usual.values.size:
            return usual
        unit, *ends = narrowing(output, "truncate", overflow, then)
        design = AddDesign((a.dtype, b.dtype), subtract, unit)
        codes = run_add(design, (a, b), (ends[0], ends[1]), self.verilog)
        return replace(usual, values=codes.astype(usual.values.dtype))

    def _by_unit(self, usual: CodesResult, unit: UnitDesign, x: Array, constants: LayerConstants) -> CodesResult:
        if not x.size:
            return usual
        codes = run_unit(unit, np.asarray(x).astype(np.int64), constants, self.verilog)
        return replace(usual, values=codes.astype(usual.values.dtype))

    def max_pool(self, x: Array, *moves: Any, threads: int | None = None, **how: Any) -> Array:
        """As `addersim.kernels.max_pool`."""
        return self._pooled("maximum", kernels.max_pool(x, *moves, **how, threads=threads), x, Geometry(*moves, **how))

    def sum_pool(self, x: Array, *moves: Any, threads: int | None = None, **how: Any) -> Array:
        """As `addersim.kernels.sum_pool`."""
        return self._pooled("sum", kernels.sum_pool(x, *moves, **how, threads=threads), x, Geometry(*moves, **how))

    def adaptive_max_pool(self, x: Array, output_size: Pair, *, threads: int | None = None) -> Array:
        """As `addersim.kernels.adaptive_max_pool`."""
        return self._parts("maximum", kernels.adaptive_max_pool(x, output_size, threads=threads), x, output_size)

    def adaptive_sum_pool(self, x: Array, output_size: Pair, *, threads: int | None = None) -> Array:
        """As `addersim.kernels.adaptive_sum_pool`."""
        return self._parts("sum", kernels.adaptive_sum_pool(x, output_size, threads=threads), x, output_size)

    def _parts(self, kind: _Pool, usual: Array, x: Array, output_size: Pair) -> Array:
        """Each part of the images pooled whole, one after another: parts of one layer have different sizes."""
        values = np.empty_like(usual)
        rows, columns = adaptive_axes(output_size, x.shape[1], x.shape[2])
        for (i, across), (j, along) in product(enumerate(rows.spans), enumerate(columns.spans)):
            part, found = x[:, across, along], values[:, i : i + 1, j : j + 1]
            found[:] = self._pooled(kind, found, part, Geometry(part.shape[1:3], part.shape[1:3]))
        return values

    def _pooled(self, kind: _Pool, usual: Array, x: Array, geometry: Geometry) -> Array:
        if not usual.size:
            return usual
        bits = 8 * x.dtype.itemsize
        design = PoolDesign(kind, bits, x.dtype.kind == "i", 8 * usual.dtype.itemsize)
        stored = x.astype(np.int64) & ((1 << bits) - 1)
        values = run_pool(design, LayerShape.of_pool(_four(x.shape), geometry), stored, self.verilog)
        return values.reshape(usual.shape).astype(usual.dtype)


def narrowing(
    output: FixedFormat, rounding: Rounding, overflow: Overflow, then: FixedFormat | None
) -> tuple[UnitDesign, int, int]:
    """The unit that multiplies, adds and shifts into a format and then another, and the ends of its codes."""
    last = then or output
    if overflow == "wrap":
        return UnitDesign(rounding, output.bits, output.signed, wrap=True), last.minimum, last.maximum
    low, high = (int(np.clip(end, last.minimum, last.maximum)) for end in (output.minimum, output.maximum))
    return UnitDesign(rounding, CODE_BITS), low, high


def rule_constants(numbers: Constants, bias: Array, rule: str, zero_point: int, low: int, high: int) -> LayerConstants:
    """Constants of a rule: those of a float as a whole number of 24 bits over a power of two, with its divisor's as addend.

    Raises
    ------
    FormatError
        For a scale next to the ends of float32.
    """
    if not requantisation_rule(rule).is_float:
        shift = numbers.shift.astype(np.int64)
        return LayerConstants(bias, numbers.multiplier, np.zeros_like(shift), shift, zero_point, low, high)
    multiplier, places = _whole_floats(numbers.factor, rule)
    divisor, divisor_places = _whole_floats(np.array([numbers.divisor], np.float32), rule)
    # Beyond 127 places no code but the zero point's is left; below -31 none but the ends.
    if numbers.formula == "float":
        divisor, shift = np.zeros_like(divisor), np.clip(places, -31, 127)
    else:
        shift = np.clip(places - divisor_places, -31, 127)
    return LayerConstants(bias, multiplier, np.broadcast_to(divisor, shift.shape), shift, zero_point, low, high)


def _whole_floats(numbers: Array, rule: str) -> tuple[Array, Array]:
    """Numbers of float32 as whole numbers of 24 significant bits, and over which powers of two."""
    mantissas, exponents = np.frexp(numbers.astype(np.float64))
    odd = (numbers != 0) & ((exponents < _EXPONENTS[0]) | (exponents > _EXPONENTS[1]))
    if odd.any():
        raise FormatError(
            f"rule {rule}: scale {numbers[odd][0]:.4g}; its circuit in Verilog takes those of "
            f"2**{_EXPONENTS[0]} to 2**{_EXPONENTS[1]}"
        )
    return np.ldexp(mantissas, _MANTISSA).astype(np.int64), _MANTISSA - exponents.astype(np.int64)


def _four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    images, height, width, channels = shape
    return images, height, width, channels
