"""DATAPATHS: the arithmetic circuits that a window layer can run on, one record each.

A *lane* is what is computed (``l1``: -sum |x - f|; ``mac``: sum x * f), with one C kernel and one twin. A *datapath* is
a circuit that computes a lane; circuits of one lane give the same numbers and different bills.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from addersim.errors import FormatError
from addersim.ops import OpCounts

__all__ = ["DATAPATHS", "LANES", "Datapath", "datapath"]


@dataclass(frozen=True, slots=True)
class Datapath:
    """A circuit for one tap of a window layer.

    Attributes
    ----------
    name
        Name in `DATAPATHS`.
    lane
        What the circuit computes: ``l1`` or ``mac``.
    tap_operations
        Operations of one tap at the width of the wider operand, without the accumulation.
    accumulation
        The operation, at the width of the accumulator, that adds a term to the sum.
    paper_operations
        Operations of one tap in the convention of the AdderNet paper: two additions, or a multiplication and an addition.
    shared_scale
        Whether both operands must have one scale.
    monotone
        Whether the sum moves in one direction only, so that saturating once at the end equals saturating at every step.
    padding_code
        The operand at a padded position. It takes part in the sum: |0 - f| is not free.
    about
        One line for people.
    """

    name: str
    lane: str
    tap_operations: tuple[str, ...]
    accumulation: str
    paper_operations: tuple[str, ...]
    shared_scale: bool
    monotone: bool
    padding_code: int
    about: str

    def bill(self, taps: int, operand_bits: int, accumulator_bits: int) -> OpCounts:
        """Operations that the hardware runs for a number of taps (padded taps included)."""
        operands = [((op, operand_bits), taps) for op in self.tap_operations]
        return OpCounts([*operands, ((self.accumulation, accumulator_bits), taps)])

    def paper_bill(self, taps: int, operand_bits: int) -> OpCounts:
        """Operations in the paper's convention, all at the operands' width, nothing else billed."""
        return OpCounts([((op, operand_bits), taps) for op in self.paper_operations])


def _l1(circuit: str, tap_operations: tuple[str, ...], about: str) -> Datapath:
    return Datapath(f"l1-{circuit}", "l1", tap_operations, "sub", ("add", "add"), True, True, 0, about)


_RECORDS = (
    _l1("2a", ("sub", "sub", "mux"), "x - f and f - x side by side, the positive one is chosen (arXiv 2101.10015)"),
    _l1("1c1a", ("cmp", "mux", "mux", "sub"), "a comparator orders x and f, one subtractor follows (arXiv 2101.10015)"),
    _l1("xor", ("sub", "xor"), "x - f, inverted where negative; the missing +1 enters as the accumulator's carry"),
    Datapath("mac", "mac", ("mul",), "add", ("mul", "add"), False, False, 0, "multiply and accumulate"),
)

DATAPATHS: Mapping[str, Datapath] = MappingProxyType({record.name: record for record in _RECORDS})
LANES: tuple[str, ...] = tuple(dict.fromkeys(record.lane for record in _RECORDS))


def datapath(name: str) -> Datapath:
    """The record of a name, or an error that lists the known ones."""
    try:
        return DATAPATHS[name]
    except KeyError:
        raise FormatError(f"unknown datapath {name!r}; known: {', '.join(DATAPATHS)}") from None
