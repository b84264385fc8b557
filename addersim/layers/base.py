"""What every layer kind provides: its float form, its integer form, and the bill of the latter.

Values travel channels last: arrays of shape ``(images, height, width, channels)``, or ``(images, features)`` after flattening.
Shapes are named without images and channels first, as in PyTorch: ``(channels, height, width)`` or ``(features,)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import FixedFormat, Rounding, bits_for, format_name
from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.multiplier import MultiplierPrice
from addersim.arithmetic.ops import OpCounts
from addersim.errors import FormatError, NetworkError
from addersim.inputs.limits import shown
from addersim.quantization.rules import Quantization
from addersim.storage import stands_in
from addersim.trace import MatrixWork, Observed, Operand, TapOperands

__all__ = [
    "Bill",
    "Engine",
    "IntegerLayer",
    "Layer",
    "Node",
    "Plan",
    "Run",
    "Shape",
    "Value",
    "moves_in_words",
    "named",
    "pair",
    "stored_array",
]

_NOTHING = OpCounts()

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Pair = tuple[int, int]
Engine = ModuleType
"""`addersim.kernels` or its slow twin `addersim.kernels.reference`: both have the same functions."""


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False, tag_field="kind"):
    """What a layer is to its network, in float and on codes: a name, and the names of what it reads (``input``: the image)."""

    name: str
    inputs: tuple[str, ...]

    ARITY: ClassVar[int] = 1
    """Number of values that a layer of this kind reads."""
    READS_MORE: ClassVar[bool] = False
    """Whether it also takes any larger number of them."""

    def __post_init__(self) -> None:
        given = len(self.inputs)
        if given < self.ARITY or (given > self.ARITY and not self.READS_MORE):
            allowed = f"at least {self.ARITY}" if self.READS_MORE else self.ARITY
            raise NetworkError(f"layer {self.name}: reads {given} values; a {self.kind()} layer reads {allowed}")

    @classmethod
    def kind(cls) -> str:
        """Name of the kind, as stored and printed."""
        return str(cls.__struct_config__.tag)


class Layer(Node, frozen=True):
    """A float layer: what it reads, and the kind's own fields."""

    KEEPS_SCALE: ClassVar[bool] = False
    """Whether output codes are input codes (perhaps fewer or clamped), so that both must share a scale."""
    KEEPS_SIGN: ClassVar[bool] = False
    """Whether inputs without negative values give outputs without negative values."""
    HAS_OWN_SCALE: ClassVar[bool] = False
    """Whether the range of the outputs follows from the kind, so that no calibration is needed for it."""
    PASSES_CODES: ClassVar[bool] = False
    """Whether outputs are a choice among the inputs that a clamp may precede or follow: both then have one sign."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if not isinstance(value, np.ndarray):
                continue
            if value.dtype.kind != "f":
                raise NetworkError(f"layer {self.name}: {field} is {value.dtype} {value.shape}; expected floats")
            value = value[(slice(0, 1),) * value.ndim] if stands_in(value) else value
            if not np.isfinite(value).all():
                bad = int((~np.isfinite(value)).sum())
                raise NetworkError(f"layer {self.name}: {field} holds {bad} NaN or infinite values of {value.size}")

    def is_never_negative(self, *inputs: bool) -> bool:
        """Whether no output can be negative, from whether that is so of each input."""
        return self.KEEPS_SIGN and all(inputs)

    def own_scale(self, bits: int) -> float:
        """With `HAS_OWN_SCALE`: a scale at which unsigned codes of a width hold whatever comes out."""
        raise NotImplementedError

    def cuts_negatives(self) -> bool:
        """Whether inputs below zero give what zero gives."""
        return False

    def shape(self, *inputs: Shape) -> Shape:
        """Shape of the output, or a NetworkError that says what does not fit."""
        raise NotImplementedError

    def run(self, *values: Array, threads: int | None = None) -> Array:
        """Output in the type of the values, float32 or, for proofs, float64; threads change no result."""
        raise NotImplementedError

    def integer(self, plan: Plan) -> IntegerLayer:
        """The same layer on codes, in the formats of a plan."""
        raise NotImplementedError

    def details(self) -> str:
        """The kind's own settings in a few words, for tables."""
        return ""

    def parameters(self) -> int:
        """Number of trained values."""
        return 0


