"""The requantisation unit alone, as compiled Verilog: words become codes by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.rtl.compiled import Design, compile_designs
from addersim.rtl.layers import LayerConstants
from addersim.rtl.sources import sources_text

__all__ = ["UnitDesign", "run_unit"]

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
