"""Pools over what codes stand for: maxima, which are codes again, and means, which wait for their quantiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.convolutions import pads
from addersim.frontends.onnx.quantised.call import QuantisedCall, flow_of
from addersim.frontends.onnx.quantised.windows import weighted
from addersim.frontends.quantised_values import Coded, Codes, Mean, Reals, Sums
from addersim.layers import IntegerMaxPool, MaxPool, Shape

__all__ = ["OPERATORS"]


def _windows(call: QuantisedCall, *known: str) -> tuple[Flow, dict[str, Any]]:
    """How a pool's window moves, over an image or a row of one."""
    plain = call.plain
    plain.only(
        "auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides", "storage_order", *known, channels_last=0
    )
    flow = flow_of(call.input(0))
    if flow is None or flow.rank not in (2, 3):
        return call.fail("pools what is no image or signal")
    axes, row = flow.rank - 1, flow.rank == 2
    kernel, stride = plain.sizes("kernel_shape", axes), plain.sizes("strides", axes)
    dilation = plain.sizes("dilations", axes)
    if max(dilation) > 1 and str(plain.attribute("auto_pad", "NOTSET")).startswith("SAME"):
        call.fail("attribute auto_pad: around dilated windows ONNX Runtime pads otherwise than ONNX says; give pads")
    near, far = pads(plain, flow, kernel, stride, dilation)
    ones: dict[str, tuple[int, ...]] = {"kernel": kernel, "stride": stride, "dilation": dilation}
    zeros: dict[str, tuple[int, ...]] = {"padding": near, "far_padding": far}
    fields: dict[str, Any] = {key: (1, *one) if row else one for key, one in ones.items()}
    fields |= {key: (0, *one) if row else one for key, one in zeros.items()}
    return flow, fields | {"ceil_mode": bool(plain.attribute("ceil_mode", 0))}


def _maximum(call: QuantisedCall) -> Any:
    value = call.input(0)
    if not isinstance(value, (Codes, Reals)) or (isinstance(value, Reals) and value.table is not None):
        value = call.building.plain(call.reals(), call.title)
    flow, how = _windows(call)
    found = call.building.layer(IntegerMaxPool, call.title, value.flow.image(), output=value.form, **how)
    return replace(value, flow=found.like(flow))


def _whole_maximum(call: QuantisedCall) -> Any:
    call.plain.only()
    value = call.input(0)
    value = value if isinstance(value, Codes) else call.building.plain(call.reals(), call.title)
    found = call.building.layer(IntegerMaxPool, call.title, value.flow.image(), output=value.form)
    return replace(value, flow=found.like(value.flow))


def _average(call: QuantisedCall) -> Mean:
    flow, how = _windows(call, "count_include_pad")
    if str(call.plain.attribute("auto_pad", "NOTSET")) == "SAME_UPPER" and _leaves_out(flow.image().shape[1:], how):
        call.fail(
            "attribute auto_pad: around windows that leave pixels out ONNX Runtime does not run it, or pads wrongly; give pads"
        )
    how["count_padding"] = bool(call.plain.attribute("count_include_pad", 0))
    return _mean(call, _pooled_shape(call, flow, how), how | {"operator": "pool"})


def _leaves_out(sizes: Shape, how: dict[str, Any]) -> bool:
    """Whether as many windows as strides fit reach less far than the image along some axis."""
    along = zip(sizes, how["kernel"], how["stride"], how["dilation"], strict=True)
    return any((-(-size // step) - 1) * step + (taps - 1) * apart + 1 < size for size, taps, step, apart in along)


def _whole_average(call: QuantisedCall) -> Mean:
    call.plain.only("channels_last")
    return _whole_mean(call)


def _reduction(call: QuantisedCall) -> tuple[Flow, list[int], Shape]:
    """A value as an image whose pixels become one, the axes along which these lie, and the shape that is left."""
    call.plain.only("axes", "keepdims", "noop_with_empty_axes")
    flow, axes = call.reals().flow, sorted(call.plain.axes(call.plain.whole_numbers(1, "axes")))
    if not axes:
        call.fail("reduces no axis, or all, the images' among them; name those of one image")
    shape = flow.left(axes, bool(call.plain.attribute("keepdims", 1)))
    return flow.across(axes), axes, shape or call.fail("leaves no axis of an image")


def _reduced(call: QuantisedCall) -> Mean:
    """Means along some axes."""
    source = call.reals()
    wide, axes, shape = _reduction(call)
    whole = axes == list(range(1, source.flow.rank)) and source.flow.rank in (2, 3)
    return Mean(
        source=source if whole else replace(source, flow=wide),
        windows={"operator": "reduction"},
        flow=Flow("", (wide.shape[0], 1, 1)).reshape(shape),
        of_floats=True,
    )


def _summed(call: QuantisedCall) -> Sums:
    """Sums along some axes: a window of ones over each."""
    source = call.building.plain(call.reals(), call.title)
    wide, _, shape = _reduction(call)
    channels, _, count = wide.shape
    ones = np.ones((channels, 1, count, 1), np.int8)
    held = Coded(ones, np.ones(1, np.float32), np.zeros(1, np.int32), FixedFormat(2))
    found = weighted(call, source, wide, held, ones, 0, groups=channels)
    return replace(found, flow=found.flow.reshape(shape))


def _largest(call: QuantisedCall) -> Reals:
    """The maximum along some axes."""
    source = call.building.plain(call.reals(), call.title)
    wide, _, shape = _reduction(call)
    found = call.building.layer(IntegerMaxPool, call.title, wide, output=source.form)
    return replace(source, flow=found.reshape(shape))


def _whole_mean(call: QuantisedCall) -> Mean:
    shape = call.reals().flow.shape
    return _mean(call, (shape[0], *[1] * (len(shape) - 1)), {"operator": "reduction"})


def _mean(call: QuantisedCall, shape: Shape, windows: dict[str, Any]) -> Mean:
    return Mean(source=call.reals(), windows=windows, flow=Flow("", shape))


def _pooled_shape(call: QuantisedCall, flow: Flow, how: dict[str, Any]) -> Shape:
    wide = MaxPool(name=call.title, inputs=("x",), **{key: one for key, one in how.items() if key != "count_padding"}).shape(
        flow.image().shape
    )
    return wide if flow.rank == 3 else (wide[0], wide[2])


OPERATORS: Mapping[str, Callable[[QuantisedCall], Any]] = MappingProxyType(
    {
        "AveragePool": _average,
        "GlobalAveragePool": _whole_average,
        "GlobalMaxPool": _whole_maximum,
        "MaxPool": _maximum,
        "ReduceMax": _largest,
        "ReduceMean": _reduced,
        "ReduceSum": _summed,
    }
)
