"""The program in the making: real values that wait become codes, by the quantiser that takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RESULT_LIMIT, RULES
from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.integer_layers import FlowLayers, IntegerLayers
from addersim.frontends.quantised_multipliers import MULTIPLIER_BITS, has_ties, multiplied
from addersim.frontends.quantised_thresholds import thresholds_of
from addersim.frontends.quantised_values import Codes, Function, Images, Joined, Mean, Product, Reals, Sum, Sums
from addersim.frontends.quantisers import Quantiser
from addersim.layers import (
    IntegerAffine,
    IntegerAveragePool,
    IntegerClip,
    IntegerConcat,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerRescaledProduct,
    IntegerTable,
    IntegerThresholds,
    Shape,
    Value,
)

__all__ = ["SIGNS", "QuantisedBuilding", "behind"]

Array = np.ndarray[Any, Any]
SIGNS = 1
"""Bits of codes that are signs alone: -1 for minus, 0 for plus, as layers of arithmetic ``xnor`` take them."""
CODE_BITS = 8
"""Most bits of codes whose thresholds are held."""


class QuantisedBuilding(FlowLayers):
    """Layers, and what the images become before the first of them.

    Attributes
    ----------
    image
        Format of the images' codes, once something makes them.
    signed_image
        Whether images of whole numbers have a sign.
    integer_image
        Whether the file is given codes.
    functions
        What the file does to images before they become codes.
    """

    def __init__(self, shape: Shape, signed_image: bool = False, integer_image: bool = False) -> None:
        super().__init__(shape)
        self.integer_image = integer_image
        self.signed_image = signed_image
        self.image: FixedFormat | None = None
        self.functions: tuple[Function, ...] = ()
        self._plain: dict[tuple[Flow, FixedFormat, bytes], Reals] = {}

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
                found = self._of_images(value, how, name)
            case Reals():
                found = self._of_codes(value, how, name)
            case Sums():
                found = self._of_sums(value, how, name)
            case Sum() | Product() | Mean() | Joined():
                found = self._of_several(value, how, name)
            case _:
                raise LoweringError("makes codes of what is neither reals of codes nor images")
        return self._codes(behind(found, value.flow), how)

    def _codes(self, flow: Flow, how: Quantiser) -> Codes | Reals:
        return self.signs(flow, how.form) if how.signs else Codes(flow, how.form)

    def signs(self, flow: Flow, form: FixedFormat) -> Reals:
        """Reals of codes of signs."""
        if form.bits != SIGNS:
            return Reals(flow, form, signs=True)
        return Reals(flow, form, np.array([[-1], [1]], np.float32) * np.float32(form.scale), signs=True)

    def unfilled(self, value: Reals, name: str) -> Reals:
        """Codes among which are no zeros that no layer computed: a function of those would be another one."""
        if not value.flow.fills():
            return value
        return replace(value, flow=Flow(self.placed(value.flow, name), value.flow.shape))

    def plain(self, value: Any, name: str) -> Reals:
        """Reals that are what their format alone says."""
        if not isinstance(value, Reals):
            raise LoweringError("reads reals that were not made codes; quantise what it reads")
        if value.table is None:
            return value
        key = value.flow, value.form, value.table.tobytes()
        if key not in self._plain:
            self._plain[key] = self._of_function(value, value.table, name)
        return self._plain[key]

    def _of_function(self, value: Reals, table: Array, name: str) -> Reals:
        """Codes of their own for a function of codes, where each of its values is that of one."""
        if value.signs:
            form = FixedFormat(2, True, value.form.scale)
            found = self.quantised(value, Quantiser(form, -1, 1, signs=True), f"{name}.signs")
            return Reals(found.flow, form, signs=True)
        how = Quantiser(value.form, value.form.minimum, value.form.maximum)
        steps = (how.codes(table) - value.form.zero_point).astype(np.float32)
        if not np.array_equal(steps * np.float32(value.form.scale), table):
            raise LoweringError("reads a function of codes that was not made codes again; quantise what it reads")
        return Reals(self.quantised(value, how, f"{name}.codes").flow, value.form)

    def _of_images(self, value: Images, how: Quantiser, name: str) -> Flow:
        if not how.to_nearest and not how.signs:
            raise LoweringError(
                f"makes codes of images by rounding mode {how.mode}; those of images are read that round to nearest"
            )
        self.start(how.form, value.functions)
        if how.signs and how.form.bits != SIGNS:
            raise LoweringError("makes signs of images that meet weights of several values; this is not read")
        return _base(value.flow) if how.signs else self._ended(_base(value.flow), how, name)

    def _ended(self, flow: Flow, how: Quantiser, name: str, **bounds: float | None) -> Flow:
        """Codes between two of them, where they end before their format."""
        ends = how.ends(**bounds)
        return flow if set(ends.values()) == {None} else self.layer(IntegerClip, name, flow, output=how.form, **ends)

    def clipped(self, value: Codes, low: float | None, high: float | None, name: str) -> Codes:
        """Codes between two codes, of which zeros that no layer computed are no part."""
        least, most = value.form.minimum, value.form.maximum
        how = Quantiser(
            value.form,
            least if low is None else int(np.clip(np.ceil(low), least, most)),
            most if high is None else int(np.clip(np.floor(high), least, most)),
        )
        placed = self.unfilled(Reals(value.flow, value.form), name).flow
        return Codes(behind(self._ended(_base(placed), how, name), placed), value.form)

    def _of_codes(self, value: Reals, how: Quantiser, name: str) -> Flow:
        """A table; a clip or nothing at all where codes stay what they are."""
        found, base = how.codes(value.held), _base(value.flow)
        found = np.minimum(found, 0) if how.signs and how.form.bits == SIGNS else found
        same = np.arange(value.form.minimum, value.form.maximum + 1, dtype=np.int32)[:, None]
        if value.form == how.form:
            low, high = int(found.min()), int(found.max())
            if np.array_equal(found, np.broadcast_to(same, found.shape)):
                return base
            if np.array_equal(found, np.broadcast_to(np.clip(same, low, high), found.shape)):
                return self.layer(IntegerClip, name, base, output=how.form, **replace(how, low=low, high=high).ends())
        entries = np.ascontiguousarray(found.astype(how.form.dtype))
        return self.layer(IntegerTable, name, base, function="of the file", source=value.form, output=how.form, codes=entries)

    def _of_sums(self, value: Sums, how: Quantiser, name: str) -> Flow:
        base = _base(value.flow)
        if value.addend is not None:
            return self._of_sums_and_reals(value, value.addend, how, name)
        if how.signs or value.functions or not how.rule:
            return self._by_thresholds(value, how, name)
        scale = value.step / value.step.dtype.type(how.form.scale)
        reals = scale.astype(np.float64) if how.rule == "ort" else value.step.astype(np.float64) / how.form.scale
        fields: dict[str, Any] = {"bias": value.bias, "scale": reals, "rule": how.rule, "output": how.form}
        return self.layer(IntegerRescale, name, base, **fields, **how.ends(value.low, value.high))

    def _by_thresholds(self, value: Sums, how: Quantiser, name: str) -> Flow:
        base = _base(value.flow)
        fields = thresholds_of(value, how, self.layers.values[base.layer].shape[0])
        return self.layer(IntegerThresholds, name, base, **fields)

    def _of_sums_and_reals(self, value: Sums, reals: Array, how: Quantiser, name: str) -> Flow:
        """A multiplier; thresholds where it would round ties to the other code, for it adds an odd zero point before.

        Of functions of sums thresholds are all there is.
        """
        real = replace(value, addend=None, functions=(lambda x: x + reals, *value.functions))
        if value.functions:
            return self._by_thresholds(real, how, name)
        addends = value.bias * value.step / how.form.scale + reals / how.form.scale + how.form.zero_point
        fields = multiplied(value.step / how.form.scale, addends, name)
        if how.form.zero_point % 2 and how.form.bits <= CODE_BITS and has_ties(fields, value.ends):
            return self._by_thresholds(real, how, name)
        rounded = {"rounding": "half-even", "overflow": "saturate"}
        found = self.layer(IntegerAffine, name, _base(value.flow), output=how.form, **fields, **rounded)
        return self._ended(found, how, f"{found.layer}.ends", low=value.low, high=value.high)

    def _of_several(self, value: Sum | Product | Mean | Joined, how: Quantiser, name: str) -> Flow:
        if how.signs or not how.rule:
            raise LoweringError(f"makes codes of a {type(value).__name__.lower()} of codes by {how.mode or 'signs'}: not read")
        if isinstance(value, Joined):
            return self._joined(value, how, name)
        fields: dict[str, Any] = {"output": how.form, "rule": how.rule, **how.ends(value.low, value.high)}
        fused = how.mode == "onnx" and not value.of_floats and how.ends(value.low, value.high) == how.ends()
        if how.mode in ("onnx", "torch") and not (fused or how.wanted):
            fields["rule"] = RULES["onnx"].name  # the framework fuses it with no quantiser
        if isinstance(value, Mean):
            return self._mean(value, how, name, fields)
        first, second = (self.plain(one, name) for one in (value.first, value.second))
        fields |= {"first": first.form, "second": second.form}
        if how.mode in ("onnx", "torch"):
            _check_steps(value, how.form, first.form, second.form)
        if isinstance(value, Sum):
            return self.layer(IntegerRescaledAdd, name, first.flow, second.flow, subtract=value.subtract, **fields)
        fields["scale"] = float(np.float32(first.form.scale) * np.float32(second.form.scale) / np.float32(how.form.scale))
        return self.layer(IntegerRescaledProduct, name, first.flow, second.flow, **fields)

    def _mean(self, value: Mean, how: Quantiser, name: str, fields: dict[str, Any]) -> Flow:
        source = self.plain(value.source, name)
        if how.mode in ("onnx", "torch"):
            _check_steps(value, how.form, source.form)
        return self.layer(
            IntegerAveragePool,
            name,
            source.flow.image(),
            gain=source.form.scale / how.form.scale,
            multiplier_bits=MULTIPLIER_BITS,
            rounding="half-even",
            source=source.form,
            **fields,
            **value.windows,
        )

    def _joined(self, value: Joined, how: Quantiser, name: str) -> Flow:
        """Each part as codes of what the whole becomes."""
        least, most = (np.float32(far if end is None else end) for end, far in ((value.low, -np.inf), (value.high, np.inf)))
        parts = value.parts
        if np.isfinite((least, most)).any():
            parts = tuple(self.unfilled(one, f"{name}.part") for one in parts)
            parts = tuple(replace(one, table=np.clip(one.held, least, most)) for one in parts)
        return self.beside(name, [self.quantised(one, how, f"{name}.part").flow for one in parts], value.axis, how.form)

    def beside(self, name: str, flows: Sequence[Flow], axis: int, form: FixedFormat) -> Flow:
        """Codes of one format along an axis."""
        if len(flows) == 1:
            return flows[0]
        return self.layer(IntegerConcat, name, *(one.front(axis) for one in flows), output=form).back(axis)

    def finished(self, ends: Sequence[Flow], titles: Sequence[str]) -> tuple[Any, ...]:
        """The layers that the outputs need, in order."""
        return self.layers.finished([self.placed(flow, title) for flow, title in zip(ends, titles, strict=True)], titles)


def _base(flow: Flow) -> Flow:
    """What the layer gives, before rearrangements that wait."""
    return Flow(flow.layer, flow.given)


def _check_steps(value: Sum | Product | Mean, output: FixedFormat, *given: FixedFormat) -> None:
    """Refuse scales for which a framework's codes of sums, products and means leave 32 bits before it bounds them."""
    most = [max(form.maximum - form.zero_point, form.zero_point - form.minimum) * form.scale for form in given]
    steps = (math.prod(most) if isinstance(value, Product) else sum(most)) / output.scale
    if steps >= RESULT_LIMIT:
        raise LoweringError(
            f"its scale {output.scale:g} has {steps:.3g} steps in what it reads; at most {RESULT_LIMIT:,} are read"
        )


def behind(found: Flow, flow: Flow) -> Flow:
    """A layer's value with the rearrangements that wait behind what it was made of."""
    if flow.layer:
        return replace(found, steps=flow.steps)
    return found.reshape(flow.given).then(*flow.steps)
