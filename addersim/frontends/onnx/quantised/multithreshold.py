"""FINN's MultiThreshold: how many thresholds of its channel a real reaches, times a step, plus a constant (QONNX 1.0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.errors import FormatError
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.quantised.qdq import quantised
from addersim.frontends.onnx.quantised.qonnx import borderless
from addersim.frontends.onnx.tensors import Array
from addersim.frontends.quantised_functions import per_channel
from addersim.frontends.quantised_values import Reals
from addersim.frontends.quantisers import Quantiser

__all__ = ["OPERATORS"]

MOST_BITS = 16
LAYOUTS = {2: ("NC",), 3: ("NCW", "NWC"), 4: ("NCHW", "NHWC")}
_UNNAMED = {2: "NC", 3: "NWC", 4: "NCHW"}
"""The layout of values of so many axes where none is named: custom_op/general/multithreshold.py, execute_node."""


@dataclass(frozen=True, slots=True)
class _Counted(Quantiser):
    """Codes by thresholds of reals, ``(channels, levels)`` or ``(1, levels)``, each of which adds some steps."""

    thresholds: Array | None = None
    each: int = 1

    @property
    def to_nearest(self) -> bool:
        return False

    def codes(self, reals: Array) -> Array:
        assert self.thresholds is not None
        rows = self.thresholds
        wide = np.broadcast_to(reals, (*reals.shape[:-1], max(reals.shape[-1], len(rows))))
        found = np.empty(wide.shape, np.int32)
        for channel in range(wide.shape[-1]):
            row = rows[channel if len(rows) > 1 else 0]
            found[..., channel] = np.searchsorted(row, wide[..., channel], side="right")
        return self.low + self.each * found


def _multi_threshold(call: QuantisedCall) -> Any:
    call.plain.only("out_dtype", "out_scale", "out_bias", "data_layout")
    flow = flow_of(call.input(0))
    if flow is None:
        call.fail("counts thresholds of a constant; fold it first")
    thresholds = call.constant(1).astype(np.float32)
    if thresholds.ndim != 2 or not thresholds.size or np.isnan(thresholds).any():
        call.fail(f"thresholds {call.name_of(1)!r} have shape {thresholds.shape}; expected numbers, (channels, levels)")
    _check_channels(call, flow, len(thresholds))
    step, first = (float(call.plain.attribute(name, default)) for name, default in (("out_scale", 1.0), ("out_bias", 0.0)))
    each = next((one for one in (1, 2) if step > 0 and (first / step * one).is_integer()), 0)
    if not each or not np.isfinite(step):
        call.fail(f"out_scale {step:g} and out_bias {first:g}; expected a bias of whole or half steps")
    low = int(first / step * each)
    high = low + each * thresholds.shape[1]
    bits = bits_for(min(low, 0), max(high, 0), signed=low < 0)
    if bits > MOST_BITS:
        call.fail(f"gives codes of {low}..{high}; at most {MOST_BITS} bits are read")
    try:
        form = FixedFormat(bits, low < 0, float(np.float32(step / each)))
    except FormatError as error:
        return call.fail(str(error))
    how = _Counted(form, low, high, "thresholds", thresholds=np.sort(thresholds, axis=1), each=each)
    found = quantised(call, borderless(call), how)
    return Reals(found.flow, found.form)


def _check_channels(call: QuantisedCall, flow: Any, rows: int) -> None:
    """Refuse thresholds of channels that are not those of the layer that gives the value."""
    rank = flow.rank + 1
    layout = str(call.plain.attribute("data_layout", "")) or _UNNAMED.get(rank, "")
    if layout not in LAYOUTS.get(rank, ()):
        call.fail(
            f"attribute data_layout: {layout!r} of images x {flow.shape}; read are {', '.join(LAYOUTS.get(rank, ('NC',)))}"
        )
    if rows > 1:
        along = [rows if place == layout.index("C") else 1 for place in range(rank)]
        per_channel(np.zeros(along, np.float32), flow, flow.given[0])


OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {f"{domain}.custom_op.general.MultiThreshold": _multi_threshold for domain in ("qonnx", "finn")}
)
