"""Window layers: convolution, depthwise, grouped and linear, on any datapath."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS, BY_TABLE, Arithmetic
from addersim.arithmetic.datapaths import DATAPATHS, TABLE_BITS, datapath, table_datapath
from addersim.arithmetic.fixed import Accumulator, FixedFormat, bits_for
from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.arithmetic.ops import OpCounts
from addersim.errors import FormatError, NetworkError
from addersim.kernels.chains import Link, window_link
from addersim.kernels.checks import Moves
from addersim.kernels.sums import Bounds
from addersim.kernels.zero_points import check_zero_points, less_zero_points
from addersim.layers.affine import IntegerAffine
from addersim.layers.base import (
    Array,
    Bill,
    Engine,
    IntegerLayer,
    Layer,
    Pair,
    Plan,
    Run,
    Shape,
    Value,
    moves_in_words,
    named,
    observe,
)
from addersim.layers.rescale import IntegerRescale
from addersim.quantization.rules import Quantization
from addersim.storage import stands_in
from addersim.trace import GROUPS, MatrixWork, Operand, TapOperands

__all__ = ["IntegerWindow", "Window"]

_NOTHING = OpCounts()


def _window_shape(layer: Window | IntegerWindow, weights: Shape, shape: Shape) -> Shape:
    """Output shape of a window, from weights ``(filters, kernel height, kernel width, channels / groups)``.

    An input of features is one pixel of that many channels.
    """
    where = f"layer {layer.name}"
    filters, *_, channels = weights
    if shape[0] != channels * layer.groups:
        raise NetworkError(
            f"{where}: weights expect {channels * layer.groups} input channels, the input {shape} has {shape[0]}"
        )
    try:
        _, *size, _ = layer.geometry.output_shape((1, *(*shape, 1, 1)[1:3], shape[0]), weights)
    except NetworkError as error:
        raise NetworkError(f"{where}: {error}") from None
    return (filters, *size) if len(shape) == 3 else (filters,)


def _moves(layer: Window | IntegerWindow) -> Moves:
    """How a layer's window moves, as kernels and `Geometry` take it."""
    return {
        "stride": layer.stride,
        "padding": layer.padding,
        "far_padding": layer.far_padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
    }


def _check_groups(layer: Window | IntegerWindow) -> None:
    filters = len(layer.weights)
    if layer.groups < 1 or filters % layer.groups:
        raise NetworkError(f"layer {layer.name}: {filters} filters do not divide into {layer.groups} groups")


@dataclass(frozen=True, slots=True)
class PreparedLayer:
    """A layer that is ready to run on codes with some number of threads, and the step that it is of a chain, if it is one."""

    run: Callable[[Array, int | None], Any]
    link: Link | None


def _as_pixels(values: Array) -> Array:
    return values if values.ndim == 4 else values[:, None, None, :]


def _like_input(outputs: Array, values: Array) -> Array:
    return outputs if values.ndim == 4 else outputs[:, 0, 0, :]