def _hold_arrays(record: msgspec.Struct) -> None:
    """Make a record's arrays read-only, those of the records in it too; of a part of somebody's array it takes a copy."""
    for field in record.__struct_fields__:
        value = getattr(record, field)
        if isinstance(value, msgspec.Struct):
            _hold_arrays(value)
        elif isinstance(value, np.ndarray) and value.flags.writeable:
            own = value if value.base is None else value.copy(order="K")
            own.setflags(write=False)
            msgspec.structs.force_setattr(record, field, own)


class IntegerLayer(Node, frozen=True, kw_only=True):
    """A layer on integer codes. `twin` names the float layer whose output it approximates, None where there is none.

    Its arrays are read-only from its making on, for it was checked with them, and programs keep what they found of them: who
    wants others makes another layer (``msgspec.structs.replace``).
    """

    twin: str | None

    READS_SUMS: ClassVar[bool] = False
    """Whether it takes what a window's accumulator holds; the others take codes only."""
    TAKES_ZERO_POINTS: ClassVar[bool] = False
    """Whether codes that it reads or gives may have a zero point; the others take code 0 for zero."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _hold_arrays(self)

    def checked_value(self, *inputs: Value) -> Value:
        """As `value`, of inputs, and with an output, that this kind can take at all."""
        for name, given in zip(self.inputs, inputs, strict=True):
            if given.is_sum and not self.READS_SUMS:
                raise NetworkError(
                    f"layer {self.name}: reads the sums of layer {name}, {given}; it takes codes: put an affine layer between"
                )
            self._check_zero_point(f"reads codes of layer {name} with", given)
        found = self.value(*inputs)
        self._check_zero_point("gives codes with", found)
        return found

    def _check_zero_point(self, what: str, value: Value) -> None:
        if value.zero_point and not self.TAKES_ZERO_POINTS:
            raise NetworkError(
                f"layer {self.name}: {what} zero point {value.zero_point}; a {self.kind()} layer takes code 0 for zero: "
                "bring them to zero point 0 before it"
            )

    def value(self, *inputs: Value) -> Value:
        """What comes out, from what goes in: shape, width and scale. Raises NetworkError where the inputs do not fit."""
        raise NotImplementedError

    def with_rounding(self, rule: str, *inputs: Value) -> IntegerLayer:
        """The same layer where it narrows by a requantisation rule, from what goes in; itself where it does not narrow."""
        return self

    def details(self) -> str:
        """What is stored beside the codes, in a few words, for tables."""
        return ""

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        """Output codes, and what was seen on the way."""
        raise NotImplementedError

    def bill(self, output: Value, *inputs: Value) -> Bill:
        """What the hardware does for one image."""
        raise NotImplementedError


class Value(NamedTuple):
    """A value between integer layers, for one image: its shape, and the width, sign, scale and zero point of its codes.

    With `is_sum` they are what a window's accumulator holds, which an affine layer narrows to codes; with `constant_due`
    hardware still has to add a constant of each channel there, which costs nothing where what follows adds one anyway.
    """

    shape: Shape
    bits: int
    signed: bool
    scale: float
    is_sum: bool = False
    zero_point: int = 0
    constant_due: bool = False

    @classmethod
    def of(cls, shape: Shape, fixed: FixedFormat) -> Value:
        """A value in a fixed-point format."""
        return cls(shape, fixed.bits, fixed.signed, fixed.scale, zero_point=fixed.zero_point)

    @property
    def words(self) -> int:
        """Number of codes."""
        return math.prod(self.shape)

    def decode(self, codes: Array) -> Array:
        """Real values of codes, float32."""
        steps = codes if self.zero_point == 0 else codes.astype(np.int32) - np.int32(self.zero_point)
        reals: Array = steps * np.float32(self.scale)
        return reals

    @property
    def correction(self) -> OpCounts:
        """What it costs to add the constants that are due, where nothing else is added."""
        return OpCounts({("add", self.bits): self.words}) if self.constant_due else _NOTHING

    @property
    def operand(self) -> Operand:
        """The codes as a stream of words."""
        return Operand(self.words, self.bits)

    def __str__(self) -> str:
        if self.bits <= 16:
            return format_name(self.bits, self.signed, self.scale, self.zero_point)
        return f"{'s' if self.signed else 'u'}{self.bits}*{self.scale:.4g}"


@dataclass(frozen=True, slots=True)
class Run:
    """Output codes of an integer layer, None where they streamed into the next; `observed` where overflow was possible.

    `zeros` are what `addersim.zeros.Zeros` holds of the codes, where they were counted on the way.
    """

    values: Array | None
    observed: Observed | None = None
    zeros: tuple[int, int, int, tuple[int, ...]] | None = None


class Bill(NamedTuple):
    """What an integer layer does for one image in hardware.

    `left_out`: products of an operation that no layer computes, so that nothing is billed; 0 where they are not known.
    `tap_operands`, `nonzero`, `multiplier`: as in `addersim.trace.LayerTrace`.
    """

    hardware: OpCounts
    weights: Operand = Operand(0, 0)
    work: MatrixWork | None = None
    datapath: str | None = None
    accumulator_bits: int | None = None
    operand_bits: int | None = None
    tap_operands: TapOperands | None = None
    left_out: int | None = None
    nonzero: tuple[tuple[int, int], ...] = ()
    multiplier: MultiplierPrice | None = None

    @property
    def paper(self) -> OpCounts:
        """The same in the paper's convention: a datapath's taps, everything else free."""
        if self.datapath is None or self.work is None or self.operand_bits is None:
            return _NOTHING
        return DATAPATHS[self.datapath].paper_bill(self.work.taps, self.operand_bits)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `quantize` has decided when it asks a layer for its integer form.

    Attributes
    ----------
    formats
        Format of every value that is stored as codes, by layer name (``input`` included).
    scales
        Real value of code 1 of every value, those of window layers (which have no format) included.
    how
        The user's rules.
    twins
        Name of the layer of the original network that a layer stands for, where it has one. A narrowing that only ReLU
        layers read has none: its clamp is the ReLU already.
    calibrated
        False where only shapes matter: weights become an all-zero array without memory.
    """

    formats: Mapping[str, FixedFormat]
    scales: Mapping[str, float]
    how: Quantization
    twins: Mapping[str, str]
    calibrated: bool = True

    def rounding(self, name: str) -> Rounding:
        """How a value becomes the codes of its format."""
        return self.formats[name].rounding_for(self.how.rounding)


