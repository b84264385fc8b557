"""Words become codes in compiled Verilog: by the requantisation unit alone, and by residual additions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Pair
from addersim.rtl.compiled import Design, compile_designs
from addersim.rtl.layers import LayerConstants
from addersim.rtl.sources import sources_text

__all__ = ["AddDesign", "UnitDesign", "run_add", "run_unit"]

Array = npt.NDArray[Any]
SUM_BITS = 64
_OF_RESULTS = (("zero_point", 18), ("low", 18), ("high", 18))
_PORTS = (("sum", SUM_BITS), ("bias", 32), ("multiplier", 32), ("addend", 64), ("shift", 8), *_OF_RESULTS)


@dataclass(frozen=True, slots=True)
class UnitDesign:
    """The rule, and the codes' width; they wrap to it or are held in the ends that the constants have."""

    rule: str
    output_bits: int
    output_signed: bool = True
    wrap: bool = False

    def design(self) -> Design:
        """Module, parameters and ports."""
        return Design("requantize", self._parameters(), _PORTS, (("code", self.output_bits),), clocked=False)

    def _parameters(self) -> tuple[tuple[str, int | str], ...]:
        widths = (("SUM_BITS", SUM_BITS), ("OUTPUT_BITS", self.output_bits), ("OUTPUT_SIGNED", int(self.output_signed)))
        return (("RULE", self.rule), *widths, ("WRAP", int(self.wrap)))


def run_unit(design: UnitDesign, sums: Array, constants: LayerConstants, verilog: Mapping[str, str] | None = None) -> Array:
    """Codes of words ``(..., channels)``, as they are stored."""
    sources = sources_text() if verilog is None else verilog
    (unit,) = compile_designs([design.design()], sources)
    given = {"sum": sums} | {name: np.broadcast_to(one, sums.shape) for name, one in constants._asdict().items()}
    return unit.run({port: words.reshape(-1) for port, words in given.items()}, sums.size)["code"].reshape(sums.shape)


@dataclass(frozen=True, slots=True)
class AddDesign:
    """A residual addition: types of both codes, and what the sum becomes."""

    kinds: tuple[np.dtype[Any], np.dtype[Any]]
    subtract: bool
    unit: UnitDesign

    def design(self) -> Design:
        """Module, parameters and ports."""
        first, second = (8 * kind.itemsize for kind in self.kinds)
        signs = (int(kind.kind == "i") for kind in self.kinds)
        unit, names = self.unit, ("FIRST_SIGNED", "SECOND_SIGNED")
        parameters = (
            *(("FIRST_BITS", first), ("SECOND_BITS", second)), *zip(names, signs, strict=True),
            *(("SUBTRACT", int(self.subtract)), ("WRAP", int(unit.wrap))),
            *(("OUTPUT_BITS", unit.output_bits), ("OUTPUT_SIGNED", int(unit.output_signed))),
        )  # fmt: skip
        inputs = (("first", first), ("second", second), *_OF_RESULTS[1:])
        return Design("residual_add", parameters, inputs, (("code", unit.output_bits),), clocked=False)


def run_add(design: AddDesign, codes: tuple[Array, Array], ends: Pair, verilog: Mapping[str, str] | None = None) -> Array:
    """Codes of sums of two arrays of one shape, as they are stored, held between two ends."""
    sources = sources_text() if verilog is None else verilog
    (adder,) = compile_designs([design.design()], sources)
    first, second = (one.reshape(-1).astype(np.int64) for one in codes)
    given: dict[str, npt.ArrayLike] = {"first": first, "second": second, "low": ends[0], "high": ends[1]}
    return adder.run(given, first.size)["code"].reshape(codes[0].shape)
