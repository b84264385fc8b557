"""Codes as torch's backend ``fbgemm`` makes them, in float32, by layers of whole numbers that give the same.

What its operators compute was found by trying, on millions of codes of torch 2.13: sums plus the bias over the step, times a
factor, ties to even; sums of two values by fused multiply-adds of raw codes, times the reciprocal of the scale; means of raw
codes, ties to even (of windows that move over whole vectors of channels: of codes less their zero point). All that a layer
can be given is tried, so that its constants, or its rule of rounding, are those with which no code differs; where there are
none, those with which fewest do, and the program says so.

Sums are exact here. Those of fbgemm's depthwise kernels saturate pairs of products at 16 bits, which activations of 7 bits
(``reduce_range``, its default) never reach.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from msgspec.structs import replace as replaced

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.errors import AddersimError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_building import QuantisedBuilding
from addersim.frontends.quantised_multipliers import MULTIPLIER_BITS
from addersim.frontends.quantised_thresholds import thresholds_of
from addersim.frontends.quantised_values import Mean, Product, Sum, Sums
from addersim.frontends.quantisers import Quantiser
from addersim.layers import AveragePool, IntegerAffine, IntegerAveragePool, IntegerLayer, IntegerRescaledAdd
from addersim.layers.affine import fixed_multiplier
from addersim.network import INPUT

__all__ = ["FbgemmBuilding"]

Array = np.ndarray[Any, Any]
Trial = tuple[IntegerLayer, list[Array], Array]
"""A layer of some rule, what it is given, and the codes that it should give."""
MOST_SUMS = 1 << 14
"""Sums of a mean that are tried."""
VECTOR = 16
"""Channels that torch averages at once with AVX-512, on which this was tried."""
_F = np.float32
_FAR = np.int64(1) << 62
_NUDGES = (0, *(sign * size for size in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) for sign in (1, -1)))
"""What is added to a multiplier, in units of its last bit, to find one that fits."""


class FbgemmBuilding(QuantisedBuilding):
    """As `QuantisedBuilding`, with the codes of fbgemm.

    Attributes
    ----------
    apart
        Layers of which no rule gives all codes of fbgemm, and how many of the tried codes are others.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.apart: dict[str, str] = {}

    def _of_sums(self, value: Sums, how: Quantiser, name: str) -> Flow:
        if how.form.bits > 8 or value.functions:  # scores; functions of sums fbgemm has none of
            return super()._of_sums(value, how, name)
        fields, apart = _multiplied(value, how, name)
        if apart:
            self.apart[name] = f"{apart} sums"
        fields |= {"multiplier_bits": MULTIPLIER_BITS, "output": how.form, "rounding": "half-even", "overflow": "saturate"}
        flow = self.layer(IntegerAffine, name, Flow(value.flow.layer, value.flow.given), **fields)
        return self._ended(flow, how, f"{flow.layer}.ends", low=value.low, high=value.high)

    def _of_several(self, value: Any, how: Quantiser, name: str) -> Flow:
        if isinstance(value, Sum) and not value.subtract:  # fbgemm has no differences: torch makes those of reals
            how = self._chosen([_sums_of_two(value, how)], how, name)
        elif isinstance(value, Mean):
            how = self._chosen(_means(value, how), how, name)
        elif isinstance(value, Product):
            how = replace(how, wanted=how.rule)  # products of whole numbers, scaled
        return super()._of_several(value, how, name)

    def _chosen(self, trials: Sequence[Trial], how: Quantiser, name: str) -> Quantiser:
        """The rule with which most codes of a layer are the expected ones."""
        found: dict[str, int] = {}
        for rule in RULES:
            with contextlib.suppress(AddersimError):  # not every rule has every pool
                runs = [(replaced(layer, rule=rule).run(kernels, *inputs).values, codes) for layer, inputs, codes in trials]
                found[rule] = sum(int(np.count_nonzero(run != codes)) for run, codes in runs)
        rule = min(found, key=lambda one: (found[one], one != how.rule))
        if found[rule]:
            self.apart[name] = f"{found[rule]} of {sum(codes.size for _, _, codes in trials)}"
        return replace(how, wanted=rule)


def _sums_of_two(value: Sum, how: Quantiser) -> Trial:
    """A layer of some rule, all pairs of codes, and what fbgemm makes of them."""
    first, second, ends = value.first.form, value.second.form, how.ends(value.low, value.high)
    fields: dict[str, Any] = {"first": first, "second": second, "rule": "ort", "output": how.form, **ends}
    pairs = [one.reshape(1, 1, -1, 1) for one in np.meshgrid(_all(first), _all(second))]
    reals = _fused(pairs[0], first) + _fused(pairs[1], second)
    steps = np.rint(reals * _F(1.0 / how.form.scale)) + how.form.zero_point
    return IntegerRescaledAdd(name="sum", inputs=("a", "b"), twin=None, **fields), pairs, _within(steps, how, ends)


def _means(value: Mean, how: Quantiser) -> list[Trial]:
    """Layers of some rule, windows of codes with all sums, or many of them, and what fbgemm makes of their means.

    One for each number of codes that windows have: some meet fewer at an edge, where padding does not count.
    """
    shape = value.source.flow.image().shape
    given = {key: one for key, one in value.windows.items() if key != "operator"}
    counts = AveragePool(name="mean", inputs=("a",), **given).counts(shape)
    whole = "kernel" not in value.windows
    return [_means_of(value, how, shape[1:] if whole else (1, count), whole) for count in counts]


