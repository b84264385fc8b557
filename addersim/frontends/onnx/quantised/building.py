"""The program in the making: real values that wait become codes, by the quantiser that takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.integer_layers import FlowLayers, IntegerLayers
from addersim.frontends.onnx.quantised.rounding import Quantiser
from addersim.frontends.onnx.quantised.thresholds import thresholds_of
from addersim.frontends.onnx.quantised.values import Codes, Function, Images, Mean, Product, Reals, Sum, Sums
from addersim.layers import (
    IntegerAveragePool,
    IntegerClip,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerRescaledProduct,
    IntegerTable,
    IntegerThresholds,
    Shape,
    Value,
)

__all__ = ["SIGNS", "Building"]

Array = np.ndarray[Any, Any]
SIGNS = 1
"""Bits of codes that are signs alone: -1 for minus, 0 for plus, as layers of arithmetic ``xnor`` take them."""


class Building(FlowLayers):
    """Layers, and what the images become before the first of them.

    Attributes
    ----------
    image
        Format of the images' codes, once something makes them.
    signed_image
        Whether images of whole numbers have a sign.
    functions
        What the file does to images before they become codes.
    """

    def __init__(self, shape: Shape, signed_image: bool = False) -> None:
        super().__init__(shape)
        self.signed_image = signed_image
        self.image: FixedFormat | None = None
        self.functions: tuple[Function, ...] = ()

    def start(self, form: FixedFormat, functions: tuple[Function, ...] = ()) -> None:
        """Say what codes the images become."""
        if self._layers is None:
            self.image, self.functions = form, functions
            self._layers = IntegerLayers(Value.of(self.shape, form))
        elif form != self.image or functions != self.functions:
            raise LoweringError(f"makes codes in {form} of images, which become others, {self.image}, elsewhere")

    def quantised(self, value: Any, how: Quantiser, name: str) -> Codes | Reals:
        """Codes of what waits; of signs `Reals` whose codes are signs."""
        match value:
            case Images():
                return self._of_images(value, how, name)
            case Reals():
                return self._of_codes(value, how, name)
            case Sums():
                return self._of_sums(value, how, name)
            case Sum() | Product() | Mean():
                return self._of_several(value, how, name)
        raise LoweringError("makes codes of what is neither reals of codes nor images")

    def _of_images(self, value: Images, how: Quantiser, name: str) -> Codes | Reals:
        self.start(how.form, value.functions)
        flow = value.flow
        if how.signs and how.form.bits != SIGNS:
            raise LoweringError("makes signs of images that meet weights of several values; this is not read")
        if (how.low, how.high) != (how.form.minimum, how.form.maximum) and not how.signs:
            flow = _after(self.layer(IntegerClip, name, _base(flow), output=how.form, **_ends(how)), flow)
        return self._codes(flow, how)

    def _codes(self, flow: Flow, how: Quantiser) -> Codes | Reals:
        return self.signs(flow, how.form) if how.signs else Codes(flow, how.form)

    def signs(self, flow: Flow, form: FixedFormat) -> Reals:
        """Reals of codes of signs."""
        if form.bits != SIGNS:
            return Reals(flow, form, signs=True)
        return Reals(flow, form, np.array([[-1], [1]], np.float32) * np.float32(form.scale), signs=True)

    def _of_codes(self, value: Reals, how: Quantiser, name: str) -> Codes | Reals:
        """A table; a clip or nothing at all where codes stay what they are."""
        found = how.codes(value.held)
        found = np.minimum(found, 0) if how.signs and how.form.bits == SIGNS else found
        same = np.arange(value.form.minimum, value.form.maximum + 1, dtype=np.int32)[:, None]
        if value.form == how.form and np.array_equal(found, np.broadcast_to(same, found.shape)):
            return self._codes(value.flow, how)
        low, high = int(found.min()), int(found.max())
        if value.form == how.form and np.array_equal(found, np.broadcast_to(np.clip(same, low, high), found.shape)):
            fields: dict[str, Any] = {"output": how.form, "low": low, "high": high}
            return self._codes(_after(self.layer(IntegerClip, name, _base(value.flow), **fields), value.flow), how)
        entries = np.ascontiguousarray(found.astype(how.form.dtype))
        table = {"function": "of the file", "source": value.form, "output": how.form, "codes": entries}
        return self._codes(_after(self.layer(IntegerTable, name, _base(value.flow), **table), value.flow), how)

    def plain(self, value: Reals, name: str) -> Reals:
        """The same reals as codes that stand for them by their format alone."""
        if value.table is None:
            return value
        if value.signs:
            form = FixedFormat(2, True, value.form.scale)
            found = self._of_codes(value, Quantiser(form, -1, 1, signs=True), f"{name}.signs")
            return Reals(found.flow, form, signs=True)
        how = Quantiser(value.form, value.form.minimum, value.form.maximum)
        steps = (how.codes(value.table) - value.form.zero_point).astype(np.float32)
        if not np.array_equal(steps * np.float32(value.form.scale), value.table):
            raise LoweringError("reads a function of codes that was not made codes again; quantise what it reads")
        codes = self._of_codes(value, how, f"{name}.codes")
        return Reals(codes.flow, value.form)

    def _of_sums(self, value: Sums, how: Quantiser, name: str) -> Codes | Reals:
        base = _base(value.flow)
        exact = how.rule == "ort" or not value.bias.any()  # QONNX adds a bias of reals, after they were rounded
        if how.signs or value.functions or not how.rule or not exact:
            fields: dict[str, Any] = thresholds_of(value, how, self.layers.values[base.layer].shape[0])
            return self._codes(_after(self.layer(IntegerThresholds, name, base, **fields), value.flow), how)
        scale = value.step.astype(np.float32) / np.float32(how.form.scale)
        reals = scale.astype(np.float64) if how.rule == "ort" else value.step.astype(np.float64) / how.form.scale
        fields = {"bias": value.bias, "scale": reals, "rule": how.rule, "output": how.form}
        found = self.layer(IntegerRescale, name, base, **fields, **_bounds(value, how))
        return self._codes(_after(found, value.flow), how)

    def _of_several(self, value: Sum | Product | Mean, how: Quantiser, name: str) -> Codes | Reals:
        if how.signs or not how.rule:
            raise LoweringError(f"makes codes of a {type(value).__name__.lower()} of codes by {how.mode or 'signs'}: not read")
        fields: dict[str, Any] = {"output": how.form, "rule": how.rule} | _bounds(value, how)
        if isinstance(value, Mean):
            found = self._mean(value, how, name, fields)
        else:
            first, second = (self.plain(one, name) for one in (value.first, value.second))
            fields |= {"first": first.form, "second": second.form}
            if isinstance(value, Sum):
                found = self.layer(IntegerRescaledAdd, name, first.flow, second.flow, **fields)
            else:
                scale = np.float32(first.form.scale) * np.float32(second.form.scale) / np.float32(how.form.scale)
                fields["scale"] = float(scale)
                found = self.layer(IntegerRescaledProduct, name, first.flow, second.flow, **fields)
        return self._codes(_after(found, value.flow), how)

    def _mean(self, value: Mean, how: Quantiser, name: str, fields: dict[str, Any]) -> Flow:
        source = self.plain(value.source, name)
        return self.layer(
            IntegerAveragePool,
            name,
            source.flow.image(),
            gain=source.form.scale / how.form.scale,
            multiplier_bits=32,
            rounding="half-even",
            source=source.form,
            operator="reduction" if value.whole else "pool",
            **fields,
            **value.windows,
        )

    def finished(self, ends: Sequence[Flow], titles: Sequence[str]) -> tuple[Any, ...]:
        """The layers that the outputs need, in order."""
        return self.layers.finished([self.placed(flow, title) for flow, title in zip(ends, titles, strict=True)], titles)


def _base(flow: Flow) -> Flow:
    return Flow(flow.layer, flow.given)


def _after(found: Flow, flow: Flow) -> Flow:
    """A layer's value with the rearrangements that wait behind another one's."""
    return replace(found, steps=flow.steps)


def _ends(how: Quantiser) -> dict[str, int | None]:
    """Ends of codes, None where they are the format's."""
    low, high = how.low, how.high
    return {"low": low if low > how.form.minimum else None, "high": high if high < how.form.maximum else None}


def _bounds(value: Sums | Sum | Product | Mean, how: Quantiser) -> dict[str, int | None]:
    """Codes at which fused functions end. To bound reals and then to round them is the same, for rounding never falls."""
    low = how.low if value.low is None or not math.isfinite(value.low) else max(how.low, how.code(value.low))
    high = how.high if value.high is None or not math.isfinite(value.high) else min(how.high, how.code(value.high))
    return _ends(replace(how, low=low, high=high))