@contextmanager
def named(layer: str) -> Iterator[None]:
    """Says which layer it is that an engine refuses, or whose sums leave what a rule takes."""
    try:
        yield
    except FormatError as error:
        raise NetworkError(f"layer {layer}: {error}") from None


def observe(minimum: int, maximum: int, overflowed: int, outputs: int) -> Observed:
    """Record of a layer's extremes with the two's-complement width that they need."""
    return Observed(minimum, maximum, overflowed, outputs, bits_for(minimum, maximum))


def pair(value: Any, what: str, least: int = 0) -> Pair:
    """Two whole numbers (vertical, horizontal) from one number or two, as torch modules hold them."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or not (isinstance(both[0], int) and isinstance(both[1], int) and min(both) >= least):
        raise NetworkError(f"{what}: {shown(value)} is not one or two whole numbers of at least {least}")
    return both


def moves_in_words(geometry: Geometry) -> list[str]:
    """What of a window's moves is not as usual; ``pad 0,1`` is none before and one after the image, ``pad 0x1`` by axis."""
    sides = [geometry.sides(axis) for axis in range(2)]
    padding = _by_axis(*(f"{before}" if before == after else f"{before},{after}" for before, after in sides))
    stride, dilation = _by_axis(*geometry.stride), _by_axis(*geometry.dilation)
    usual = {
        "stride": (stride, "1"),
        "pad": (padding, "0"),
        "dilation": (dilation, "1"),
        "groups": (str(geometry.groups), "1"),
    }
    return [f"{what} {found}" for what, (found, common) in usual.items() if found != common]


def _by_axis(vertical: object, horizontal: object) -> str:
    return str(vertical) if vertical == horizontal else f"{vertical}x{horizontal}"


def stored_array(tensor: Any, dtype: str = "float32") -> Array:
    """A torch tensor (or an array) as a contiguous array of its own; torch itself is not needed."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().numpy()
    return np.array(tensor, dtype=dtype, order="C")