def _means_of(value: Mean, how: Quantiser, kernel: tuple[int, ...], whole: bool) -> Trial:
    form, count = value.source.form, int(np.prod(kernel))
    ends: dict[str, Any] = how.ends(value.low, value.high)
    fields: dict[str, Any] = {"operator": value.windows["operator"]} | ({} if whole else {"kernel": kernel})
    fields |= {"gain": form.scale / how.form.scale, "multiplier_bits": MULTIPLIER_BITS, "rounding": "half-even"}
    layer = IntegerAveragePool(
        name="mean", inputs=("a",), twin=None, source=form, output=how.form, rule="ort", **fields, **ends
    )
    sums = np.unique(np.linspace(form.minimum * count, form.maximum * count, MOST_SUMS).astype(np.int64))
    each, rest = np.divmod(sums, count)
    codes = (each[:, None] + (np.arange(count) < rest[:, None])).astype(form.dtype)
    steps = np.stack(
        [np.rint((sums - zero * count).astype(_F) * _F(1 / count)) + zero for zero in _taken_off_means(value)], axis=1
    )  # a column a kind of channels
    across = 1 if whole else 2  # a window that moves sees a part: a rule may round the whole image otherwise
    images = np.repeat(codes.reshape(len(sums), *kernel, 1), steps.shape[1], axis=3)
    expected = _within(steps, how, ends)[:, None, None, :]
    return layer, [np.tile(images, (1, 1, across, 1))], np.tile(expected, (1, 1, across, 1))


def _taken_off_means(value: Mean) -> tuple[int, ...]:
    """Zero points that are taken off codes before their means are rounded, of each kind of channels there is.

    Of windows that move over a layer's channels, which lie side by side, whole vectors have it taken off; channels that are
    left over do not, nor do images, whose channels lie apart.
    """
    channels = value.source.flow.shape[0]
    if "stride" not in value.windows or value.source.flow.layer == INPUT or channels < VECTOR:
        return (0,)
    zero = value.source.form.zero_point
    return (
        (zero,) if channels % VECTOR == 0 else (zero, zero, 0)
    )  # twice, for they are more: no rule gives both, and theirs counts


def _within(steps: Array, how: Quantiser, ends: dict[str, int | None]) -> Array:
    low, high = ends["low"], ends["high"]
    return np.clip(steps, how.form.minimum if low is None else low, how.form.maximum if high is None else high)


def _all(form: FixedFormat) -> Array:
    return np.arange(form.minimum, form.maximum + 1).astype(form.dtype)


def _fused(codes: Array, form: FixedFormat) -> Array:
    """What codes stand for, by one multiply-add of raw codes."""
    scale = _F(form.scale)
    return (codes.astype(np.float64) * float(scale) - float(scale * _F(form.zero_point))).astype(_F)


def _line(value: Sums, how: Quantiser) -> tuple[Array, Array]:
    """What fbgemm adds to sums, and by what it multiplies them then, in float32."""
    steps = value.step.astype(np.float32)
    addend = np.zeros(len(steps)) if value.addend is None else value.addend
    for_all = (steps == steps[0]).all()  # one scale of weights, whose reciprocal is held
    over = addend.astype(_F) * (_F(1) / steps) if for_all else addend.astype(_F) / steps
    return value.bias.astype(_F) + over, steps / _F(how.form.scale)


def _multiplied(value: Sums, how: Quantiser, name: str) -> tuple[dict[str, Any], int]:
    """Constants of a multiplier, and of how many sums, of all there can be, it gives another code than fbgemm.

    There are none but where float32 rounds several sums next to a tie in ways that no multiplier and addend have.
    """
    bias, factor = _line(value, how)
    rounding = replace(how, form=FixedFormat(how.form.bits, how.form.signed, 1.0, how.form.zero_point))
    plain = replace(value, step=np.ones_like(factor), bias=np.zeros_like(value.bias), addend=None, low=None, high=None)
    found = thresholds_of(replace(plain, functions=(lambda x: (x + bias) * factor,)), rounding, len(factor))
    gains, addends = factor.astype(np.float64), bias * factor.astype(np.float64) + how.form.zero_point
    multiplier, shift = fixed_multiplier(gains, MULTIPLIER_BITS, addends, name)
    wanted = np.rint(np.ldexp(addends, shift.astype(np.int64))).astype(np.int64)
    held, addend, least = multiplier.astype(np.int64), wanted.copy(), np.full(len(gains), np.iinfo(np.int64).max)
    for nudge in _NUDGES:
        tried = multiplier.astype(np.int64) + nudge
        lows, highs = _addends(found, value.ends, tried, shift.astype(np.int64))
        low, high = lows.max(axis=0), highs.min(axis=0)
        chosen = np.where(low <= high, np.clip(wanted, low, high), (low >> 1) + (high >> 1))
        wrong = np.count_nonzero((lows > chosen) | (highs < chosen), axis=0)
        better = (wrong < least) & (tried > 0) & (tried < 1 << MULTIPLIER_BITS - 1)
        held, addend, least = np.where(better, tried, held), np.where(better, chosen, addend), np.where(better, wrong, least)
        if not least.any():
            break
    return {"multiplier": held.astype(np.int32), "shift": shift, "addend": addend}, int(least.sum())


def _addends(found: dict[str, Any], ends: tuple[Array, Array], times: Array, places: Array) -> tuple[Array, Array]:
    """Least and largest addend with which a multiplier gives each code that thresholds give, of sums between ends."""
    least, most = (np.broadcast_to(end, len(times)).astype(np.int64) for end in ends)
    reached, codes = found["thresholds"], found["first"] + 1 + np.arange(len(found["thresholds"]))[:, None]
    ties, odd = (2 * codes - 1) << np.maximum(places - 1, 0), codes % 2  # a tie between two codes gives the even one
    low = np.where(reached <= most, ties - times * reached + odd, -_FAR)
    high = np.where(reached > least, ties - times * (reached - 1) - (1 - odd), _FAR)
    return low, high
