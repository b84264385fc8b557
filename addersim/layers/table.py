"""Functions of one value, point by point: activations, exponentials, roots."""

from __future__ import annotations

import math

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, round_real
from addersim.arithmetic.functions import FUNCTIONS, Function
from addersim.arithmetic.ops import OpCounts
from addersim.errors import NetworkError
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.narrowing import narrow
from addersim.layers.pieces import Pieces, fit_pieces
from addersim.trace import Operand

__all__ = ["IntegerTable", "Table"]

LARGEST_TABLE_BITS = 10
"""Codes up to this width have a table entry each; wider ones straight pieces, where these are near enough."""


class Table(Layer, frozen=True, tag="table"):
    """A function of `addersim.arithmetic.functions` of each number.

    Attributes
    ----------
    function
        Its name.
    constants
        Its constants in their order; none for the usual ones.
    slopes
        For ``prelu``: one a channel, or one for all.
    """

    function: str
    constants: tuple[float, ...] = ()
    slopes: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        if self.function not in FUNCTIONS:
            raise NetworkError(f"{where}: function {self.function!r} is not one of {', '.join(FUNCTIONS)}")
        record = FUNCTIONS[self.function]
        usual = not any(math.isnan(number) for number in record.constants.values())
        if len(self.constants) != len(record.constants) and (self.constants or not usual):
            names = ", ".join(record.constants) or "none"
            raise NetworkError(f"{where}: {self.function} has {len(self.constants)} constants; expected {names}")
        if not all(math.isfinite(number) for number in self.constants):
            raise NetworkError(f"{where}: constants {self.constants} of {self.function}; expected finite numbers")
        sloped = self.slopes is not None and self.slopes.ndim == 1 and self.slopes.size > 0
        if sloped != record.per_channel or (self.slopes is not None and not sloped):
            found = "no slopes" if self.slopes is None else f"slopes of shape {self.slopes.shape}"
            expected = "one a channel" if record.per_channel else "none"
            raise NetworkError(f"{where}: {self.function} with {found}; expected {expected}")

    @property
    def record(self) -> Function:
        """What is known of the function."""
        return FUNCTIONS[self.function]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The constants, as given or as usual."""
        return self.constants or tuple(self.record.constants.values())

    def is_never_negative(self, *inputs: bool) -> bool:
        return self.record.never_negative(inputs[0], *self.numbers)

    def shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if self.slopes is not None and self.slopes.size not in (1, shape[0]):
            raise NetworkError(f"layer {self.name}: {self.slopes.size} slopes, the input {shape} has {shape[0]} channels")
        return shape

    def run(self, *values: Array, threads: int | None = None) -> Array:
        found = self.record(values[0], *self._arguments())
        with np.errstate(over="ignore"):  # the network says which layer left float32
            return found.astype(values[0].dtype)

    def _arguments(self) -> tuple[float | Array, ...]:
        return self.numbers if self.slopes is None else (self.slopes.astype(np.float64),)

    def integer(self, plan: Plan) -> IntegerLayer:
        source, output = plan.formats[self.inputs[0]], plan.formats[self.name]
        codes = self._codes(source, output)
        pieces = None
        if source.bits > LARGEST_TABLE_BITS:
            pieces = fit_pieces(codes, output, plan.how.multiplier_bits)
        return IntegerTable(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            function=self.function,
            source=source,
            output=output,
            codes=None if pieces else codes,
            pieces=pieces,
        )

    def _codes(self, source: FixedFormat, output: FixedFormat) -> Array:
        """Output code of every input code, ``(codes, 1)`` or ``(codes, channels)``: the function, rounded and saturated."""
        reals = source.decode(np.arange(source.minimum, source.maximum + 1))[:, None]
        found = self.record.nearest(reals, *self._arguments())
        if (wrong := np.isnan(found).any(axis=1)).any():
            raise NetworkError(f"layer {self.name}: {self.details()} gives no number at {reals[wrong][0, 0]:g}")
        codes = round_real(found / output.scale, output.rounding_for("half-even")) + output.zero_point
        return np.clip(codes, output.minimum, output.maximum).astype(output.dtype)

    def details(self) -> str:
        return " ".join([self.function, *(f"{number:g}" for number in self.constants)])

    def parameters(self) -> int:
        return 0 if self.slopes is None else self.slopes.size


class IntegerTable(IntegerLayer, frozen=True, tag="table"):
    """A function on codes: an entry for every code, or straight pieces.

    Attributes
    ----------
    function
        Name, for tables.
    source, output
        Formats.
    codes
        Output codes, ``(2**bits, 1)`` for all channels or one column a channel; None where there are pieces.
    pieces
        What takes the place of a table of very many entries.
    """

    function: str
    source: FixedFormat
    output: FixedFormat
    codes: np.ndarray | None = None
    pieces: Pieces | None = None

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        where, entries = f"layer {self.name}", 1 << self.source.bits
        if (self.codes is None) == (self.pieces is None):
            raise NetworkError(f"{where}: needs a table of codes or pieces, and not both")
        if self.pieces is not None:
            self.pieces.check(where, self.source.bits)
        elif self.codes is not None:
            given = self.codes
            if given.dtype != self.output.dtype or given.ndim != 2 or len(given) != entries or not given.size:
                expected = f"{self.output.dtype}, {entries} rows, one column a channel"
                raise NetworkError(f"{where}: codes are {given.dtype} {given.shape}; expected {expected}")
            if given.min() < self.output.minimum or given.max() > self.output.maximum:
                raise NetworkError(f"{where}: codes {given.min()}..{given.max()} do not lie in {self.output}")

    @property
    def columns(self) -> int:
        """One for all channels, or one for each."""
        return int(self._rows.shape[1])

    @property
    def _rows(self) -> Array:
        rows = self.codes if self.pieces is None else self.pieces.base
        assert rows is not None
        return rows

    @property
    def largest_error(self) -> int:
        """How far any output code is from the function, rounded: zero for a table."""
        return 0 if self.pieces is None else self.pieces.largest_error

    def details(self) -> str:
        if self.pieces is None:
            return f"{self.function}, {len(self._rows)} entries"
        return f"{self.function}, {len(self._rows)} pieces, at most {self.largest_error} codes off"

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if given != Value.of(given.shape, self.source):
            raise NetworkError(f"layer {self.name}: input {given}; the table was made for {self.source}")
        if self.columns not in (1, given.shape[0]):
            found = f"{self.columns} tables, the input {given.shape} has {given.shape[0]} channels"
            raise NetworkError(f"layer {self.name}: {found}")
        return Value.of(given.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        least = self.source.minimum
        if self.pieces is None:
            return Run(engine.look_up_codes(codes[0], self._rows, least=least, threads=threads))
        pieces = self.pieces
        wide = engine.look_up_pieces(
            codes[0], pieces.base, pieces.slope, least=least, place_bits=pieces.place_bits, threads=threads
        )
        return Run(narrow(engine, wide, (1, pieces.shift), self.output, "half-even", threads=threads).values)

    def bill(self, output: Value, *inputs: Value) -> Bill:
        if self.pieces is None:
            return Bill(OpCounts(), weights=Operand(self._rows.size, self.output.bits))
        return Bill(self.pieces.counts(output.words), weights=self.pieces.memory)
