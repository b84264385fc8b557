"""Processing elements of ext/rtl: which module, parameters and ports stand for a datapath at some widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS, Datapath
from addersim.errors import FormatError
from addersim.rtl.compiled import ClockedModule, Design
from addersim.rtl.simulators import SimulatedModule

__all__ = ["CIRCUITS", "Element", "circuit_datapath", "run_element", "signed"]

CIRCUITS: Mapping[str, str] = MappingProxyType({name.replace("-", "_"): name for name in DATAPATHS} | {"mac_booth": "mac"})
"""Circuits that there is Verilog of, each with the datapath that it is."""
LATENCY = 2
"""Clock edges from the operands of a tap to the sum that holds it."""


def circuit_datapath(circuit: str) -> Datapath:
    """The datapath of a circuit; an error lists the known ones."""
    if circuit not in CIRCUITS:
        raise FormatError(f"circuit {circuit!r} is none of {', '.join(CIRCUITS)}")
    return DATAPATHS[CIRCUITS[circuit]]


@dataclass(frozen=True, slots=True)
class Element:
    """A processing element.

    Attributes
    ----------
    circuit
        One of `CIRCUITS`.
    input_bits, weight_bits
        Stored widths of the operands; of ``xnor`` both are the number of pairs in a step.
    input_signed, weight_signed
        Whether they are in two's complement; codes of few values have a sign of their own.
    accumulator_bits, saturate
        The register; it wraps where it does not saturate.
    scratchpads
        Whether sums come from a scratchpad and go back there (``element_row_stationary``).
    """

    circuit: str
    input_bits: int
    weight_bits: int
    input_signed: bool = True
    weight_signed: bool = True
    accumulator_bits: int = 20
    saturate: bool = False
    scratchpads: bool = False

    @property
    def module(self) -> str:
        """Name of the Verilog module."""
        return "element_row_stationary" if self.scratchpads else f"pe_{self.circuit}"

    @property
    def words(self) -> str:
        """Operands and register in words.

        Examples
        --------
        >>> Element("mac", 8, 4, input_signed=False, accumulator_bits=20).words
        'input u8, weight s4, sum s20 that wraps'
        """
        signs = ("s" if one else "u" for one in (self.input_signed, self.weight_signed))
        x, w = (f"{sign}{bits}" for sign, bits in zip(signs, (self.input_bits, self.weight_bits), strict=True))
        return f"input {x}, weight {w}, sum s{self.accumulator_bits} that {'saturates' if self.saturate else 'wraps'}"

    def design(self) -> Design:
        """Module, parameters and ports."""
        register = (("ACCUMULATOR_BITS", self.accumulator_bits), ("SATURATE", int(self.saturate)))
        operands: tuple[tuple[str, int], ...] = (("INPUT_BITS", self.input_bits), ("WEIGHT_BITS", self.weight_bits))
        operands += (("INPUT_SIGNED", int(self.input_signed)), ("WEIGHT_SIGNED", int(self.weight_signed)))
        if self.circuit == "xnor" and not self.scratchpads:
            operands = (("LANES", self.input_bits),)
        codes: tuple[tuple[str, int], ...] = (("clear", 1), ("enable", 1))
        codes += (("input_code", self.input_bits), ("weight_code", self.weight_bits))
        datapath: tuple[tuple[str, int | str], ...] = ()
        if self.scratchpads:
            datapath, codes = (("DATAPATH", self.circuit),), (*codes, ("sum_before", self.accumulator_bits))
        return Design(self.module, (*datapath, *operands, *register), codes, (("sum", self.accumulator_bits),))


def run_element(
    module: ClockedModule | SimulatedModule,
    inputs: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
    first: npt.NDArray[np.bool_],
) -> dict[str, npt.NDArray[np.uint64]]:
    """Outputs after each tap, of codes as they are stored; `first` marks where a sum begins."""
    taps = len(inputs)
    clocks = taps + LATENCY - 1

    def filled(words: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.concatenate([words.astype(np.int64), np.zeros(clocks - taps, np.int64)])

    given: dict[str, npt.ArrayLike] = {
        "input_code": filled(inputs),
        "weight_code": filled(weights),
        "clear": filled(first),
        "enable": 1,
    }
    return {port: words[LATENCY - 1 :] for port, words in module.run(given, clocks).items()}


def signed(words: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.int64]:
    """Two's-complement words of a width as numbers."""
    places = np.uint64(64 - bits)
    return (words << places).view(np.int64) >> np.int64(64 - bits)
