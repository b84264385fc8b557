"""ARITHMETICS: what one tap of a window layer computes, one record each.

The float layers, the reference kernel and every bound of a sum come from `Arithmetic.term`; the compiled loops come from the
row of the name `Arithmetic.kernel` in ``ext/core.h`` (a test compares them). Circuits that compute one are
`addersim.arithmetic.datapaths`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from addersim.arithmetic.codecs import CODECS, Codec
from addersim.errors import FormatError
from addersim.inputs.text import did_you_mean

__all__ = ["ARITHMETICS", "BY_TABLE", "Arithmetic", "arithmetic"]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What a window layer sums.

    Attributes
    ----------
    name
        Name in `ARITHMETICS`.
    title
        What people call its layers.
    term
        One tap: a function of operands ``x`` and ``w`` (numbers or arrays). Between two values of either operand it is never
        smaller than at both ends, so that bounds need look at no others.
    kernel
        Row of the compiled kernels that computes the term.
    codec
        How its weights are stored.
    degree
        Terms of operands times s are the terms times s**degree; 0 where only signs count.
    shared_scale
        Whether both operands must have one scale: a difference of codes means nothing otherwise.
    linear
        Whether the term is linear in each operand: batch norm folds into the weights, a filter may have a scale of its own.
    falls
        Whether no term is above zero. The sum then moves in one direction only, and a register that saturates once at the end
        holds what it would if it saturated at every tap.
    exact_clip
        Whether weights outside the input's range may be clipped to it, at a constant that the following addend takes:
        ``|x - w| = |x - clip(w)| + |w - clip(w)|``.
    activation_bits
        Bits that it reads of an input, or None where it takes any width.
    paper_operations
        Operations of one tap in the convention of the AdderNet paper (arXiv 1912.13200): two additions, or a multiplication
        and an addition, or an exclusive nor and an addition.
    layers
        Torch modules of this arithmetic by class name, two-dimensional ones first; the first is also the operator in ONNX
        (domain ``addersim``) where ONNX has none of its own.
    """

    name: str
    title: str
    term: Callable[[Any, Any], Any]
    kernel: str
    codec: Codec
    degree: int
    shared_scale: bool
    linear: bool
    falls: bool
    exact_clip: bool
    paper_operations: tuple[str, ...]
    layers: tuple[str, ...]
    activation_bits: int | None = None

    @property
    def takes_zero_points(self) -> bool:
        """Whether codes of its operands may have a zero point: their products, or differences, then leave it out."""
        return self.linear or self.shared_scale

    @property
    def has_own_operator(self) -> bool:
        """Whether ONNX has no operator of it, so that ours stands in the domain ``addersim``."""
        return self.layers[0] != "Conv2d"

    def ends(self, x: tuple[int, int], w: tuple[int, int]) -> tuple[int, int]:
        """Smallest and largest term, zero included, of operands between two codes each.

        Examples
        --------
        >>> ARITHMETICS["l1"].ends((0, 255), (-128, 127)), ARITHMETICS["mac"].ends((0, 255), (-128, 127))
        ((-383, 0), (-32640, 32385))
        """
        terms = [self.term(one, other) for one in x for other in w]
        return min(0, *terms), 0 if self.falls else max(0, *terms)


_MAC = Arithmetic(
    name="mac",
    title="multiplying",
    term=lambda x, w: x * w,
    kernel="mac",
    codec=CODECS["uniform"],
    degree=2,
    shared_scale=False,
    linear=True,
    falls=False,
    exact_clip=False,
    paper_operations=("mul", "add"),
    layers=("Conv2d", "Linear"),
)
BY_TABLE = replace(_MAC, name="table", title="multiplying by a table", paper_operations=("amul", "add"), layers=())
"""What a layer of codes sums whose multiplier is a table (`addersim.arithmetic.multiplier`), in place of ``mac``; float layers
do not have it."""
_OF_FEW_VALUES = (  # the same sums, of other weights, by other circuits
    ("ternary", "ternary", "ternary", ("add",), ("Ternary2d", "TernaryLinear")),
    ("shift", "shift", "power-of-two", ("shift", "add"), ("Shift2d", "ShiftLinear")),
    ("apot", "two-shift", "two-powers", ("shift", "shift", "add", "add"), ("Apot2d", "ApotLinear")),
)
_RECORDS = (
    Arithmetic(
        name="l1",
        title="adder",
        term=lambda x, w: -abs(x - w),
        kernel="l1",
        codec=CODECS["uniform"],
        degree=1,
        shared_scale=True,
        linear=False,
        falls=True,
        exact_clip=True,
        paper_operations=("add", "add"),
        layers=("Adder2d", "adder2d", "AdderLinear"),
    ),
    _MAC,
    Arithmetic(
        name="l2",
        title="Euclidean",
        term=lambda x, w: (x - w) * (w - x),
        kernel="l2",
        codec=CODECS["uniform"],
        degree=2,
        shared_scale=True,
        linear=False,
        falls=True,
        exact_clip=False,
        paper_operations=("add", "mul", "add"),
        layers=("Euclidean2d", "EuclideanLinear"),
    ),
    *(
        replace(_MAC, name=name, title=title, codec=CODECS[codec], paper_operations=paper_operations, layers=layers)
        for name, title, codec, paper_operations, layers in _OF_FEW_VALUES
    ),
    Arithmetic(
        name="xnor",
        title="binary",
        term=lambda x, w: 1 - 2 * ((x < 0) != (w < 0)),  # a padded tap is a sign like all others: that of zero, +1
        kernel="xnor",
        codec=CODECS["sign"],
        degree=0,
        shared_scale=False,
        linear=False,
        falls=False,
        exact_clip=False,
        paper_operations=("xor", "add"),
        layers=("Xnor2d", "XnorLinear"),
        activation_bits=1,
    ),
)

ARITHMETICS: Mapping[str, Arithmetic] = MappingProxyType({record.name: record for record in _RECORDS})


def arithmetic(name: str) -> Arithmetic:
    """The record of a name, or an error that lists the known ones."""
    try:
        return ARITHMETICS[name]
    except KeyError:
        raise FormatError(
            f"arithmetic: {name!r} is not one of {', '.join(ARITHMETICS)}{did_you_mean(name, ARITHMETICS)}"
        ) from None
