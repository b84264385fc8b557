"""What enters the datapath of a window on codes: its operands, their widths, and the register that holds every sum."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from addersim.arithmetic.arithmetics import ARITHMETICS, BY_TABLE, Arithmetic
from addersim.arithmetic.datapaths import DATAPATHS, TABLE_BITS
from addersim.arithmetic.fixed import Accumulator, FixedFormat, bits_for
from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.kernels.sums import Bounds
from addersim.kernels.zero_points import less_zero_points
from addersim.layers.base import Array, IntegerLayer, Pair
from addersim.layers.window_moves import moves_of
from addersim.storage import stands_in
from addersim.trace import GROUPS, TapOperands

__all__ = ["WindowOperands", "nonzero_groups", "shift_up", "skips_zeros"]


class WindowOperands(IntegerLayer, frozen=True, dict=True):
    """What a window on codes is made of: a datapath, weight codes, a register; and what follows for both operands of a tap.

    Attributes
    ----------
    weights
        Codes, shape ``(filters, kernel height, kernel width, channels / groups)``. Where only shapes matter they are zeros
        without memory; what is known of theirs is `nonzero`, as in `addersim.trace.LayerTrace`.
    weight_zero_points
        Of each filter, int32; None where all are zero.
    multiplier
        Table that the products are taken from, or None where they are exact.

    Operands are codes less their zero points, that of `input_format` and those of the weights. That is what the sums are.
    Hardware multiplies the codes themselves and adds the constant that is then due, the input's zero point times the sum of a
    filter's weights, with the addend of what follows (`Value.constant_due`); what weights with zero points owe is in the bill.
    Where the datapath wants one scale for both operands, the finer one is the scale of the sum and the coarser operand is
    shifted to it.
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

    @property
    def _zero_points(self) -> tuple[int, Array | None]:
        """Of the input, and of the weights where they have any."""
        of_weights = self.weight_zero_points
        return self.input_format.zero_point, of_weights if of_weights is not None and of_weights.any() else None

    @property
    def multiplies(self) -> bool:
        """Whether it has a multiplier for any two codes, exact or from a table."""
        return self._arithmetic is ARITHMETICS["mac"] or self._arithmetic is BY_TABLE

    @property
    def scale(self) -> float:
        """Real value of one accumulator step."""
        if self._arithmetic.linear:
            return self.input_format.scale * self.weight_format.scale
        return self._grid() ** self._arithmetic.degree

    @cached_property
    def geometry(self) -> Geometry:
        """How it moves over an image; checks, bills and proofs all ask for it."""
        return Geometry((self.weights.shape[1], self.weights.shape[2]), **moves_of(self))

    @property
    def _arithmetic(self) -> Arithmetic:
        return DATAPATHS[self.datapath].arithmetic

    @property
    def _kernel(self) -> str:
        return self._arithmetic.name if self.multiplier is None else "mac"

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
        weights = np.ascontiguousarray(shift_up(self._plain_weights(), of_weights))
        products = None if self.multiplier is None else self.multiplier.by_bytes(*self._formats())
        bounds = Bounds.of(weights, self._kernel, (low, high), products)
        return bits_for(min(bounds.lowest, 0), max(bounds.highest, 0))

    def _formats(self) -> tuple[FixedFormat, FixedFormat]:
        return self.input_format, self.weight_format

    def accumulator_bits(self) -> int:
        """Width of the register: as given, or the bound."""
        return self.accumulator.bits or self.bits_bound()

    def _plain_weights(self) -> Array:
        """Weights less their zero points; those that stand for weights that nobody knows, as they are."""
        of_weights = self._zero_points[1]
        known = of_weights is not None and not stands_in(self.weights)
        return less_zero_points(self.weights, of_weights) if known else self.weights


def skips_zeros(arithmetic: Arithmetic) -> bool:
    """Whether a zero weight adds nothing, and is stored as a number like others."""
    return arithmetic.linear and arithmetic.codec.uniform


def nonzero_groups(weights: Array) -> tuple[tuple[int, int], ...]:
    """For each size of a group of weights in the order of the sum, the most that are not zero.

    Empty where few are zero, and where all are: such weights stand for some that are not there.
    """
    found = 0 if stands_in(weights) else np.count_nonzero(weights)
    if not 0 < found <= (1 - 1 / max(GROUPS)) * weights.size:
        return ()
    rows = weights.reshape(len(weights), -1) != 0
    padded = [np.pad(rows, ((0, 0), (0, -rows.shape[1] % group))).reshape(-1, group) for group in GROUPS]
    return tuple((group, int(one.sum(1).max())) for group, one in zip(GROUPS, padded, strict=True))


def shift_up(codes: Array, places: int) -> Array:
    """Codes times a power of two, in the smallest type of their sign that holds them."""
    if places == 0:
        return codes
    wide = codes.astype(np.int32) << places
    kinds = ("i1", "i2") if codes.dtype.kind == "i" else ("u1", "u2")
    low, high = wide.min(initial=0), wide.max(initial=0)
    return wide.astype(next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max))
