"""DATAPATHS: the circuits that a window layer can run on, one record each.

A datapath computes one of `addersim.arithmetic.arithmetics`; those of one give the same numbers and different bills.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from addersim.arithmetic.arithmetics import ARITHMETICS, BY_TABLE, Arithmetic
from addersim.arithmetic.ops import OpCounts
from addersim.errors import FormatError
from addersim.inputs.text import did_you_mean

__all__ = ["DATAPATHS", "TABLE_BITS", "Datapath", "adder_circuits", "datapath", "datapaths_of", "table_datapath"]

_ADDER = "l1-"
_TABLE, _TABLE_OF_MAGNITUDES = "table", "table-magnitude"
TABLE_BITS = 8
"""Operands of a multiplier's table: however few the codes' bits are, the circuit is that wide."""


@dataclass(frozen=True, slots=True)
class Datapath:
    """A circuit for one tap of a window layer.

    Attributes
    ----------
    name
        Name in `DATAPATHS`.
    arithmetic
        What the circuit computes.
    tap_operations
        Operations of one tap at the width of the operands, without the accumulation.
    accumulation
        The operation, at the width of the accumulator, that adds a term to the sum.
    together
        Taps whose terms are summed before the accumulator takes them, by an adder tree that `tap_operations` bills.
    about
        One line for people.
    """

    name: str
    arithmetic: Arithmetic
    tap_operations: tuple[str, ...]
    accumulation: str
    about: str
    together: int = 1

    @property
    def multiplies(self) -> bool:
        """Whether a tap needs a multiplier, exact or by a table."""
        return any(op in ("mul", "amul") for op in self.tap_operations)

    def bill(self, taps: int, operand_bits: int, accumulator_bits: int, window: int = 1) -> OpCounts:
        """Operations that the hardware runs for a number of taps (padded taps included), of which each output has `window`.

        Examples
        --------
        >>> DATAPATHS["xnor"].bill(800, 1, 12, window=40)
        OpCounts(add1=800, add12=40, xor1=800)
        """
        operands = [((op, operand_bits), taps) for op in self.tap_operations]
        sums = taps if self.together == 1 else taps // window * -(-window // self.together)
        return OpCounts([*operands, ((self.accumulation, accumulator_bits), sums)])

    def paper_bill(self, taps: int, operand_bits: int) -> OpCounts:
        """Operations in the paper's convention, all at the operands' width, nothing else billed."""
        return OpCounts([((op, operand_bits), taps) for op in self.arithmetic.paper_operations])


def table_datapath(signed: bool) -> str:
    """Name of the datapath of a multiplier that is a table."""
    return _TABLE if signed else _TABLE_OF_MAGNITUDES


_L1, _L2, _MAC, _XNOR = (ARITHMETICS[name] for name in ("l1", "l2", "mac", "xnor"))
_TERNARY, _SHIFT, _APOT = (ARITHMETICS[name] for name in ("ternary", "shift", "apot"))
_RECORDS = (
    Datapath("l1-2a", _L1, ("sub", "sub", "mux"), "sub", "x - f and f - x, the positive one is chosen (arXiv 2101.10015)"),
    Datapath(
        "l1-1c1a", _L1, ("cmp", "mux", "mux", "sub"), "sub", "a comparator orders x and f, then x - f (arXiv 2101.10015)"
    ),
    Datapath("l1-xor", _L1, ("sub", "xor"), "sub", "x - f, inverted where negative; the missing +1 enters as the sum's carry"),
    Datapath("mac", _MAC, ("mul",), "add", "multiply and accumulate"),
    Datapath("l2", _L2, ("sub", "xor", "mul"), "sub", "x - f, inverted where negative, times itself in a full multiplier"),
    # One of three: a choice between x and 0, and an inversion whose missing +1 enters as the sum's carry.
    Datapath("ternary", _TERNARY, ("mux", "xor"), "add", "x, its inverse or nothing is added"),
    Datapath("shift", _SHIFT, ("shift", "mux", "xor"), "add", "x is shifted, and it, its inverse or nothing is added"),
    Datapath(
        "apot",
        _APOT,
        ("shift", "shift", "mux", "mux", "add", "xor"),
        "add",
        "x is shifted twice, each or neither is taken, and their sum or its inverse is added",
    ),
    Datapath(_TABLE, BY_TABLE, ("amul",), "add", "a multiplier of signed bytes, known by its table of products"),
    # The product is twice as wide as its operands; the missing +1 of its inverse enters as the sum's carry.
    Datapath(
        _TABLE_OF_MAGNITUDES,
        BY_TABLE,
        ("amul", "xor", "xor"),
        "add",
        "a multiplier of unsigned bytes, known by its table, on magnitudes; the product is inverted where signs differ",
    ),
    # A tree that counts n bits has about one full adder a bit.
    Datapath(
        "xnor", _XNOR, ("xor", "add"), "add", "signs are compared and counted, 32 at a time, by a tree of full adders", 32
    ),
)

DATAPATHS: Mapping[str, Datapath] = MappingProxyType({record.name: record for record in _RECORDS})


def datapaths_of(arithmetic: str) -> tuple[Datapath, ...]:
    """The circuits of an arithmetic, the usual one first."""
    return tuple(record for record in _RECORDS if record.arithmetic.name == arithmetic)


def datapath(name: str) -> Datapath:
    """The record of a name, or of the short name of an adder datapath; an error lists the known ones.

    Examples
    --------
    >>> datapath("mac").name, datapath("xor").name
    ('mac', 'l1-xor')
    """
    found = DATAPATHS.get(name) or DATAPATHS.get(_ADDER + name)
    if found is None:
        short = ", ".join(one.removeprefix(_ADDER) for one in DATAPATHS if one.startswith(_ADDER))
        raise FormatError(
            f"unknown datapath {name!r}; known: {', '.join(DATAPATHS)}; in short {short}{did_you_mean(name, DATAPATHS)}"
        )
    return found


def adder_circuits(names: Iterable[str]) -> tuple[str, ...]:
    """Short names of the adder datapaths among some, each once; other arithmetics have one datapath, so nothing to choose."""
    found = (datapath(name).name for name in names)
    return tuple(dict.fromkeys(name.removeprefix(_ADDER) for name in found if name.startswith(_ADDER)))
