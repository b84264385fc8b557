"""Windows on codes: convolution, depthwise, grouped and linear, on any datapath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from addersim.arithmetic.arithmetics import BY_TABLE
from addersim.arithmetic.datapaths import DATAPATHS, datapath, table_datapath
from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.arithmetic.ops import OpCounts
from addersim.errors import FormatError, NetworkError
from addersim.kernels.chains import Link, window_link
from addersim.kernels.zero_points import check_zero_points
from addersim.layers.affine import IntegerAffine
from addersim.layers.base import Array, Bill, Engine, Run, Value, named, observe
from addersim.layers.rescale import IntegerRescale
from addersim.layers.window_moves import as_pixels, check_groups, like_input, moves_of, window_shape
from addersim.layers.window_operands import WindowOperands, nonzero_groups, shift_up, skips_zeros
from addersim.storage import stands_in
from addersim.trace import MatrixWork, Operand

__all__ = ["IntegerWindow"]

_NOTHING = OpCounts()


@dataclass(frozen=True, slots=True)
class PreparedLayer:
    """A layer that is ready to run on codes with some number of threads, and the step that it is of a chain, if it is one."""

    run: Callable[[Array, int | None], Any]
    link: Link | None


class IntegerWindow(WindowOperands, frozen=True, tag="window", dict=True):
    """A window on codes that runs, and its bill.

    The register starts at zero and takes the taps in the order kernel row, kernel column, input channel. Fields and operands:
    `WindowOperands`. With a `multiplier` the products are those of its table: see `with_multiplier`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        record = datapath(self.datapath)
        self._check_multiplier(where)
        if self.weights.ndim != 4 or self.weights.dtype != self.weight_format.dtype or self.weights.size == 0:
            found = f"{self.weights.dtype} {self.weights.shape}"
            raise NetworkError(f"{where}: weight codes are {found}, expected 4 axes of {self.weight_format.dtype}")
        check_groups(self)
        low, high = int(self.weights.min()), int(self.weights.max())
        if low < self.weight_format.minimum or high > self.weight_format.maximum:
            raise NetworkError(f"{where}: weight codes {low}..{high} leave the format {self.weight_format}")
        self._check_values(where)
        self._check_zero_points(where)
        if record.arithmetic.shared_scale and not np.log2(self.weight_format.scale / self.input_format.scale).is_integer():
            scales = f"{self.input_format} and {self.weight_format}"
            raise NetworkError(f"{where}: {self.datapath} needs one scale for input and weights, found {scales}")
        register = self.accumulator
        if register.overflow == "exact" and register.bits is not None and register.bits < self.bits_bound():
            needed = self.bits_needed()
            if register.bits < needed:
                raise NetworkError(
                    f"{where}: the accumulator has {register.bits} bits and its worst case needs {needed}; "
                    f"widen it, or say what overflow does: {register.bits}:saturate or {register.bits}:wrap"
                )

    def _check_multiplier(self, where: str) -> None:
        """Refuse a table's datapath without the table, and operands that the table has no row or column for."""
        table = self.multiplier
        wanted = table and table_datapath(table.signed)
        if wanted != self.datapath and (table or self._arithmetic is BY_TABLE):
            raise NetworkError(f"{where}: datapath {self.datapath} with {'no multiplier' if table is None else wanted}")
        for what, form in (("input", self.input_format), ("weights", self.weight_format)):
            if table and (why := table.refuses(form)):
                raise NetworkError(f"{where}: {what}: {why}")

    def _check_zero_points(self, where: str) -> None:
        """Refuse zero points that are no codes, or that this arithmetic, its circuit or these widths do not take."""
        if self.weight_format.zero_point:
            raise NetworkError(f"{where}: weights in {self.weight_format}; give their zero points, one a filter, apart")
        try:
            zero, of_weights = check_zero_points(
                self.input_format.zero_point,
                self.weight_zero_points,
                self._kernel,
                self.input_format.dtype,
                self.weights,
                self.multiplier,
            )
        except FormatError as error:
            raise NetworkError(f"{where}: {error}") from None
        if of_weights is not None:
            least, most = int(of_weights.min()), int(of_weights.max())
            if not self.weight_format.minimum <= least <= most <= self.weight_format.maximum:
                raise NetworkError(f"{where}: weight zero points {least}..{most} leave the format {self.weight_format}")
            if not self._arithmetic.codec.uniform:
                raise NetworkError(f"{where}: {self._arithmetic.codec.name} weights have no zero points")
        if (zero or of_weights is not None) and any(self.places()):
            scales = f"{self.input_format} and {self.weight_format}"
            raise NetworkError(f"{where}: {self.datapath} with zero points needs one scale for both operands, found {scales}")

    def _check_values(self, where: str) -> None:
        """Refuse weights that are no values of their codec; those of a layer that is only counted are no weights."""
        codec = self._arithmetic.codec
        try:
            bits = self._weight_bits()
        except FormatError as error:
            raise NetworkError(f"{where}: {error}") from None
        if codec.uniform or stands_in(self.weights):
            return
        allowed = codec.levels(bits)
        if strange := sorted(set(np.unique(np.abs(self.weights)).tolist()) - set(allowed)):
            held = ", ".join(map(str, allowed))
            raise NetworkError(f"{where}: weight of magnitude {strange[0]}; {codec.name} weights have magnitudes {held}")

    def with_multiplier(self, table: MultiplierTable) -> IntegerWindow:
        """The same layer, a multiplying one, with products from a table.

        Raises
        ------
        NetworkError
            For another layer, or operands that the table has no products of.
        """
        if not self.multiplies:
            raise NetworkError(
                f"layer {self.name}: is {self._arithmetic.title}; a multiplier's table is for multiplying layers"
            )
        return msgspec.structs.replace(self, datapath=table_datapath(table.signed), multiplier=table)

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        expected = self.input_format
        if given != Value.of(given.shape, expected):
            raise NetworkError(f"layer {self.name}: expects its input in {expected}, layer {self.inputs[0]} gives {given}")
        shape = window_shape(self, self.weights.shape, given.shape)
        due = self._arithmetic.linear and bool(self.input_format.zero_point)
        return Value(shape, self.accumulator_bits(), True, self.scale, is_sum=True, constant_due=due)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        found: Run = self.prepared(engine).run(codes[0], threads)
        return found

    def prepared(self, engine: Engine) -> PreparedLayer:
        """This layer's run for many batches: what does not depend on the codes is found out once."""
        window, enter = self._prepared(engine), self._entry()

        def run(codes: Array, threads: int | None) -> Run:
            found = window(enter(codes), threads=threads)
            seen = observe(found.minimum, found.maximum, found.overflowed, found.values.size)
            return Run(like_input(found.values, codes), seen)

        return PreparedLayer(run, self._link(window))

    def prepared_into(
        self, narrowing: IntegerAffine | IntegerRescale, then: FixedFormat | None, engine: Engine
    ) -> PreparedLayer:
        """This layer and what narrows its sums as one, and the clamp to `then` of the ReLU that alone reads that: two runs.

        Same numbers as one after the other; the sums never leave the cache, so that the first run has no values.
        """
        enter = self._entry()
        both = narrowing.behind(self._prepared(engine), engine, len(self.weights), then)

        def run(codes: Array, threads: int | None) -> tuple[Run, Run]:
            with narrowing.telling():
                found = both(enter(codes), threads=threads)
            size = found.values.size
            sums = observe(found.sums_minimum, found.sums_maximum, found.sums_overflowed, size)
            narrowed = observe(found.minimum, found.maximum, found.overflowed, size)
            return Run(None, sums), Run(like_input(found.values, codes), narrowed)

        return PreparedLayer(run, self._link(both))

    def _link(self, prepared: object) -> Link | None:
        """The step of a chain that this is, where codes enter as they are."""
        return None if self.places()[0] else window_link(prepared)

    def _entry(self) -> Callable[[Array], Array]:
        """Brings codes, as pixels, to the scale of the sum, in a type that holds every code of the input's format there."""
        kind, places = self._operand_type(), self.places()[0]
        return lambda codes: as_pixels(codes.astype(kind) << places if places else codes)

    def _operand_type(self) -> np.dtype[Any]:
        shifted = self.input_format.bits + self.places()[0]
        return FixedFormat(shifted, self.input_format.signed).dtype

    def _prepared(self, engine: Engine) -> Any:
        with named(self.name):
            return engine.prepare_window(
                self._operand_type(),
                shift_up(self.weights, self.places()[1]),
                arithmetic=self._kernel,
                products=None if self.multiplier is None else self.multiplier.by_bytes(*self._formats()),
                zero_point=self.input_format.zero_point,
                weight_zero_points=self.weight_zero_points,
                accumulator_bits=self.accumulator.bits,
                overflow=self.accumulator.overflow,
                **moves_of(self),
            )

    def bill(self, output: Value, *inputs: Value) -> Bill:
        record = DATAPATHS[self.datapath]
        filters, height, width, channels = self.weights.shape
        _, rows, columns = (*inputs[0].shape, 1, 1)[:3]
        work = MatrixWork(
            pixels=output.words // filters,
            window=height * width * channels,
            filters=filters // self.groups,
            groups=self.groups,
            geometry=self.geometry,
            image=(rows, columns),
        )
        operand_bits = self.operand_bits()
        return Bill(
            hardware=record.bill(work.taps, operand_bits, output.bits, work.window) + self._corrections(output, inputs[0]),
            weights=Operand(self.weights.size, self._weight_bits()),
            work=work,
            datapath=self.datapath,
            accumulator_bits=output.bits,
            operand_bits=operand_bits,
            tap_operands=self.tap_operands(),
            nonzero=() if self.multiplier else self._nonzero(),
            multiplier=self.multiplier.price if self.multiplier else None,
        )

    def _corrections(self, output: Value, given: Value) -> OpCounts:
        """What it takes to subtract the weights' zero points from sums of products of codes: zero point times sum of inputs.

        The sum of the inputs runs beside the products, one addition a word. Weights that fit their width as signed codes
        without zero points are stored so.
        """
        of_weights = self._zero_points[1]
        if of_weights is None or not self._arithmetic.linear:
            return _NOTHING
        plain, end = self._plain_weights(), 1 << (self.weight_format.bits - 1)
        if not stands_in(plain) and -end <= plain.min() and plain.max() < end:
            return _NOTHING
        window = self.weights[0].size
        low, high = (window * code for code in (self.input_format.minimum, self.input_format.maximum))
        sum_bits = bits_for(low, high, signed=self.input_format.signed)
        outputs = output.words // len(self.weights) * int(np.count_nonzero(of_weights))
        multiplication = "mul", max(sum_bits, self.weight_format.bits)
        return OpCounts({("add", sum_bits): given.words, multiplication: outputs, ("sub", output.bits): outputs})

    def _nonzero(self) -> tuple[tuple[int, int], ...]:
        return self.nonzero or (nonzero_groups(self._plain_weights()) if skips_zeros(self._arithmetic) else ())