class Window(Layer, frozen=True, tag="window"):
    """A sliding window in float.

    Attributes
    ----------
    arithmetic
        A name in `addersim.arithmetic.arithmetics.ARITHMETICS`, such as ``l1`` for -sum |x - f|, ``mac`` for sum x * f.
    weights
        Shape ``(filters, channels / groups, kernel height, kernel width)``, as in PyTorch.
    bias
        Shape ``(filters,)``, or None.
    stride, padding, dilation
        Vertical and horizontal. Padded zeros are operands: in ``l1`` each contributes ``-|0 - f|``.
    shared
        Name of the layer before it whose weights it uses: they, and a bias equal to that layer's, are counted there.
    weight_bits
        Stored width that its weights were trained for, where their codec has several; quantisation takes no wider one.
    """

    arithmetic: str
    weights: np.ndarray
    bias: np.ndarray | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    far_padding: Pair | None = None
    shared: str | None = None
    weight_bits: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        if self.arithmetic not in ARITHMETICS:
            raise NetworkError(f"{where}: unknown arithmetic {self.arithmetic!r}; known: {', '.join(ARITHMETICS)}")
        if self.weights.ndim != 4 or self.weights.size == 0:
            raise NetworkError(f"{where}: weights are {self.weights.dtype} {self.weights.shape}; expected 4 axes of floats")
        if self.bias is not None and self.bias.shape != self.weights.shape[:1]:
            raise NetworkError(f"{where}: bias has shape {self.bias.shape}, expected {self.weights.shape[:1]}")
        if self.weight_bits is not None:
            ARITHMETICS[self.arithmetic].codec.bits(self.weight_bits, where)
        _check_groups(self)

    @property
    def kernel(self) -> Pair:
        """Height and width of the window."""
        return self.weights.shape[2], self.weights.shape[3]

    @property
    def geometry(self) -> Geometry:
        """How it moves over an image."""
        return Geometry(self.kernel, **_moves(self))

    def stored_bits(self, how: Quantization) -> int:
        """Width in which rules store a weight."""
        return how.weight_bits_of(self.name, self.arithmetic, self.weight_bits)

    def shape(self, *inputs: Shape) -> Shape:
        filters, channels, *kernel = self.weights.shape
        return _window_shape(self, (filters, *kernel, channels), inputs[0])

    def run(self, *values: Array, threads: int | None = None) -> Array:
        x = values[0]
        weights = np.ascontiguousarray(self.weights.transpose(0, 2, 3, 1), dtype=x.dtype)
        outputs = kernels.forward(_as_pixels(x), weights, arithmetic=self.arithmetic, threads=threads, **_moves(self))
        if self.bias is not None:
            outputs += self.bias.astype(x.dtype)
        return _like_input(outputs, x)

    def integer(self, plan: Plan) -> IntegerLayer:
        record = plan.how.datapath_of(self.arithmetic)
        input_format = plan.formats[self.inputs[0]]
        bits = self.stored_bits(plan.how)
        shape = (self.weights.shape[0], *self.kernel, self.weights.shape[1])
        if record.arithmetic.shared_scale:
            # codes of another width than the input's sit on the same grid, whole places up or down
            signed = input_format.signed or bool((self.weights < 0).any())
            weight_format = FixedFormat(bits, signed, input_format.scale * 2.0 ** (input_format.bits - bits))
        else:
            weight_format = record.arithmetic.codec.format(bits)  # linear filters were brought to scale one
        reals = self.weights.transpose(0, 2, 3, 1)
        zero = input_format.zero_point if record.arithmetic.shared_scale else 0  # weights that are clipped to the input fit
        if not plan.calibrated:
            weights = np.broadcast_to(np.zeros(1, weight_format.dtype), shape)
        elif record.arithmetic.codec.uniform:
            weights = dataclasses.replace(weight_format, zero_point=zero).encode(reals, plan.how.rounding)
        else:
            weights = record.arithmetic.codec.nearest(reals, bits).astype(weight_format.dtype)
        return IntegerWindow(
            name=self.name,
            inputs=self.inputs,
            twin=plan.twins.get(self.name),
            datapath=record.name,
            weights=weights,
            input_format=input_format,
            weight_format=weight_format,
            accumulator=plan.how.accumulator,
            **_moves(self),
            shared=self.shared,
            nonzero=_nonzero(reals) if _skips_zeros(record.arithmetic) and not plan.calibrated else (),
            weight_zero_points=np.full(len(weights), zero, np.int32) if zero else None,
        )

    def details(self) -> str:
        words = [f"{self.arithmetic} {self.kernel[0]}x{self.kernel[1]}", *moves_in_words(self.geometry)]
        return " ".join(words + ["bias"] * (self.bias is not None))

    def parameters(self) -> int:
        return (0 if self.shared else self.weights.size) + (0 if self.bias is None else self.bias.size)


