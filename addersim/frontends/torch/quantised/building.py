"""The program in the making: what waits becomes codes, by the quantiser that takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.integer_layers import FlowLayers, IntegerLayers
from addersim.frontends.torch.quantised.values import Array, Codes, Images, Joined, Mean, Quantiser, Reals, Sum, Sums, Value
from addersim.layers import (
    IntegerAffine,
    IntegerAveragePool,
    IntegerClip,
    IntegerConcat,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerTable,
    Shape,
)
from addersim.layers import Value as LayerValue
from addersim.layers.affine import fixed_multiplier
from addersim.network import INPUT

__all__ = ["RULE", "Building"]

RULE = "ort"
"""The rule that is meant: exact sums times a float scale, ties to even, as XNNPACK and onnxruntime have it too."""
MULTIPLIER_BITS = 32
"""Width of multipliers of sums whose bias is real: the rounding of its codes is then all that there is."""


class Building(FlowLayers):
    """Layers, once something makes codes of the images.

    Attributes
    ----------
    image
        What makes codes of the images.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.image: Quantiser | None = None

    def quantised(self, value: Any, how: Quantiser, name: str) -> Codes:
        """Codes of what waits."""
        match value:
            case Images():
                flow = self._of_images(value, how, name)
            case Reals():
                value = self.unfilled(value, name)
                flow = self._of_codes(value, how, name)
            case Sums():
                flow = self._of_sums(value, how, name)
            case Sum():
                fields = {"first": value.first.form, "second": value.second.form, **self._narrowing(value, how)}
                flow = self.layer(IntegerRescaledAdd, name, value.first.flow, value.second.flow, **fields)
            case Mean():
                flow = self._of_mean(value, how, name)
            case Joined():
                flow = self._of_parts(value, how, name)
            case _:
                raise LoweringError("makes codes of what is neither reals of codes nor images")
        return Codes(_after(flow, value), how)

    def unfilled(self, value: Reals, name: str) -> Reals:
        """Codes among which are no zeros that no layer computed: of those a function would be another one."""
        if not value.flow.fills():
            return value
        placed = self.placed(value.flow, name)
        return replace(value, flow=Flow(placed, value.flow.shape))

    def _narrowing(self, value: Any, how: Quantiser) -> dict[str, Any]:
        return {"output": how.form, "rule": RULE, **how.ends(value.bounds)}

    def _of_images(self, value: Images, how: Quantiser, name: str) -> Flow:
        if self._layers is None:
            self.image = how
            self._layers = IntegerLayers(LayerValue.of(self.shape, how.form))
        elif how != self.image:
            raise LoweringError(
                f"makes codes in {how.form} of images which are codes in {self.image and self.image.form} elsewhere"
            )
        base = Flow(INPUT, self.shape)
        return self._ended(base, how, how.ends(), name)

    def _ended(self, flow: Flow, how: Quantiser, ends: dict[str, int | None], name: str) -> Flow:
        """Codes between two of them, where they end before their format."""
        if set(ends.values()) == {None}:
            return flow
        return self.layer(IntegerClip, f"{name}.ends", flow, output=how.form, **ends)

    def _of_codes(self, value: Reals, how: Quantiser, name: str) -> Flow:
        """A table, a clip, or nothing at all where codes stay what they are."""
        found, same = how.codes(value.held), np.arange(value.form.minimum, value.form.maximum + 1)
        base = _base(value)
        if value.form == how.form:
            low, high = int(found.min()), int(found.max())
            if np.array_equal(found, same):
                return base
            if np.array_equal(found, np.clip(same, low, high)):
                return self.layer(IntegerClip, name, base, output=how.form, **replace(how, low=low, high=high).ends())
        entries = np.ascontiguousarray(found[:, None].astype(how.form.dtype))
        return self.layer(IntegerTable, name, base, function="of the file", source=value.form, output=how.form, codes=entries)

    def plain(self, value: Any, name: str) -> Reals:
        """Reals that are what their format says."""
        if not isinstance(value, Reals):
            raise LoweringError("reads reals that were not made codes; quantise what it reads")
        if value.plain:
            return value
        whole = Quantiser(value.form, value.form.minimum, value.form.maximum)
        found = Reals.of(value.flow, value.form).held[whole.codes(value.held) - value.form.minimum]
        if not np.array_equal(found, value.held):
            raise LoweringError("reads a function of codes that was not made codes again; quantise what it reads")
        return Reals.of(self.quantised(value, whole, f"{name}.codes").flow, value.form)

    def _of_sums(self, value: Sums, how: Quantiser, name: str) -> Flow:
        if value.flow.fills():
            raise LoweringError("makes codes of sums with a border of zeros around them; make codes of the sums first")
        gains = value.step / how.form.scale
        if value.whole is not None:
            narrowing = self._narrowing(value, how)
            return self.layer(IntegerRescale, name, _base(value), bias=value.whole, scale=gains, **narrowing)
        addends = value.bias / how.form.scale + how.form.zero_point
        multiplier, shift = fixed_multiplier(gains, MULTIPLIER_BITS, addends, name)
        fields = {"multiplier": multiplier, "shift": shift, "multiplier_bits": MULTIPLIER_BITS, "output": how.form}
        fields |= {"addend": np.rint(np.ldexp(addends, shift.astype(np.int64))).astype(np.int64)}
        found = self.layer(IntegerAffine, name, _base(value), rounding="half-even", overflow="saturate", **fields)
        return self._ended(found, how, how.ends(value.bounds), found.layer)

    def _of_mean(self, value: Mean, how: Quantiser, name: str) -> Flow:
        source = value.source
        return self.layer(
            IntegerAveragePool,
            name,
            source.flow.image(),
            gain=source.form.scale / how.form.scale,
            multiplier_bits=MULTIPLIER_BITS,
            rounding="half-even",
            source=source.form,
            **self._narrowing(value, how),
            **value.windows,
        )

    def _of_parts(self, value: Joined, how: Quantiser, name: str) -> Flow:
        """Each part as codes of what the whole becomes."""
        flows = []
        for part in value.parts:
            bounded = replace(part, held=np.clip(part.held, *value.bounds)) if value.bounds != (None, None) else part
            flows.append(self.quantised(bounded, how, f"{name}.part").flow.front(value.axis))
        return self.layer(IntegerConcat, name, *flows, output=how.form).back(value.axis)

    def scores(self, value: Sums, name: str) -> Flow:
        """Reals that nothing makes codes of, at the end: in 16 bits, at the least scale that holds all sums there can be."""
        given = self.layers.values[value.flow.layer]
        most = float((np.ldexp(value.step, given.bits - 1) + np.abs(value.bias)).max())
        form = FixedFormat(16, True, most / ((1 << 15) - 1))
        how = Quantiser(form, form.minimum, form.maximum)
        real = value if value.whole is None else replace(value, whole=None, bias=value.whole * value.step)
        return _after(self._of_sums(real, how, name), value)


def _base(value: Value) -> Flow:
    """What the layer gives, before rearrangements that wait."""
    return Flow(value.flow.layer, value.flow.given)


def _after(found: Flow, value: Any) -> Flow:
    """A layer's value with the rearrangements that wait behind what it was made of."""
    if value.flow.layer:
        return replace(found, steps=value.flow.steps)
    return found.reshape(value.flow.given).then(*value.flow.steps)


def held_codes(values: Array) -> Array:
    """Codes of weights in the type that they have, which is one of 8 bits."""
    if values.dtype not in (np.dtype(np.int8), np.dtype(np.uint8)):
        raise LoweringError(f"has weights of type {values.dtype}; read are codes of int8 and uint8")
    return values