class IntegerWindow(IntegerLayer, frozen=True, tag="window", dict=True):
    """A window on codes: a datapath, weight codes ``(filters, kernel height, kernel width, channels / groups)``, a register.

    The register starts at zero and takes the taps in the order kernel row, kernel column, input channel. Where the datapath
    wants one scale for both operands, the finer one is the scale of the sum and the coarser operand is shifted to it.
    Where only shapes matter the weights are zeros without memory; what is known of theirs is `nonzero`, as in `LayerTrace`.
    With a `multiplier` the products are those of its table: see `with_multiplier`.

    Operands are codes less their zero points: that of `input_format`, and of each filter its `weight_zero_points` (int32, or
    None where all are zero). That is what the sums are. Hardware multiplies the codes themselves and adds the constant that is
    then due, the input's zero point times the sum of a filter's weights, with the addend of what follows
    (`Value.constant_due`); what weights with zero points owe is billed here.
    """

    datapath: str
    weights: np.ndarray
    input_format: FixedFormat
    weight_format: FixedFormat
    accumulator: Accumulator
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    far_padding: Pair | None = None
    shared: str | None = None
    nonzero: tuple[tuple[int, int], ...] = ()
    multiplier: MultiplierTable | None = None
    weight_zero_points: np.ndarray | None = None

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"layer {self.name}"
        record = datapath(self.datapath)
        self._check_multiplier(where)
        if self.weights.ndim != 4 or self.weights.dtype != self.weight_format.dtype or self.weights.size == 0:
            found = f"{self.weights.dtype} {self.weights.shape}"
            raise NetworkError(f"{where}: weight codes are {found}, expected 4 axes of {self.weight_format.dtype}")
        _check_groups(self)
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

    @property
    def _zero_points(self) -> tuple[int, Array | None]:
        """Of the input, and of the weights where they have any."""
        of_weights = self.weight_zero_points
        return self.input_format.zero_point, of_weights if of_weights is not None and of_weights.any() else None

    @property
    def multiplies(self) -> bool:
        """Whether it has a multiplier for any two codes, exact or from a table."""
        return self._arithmetic is ARITHMETICS["mac"] or self._arithmetic is BY_TABLE

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

    @property
    def scale(self) -> float:
        """Real value of one accumulator step."""
        if self._arithmetic.linear:
            return self.input_format.scale * self.weight_format.scale
        return self._grid() ** self._arithmetic.degree

    @cached_property
    def geometry(self) -> Geometry:
        """How it moves over an image; checks, bills and proofs all ask for it."""
        return Geometry((self.weights.shape[1], self.weights.shape[2]), **_moves(self))

    @property
    def _arithmetic(self) -> Arithmetic:
        return DATAPATHS[self.datapath].arithmetic

    def _grid(self) -> float:
        """The scale that both operands are brought to where they share one."""
        return min(self.input_format.scale, self.weight_format.scale)

    def _operand_ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Smallest and largest of both operands as they enter a term, aligned to one scale where it wants that.

        Where only differences count, the weights take all zero points and inputs are codes.
        """
        x, w = self.input_format, self.weight_format
        x_places, w_places = self.places()
        zero, of_weights = self._zero_points
        least, most = (0, 0) if of_weights is None else (int(of_weights.min()), int(of_weights.max()))
        kept = zero if self._arithmetic.shared_scale else 0
        inputs = x.minimum - zero + kept << x_places, x.maximum - zero + kept << x_places
        if self._arithmetic.codec.uniform:
            return inputs, (w.minimum - most + kept << w_places, w.maximum - least + kept << w_places)
        largest = self._arithmetic.codec.largest(self._weight_bits())
        return inputs, (-largest, largest)

    def _weight_bits(self) -> int:
        """Bits in which a weight is stored."""
        return self._arithmetic.codec.stored_bits(self.weight_format)

    def places(self) -> Pair:
        """Places by which input and weights shift up to the common scale."""
        if not self._arithmetic.shared_scale:
            return 0, 0
        scale = self._grid()
        return round(math.log2(self.input_format.scale / scale)), round(math.log2(self.weight_format.scale / scale))

    def operand_bits(self) -> int:
        """Width of the datapath's operands: one code type that holds both, or an input shifted by the largest weight."""
        record = self._arithmetic
        if self.multiplier is not None:
            return TABLE_BITS
        if record.activation_bits is not None:
            return record.activation_bits
        if not record.codec.uniform:
            return self.input_format.bits + (record.codec.largest(self._weight_bits()) - 1).bit_length()
        if not record.shared_scale:
            return max(self.input_format.bits, self.weight_format.bits)
        (x_low, x_high), (w_low, w_high) = self._operand_ends()
        low, high = min(x_low, w_low), max(x_high, w_high)
        return bits_for(low, high, signed=low < 0)

    def tap_operands(self) -> TapOperands:
        """Both operands as an element takes them, less their zero points, before they shift to a common scale."""
        bits, signed = self.input_format.centred
        return TapOperands(bits, self._weight_bits() + (self.weight_zero_points is not None), signed)

    def operand_weights(self, filters: Array) -> Array:
        """Weights of some filters as they enter the datapath, less their zero points: int64."""
        of_weights = self._zero_points[1]
        weights: Array = self.weights[filters].astype(np.int64)
        return weights if of_weights is None else weights - of_weights[filters][:, None, None, None]

    def operands(self, codes: Array, weights: Array) -> tuple[Array, Array]:
        """Codes of the input, and `operand_weights`, as they enter a term: less zero points, on the scale of the sum."""
        x_places, w_places = self.places()
        return (codes.astype(np.int64) - self.input_format.zero_point) << x_places, weights << w_places

    def terms(self, codes: Array, weights: Array) -> Array:
        """What taps add to the sum: int64, from codes of the input and `operand_weights` that broadcast against each other."""
        x, w = self.operands(codes, weights)
        if self.multiplier is not None:
            terms: Array = self.multiplier.by_bytes(*self._formats())[x & 255, w & 255]
        else:
            terms = self._arithmetic.term(x, w)
        return terms.astype(np.int64)

    def bits_bound(self) -> int:
        """Accumulator width that no input and no weights of these formats can overflow."""
        table = self.multiplier
        low, high = table.ends(*self._formats()) if table else self._arithmetic.ends(*self._operand_ends())
        taps = self.weights[0].size
        return bits_for(taps * low, taps * high)

    def bits_needed(self) -> int:
        """Accumulator width that no codes of the input's format overflow, with these weights: what `prove` finds for them."""
        if stands_in(self.weights):
            return self.bits_bound()
        form, (places, of_weights) = self.input_format, self.places()
        low, high = ((code - form.zero_point) << places for code in (form.minimum, form.maximum))
        weights = np.ascontiguousarray(_shift_up(self._plain_weights(), of_weights))
        products = None if self.multiplier is None else self.multiplier.by_bytes(*self._formats())
        bounds = Bounds.of(weights, self._kernel, (low, high), products)
        return bits_for(min(bounds.lowest, 0), max(bounds.highest, 0))

    @property
    def _kernel(self) -> str:
        return self._arithmetic.name if self.multiplier is None else "mac"

    def _formats(self) -> tuple[FixedFormat, FixedFormat]:
        return self.input_format, self.weight_format

    def accumulator_bits(self) -> int:
        """Width of the register: as given, or the bound."""
        return self.accumulator.bits or self.bits_bound()

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        expected = self.input_format
        if given != Value.of(given.shape, expected):
            raise NetworkError(f"layer {self.name}: expects its input in {expected}, layer {self.inputs[0]} gives {given}")
        shape = _window_shape(self, self.weights.shape, given.shape)
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
            return Run(_like_input(found.values, codes), seen)

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
            return Run(None, sums), Run(_like_input(found.values, codes), narrowed)

        return PreparedLayer(run, self._link(both))

    def _link(self, prepared: object) -> Link | None:
        """The step of a chain that this is, where codes enter as they are."""
        return None if self.places()[0] else window_link(prepared)

    def _entry(self) -> Callable[[Array], Array]:
        """Brings codes, as pixels, to the scale of the sum, in a type that holds every code of the input's format there."""
        kind, places = self._operand_type(), self.places()[0]
        return lambda codes: _as_pixels(codes.astype(kind) << places if places else codes)

    def _operand_type(self) -> np.dtype[Any]:
        shifted = self.input_format.bits + self.places()[0]
        return FixedFormat(shifted, self.input_format.signed).dtype

    def _prepared(self, engine: Engine) -> Any:
        with named(self.name):
            return engine.prepare_window(
                self._operand_type(),
                _shift_up(self.weights, self.places()[1]),
                arithmetic=self._kernel,
                products=None if self.multiplier is None else self.multiplier.by_bytes(*self._formats()),
                zero_point=self.input_format.zero_point,
                weight_zero_points=self.weight_zero_points,
                accumulator_bits=self.accumulator.bits,
                overflow=self.accumulator.overflow,
                **_moves(self),
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

    def _plain_weights(self) -> Array:
        """Weights less their zero points; those that stand for weights that nobody knows, as they are."""
        of_weights = self._zero_points[1]
        known = of_weights is not None and not stands_in(self.weights)
        return less_zero_points(self.weights, of_weights) if known else self.weights

    def _nonzero(self) -> tuple[tuple[int, int], ...]:
        return self.nonzero or (_nonzero(self._plain_weights()) if _skips_zeros(self._arithmetic) else ())


def _skips_zeros(arithmetic: Arithmetic) -> bool:
    """Whether a zero weight adds nothing, and is stored as a number like others."""
    return arithmetic.linear and arithmetic.codec.uniform


def _nonzero(weights: Array) -> tuple[tuple[int, int], ...]:
    """For each size of a group of weights in the order of the sum, the most that are not zero.

    Empty where few are zero, and where all are: such weights stand for some that are not there.
    """
    found = 0 if stands_in(weights) else np.count_nonzero(weights)
    if not 0 < found <= (1 - 1 / max(GROUPS)) * weights.size:
        return ()
    rows = weights.reshape(len(weights), -1) != 0
    padded = [np.pad(rows, ((0, 0), (0, -rows.shape[1] % group))).reshape(-1, group) for group in GROUPS]
    return tuple((group, int(one.sum(1).max())) for group, one in zip(GROUPS, padded, strict=True))


def _shift_up(codes: Array, places: int) -> Array:
    """Codes times a power of two, in the smallest type of their sign that holds them."""
    if places == 0:
        return codes
    wide = codes.astype(np.int32) << places
    kinds = ("i1", "i2") if codes.dtype.kind == "i" else ("u1", "u2")
    low, high = wide.min(initial=0), wide.max(initial=0)
    return wide.astype(next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max))
