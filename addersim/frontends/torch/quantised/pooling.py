"""Pools over what codes stand for: maxima, which are codes again, and means, which wait for their quantiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.quantised_values import Mean, Reals
from addersim.frontends.torch.quantised.call import Call
from addersim.layers import IntegerMaxPool

__all__ = ["OPERATORS"]

Row = Callable[[Call], Any]


def _pool(call: Call, axes: int) -> dict[str, Any]:
    kernel = call.sizes("kernel_size", axes)
    stride = call.arguments.get("stride")
    found = {
        "kernel": kernel,
        "stride": call.sizes("stride", axes) if stride else kernel,
        "padding": call.sizes("padding", axes),
    }
    if "dilation" in call.arguments:
        found["dilation"] = call.sizes("dilation", axes)
    if axes == 1:
        found = {name: ((0 if name == "padding" else 1), *sizes) for name, sizes in found.items()}
    return found | {"ceil_mode": bool(call.arguments["ceil_mode"])}


def _max_pool(axes: int) -> Row:
    def row(call: Call) -> Reals:
        source = call.reals(call.value)
        flow = call.building.layer(IntegerMaxPool, call.name, source.flow.image(), output=source.form, **_pool(call, axes))
        return Reals(flow.like(source.flow), source.form)

    return row


def _largest(call: Call) -> Reals:
    """The maximum over all pixels."""
    source = call.reals(call.value)
    _check_pixels(call, source)
    flow = source.flow.image()
    found = call.building.layer(IntegerMaxPool, call.name, flow, output=source.form, kernel=flow.shape[1:], stride=(1, 1))
    return Reals(found.reshape(call.find_shapes()[0]), source.form)


def _check_pixels(call: Call, source: Reals) -> None:
    """Refuse what is over other axes than those of all pixels."""
    rank, axes = source.flow.rank, call.arguments.get("dim")
    numbers = [axes] if isinstance(axes, int) else list(axes or [])
    if sorted(one % (rank + 1) for one in numbers) != list(range(2, rank + 1)) or rank not in (2, 3):
        raise LoweringError(f"{call.kind} over axes {axes} of images x {source.flow.shape}; read is that over all pixels")


def _average_pool(axes: int) -> Row:
    def row(call: Call) -> Mean:
        if call.arguments.get("divisor_override") is not None:
            raise LoweringError("divides by a number of its own; read are means of windows")
        windows = _pool(call, axes) | {"operator": "pool", "count_padding": bool(call.arguments["count_include_pad"])}
        return Mean(flow=Flow("", call.find_shapes()[0]), source=call.reals(call.value), windows=windows)

    return row


def _adaptive(axes: int) -> Row:
    def row(call: Call) -> Mean:
        source, wanted = call.reals(call.value), call.sizes("output_size", axes)
        size = source.flow.shape[1:]
        if any(have % want for have, want in zip(size, wanted, strict=True)):
            raise LoweringError(f"averages {size} to {wanted}; read are windows of one size")
        kernel = tuple(have // want for have, want in zip(size, wanted, strict=True))
        windows: dict[str, Any] = {"operator": "pool", "kernel": kernel if axes == 2 else (1, *kernel)}
        if set(wanted) == {1}:
            windows = {"operator": "reduction"}
        return Mean(flow=Flow("", call.find_shapes()[0]), source=source, windows=windows)

    return row


def _mean(call: Call) -> Mean:
    source = call.reals(call.value)
    _check_pixels(call, source)
    return Mean(flow=Flow("", call.find_shapes()[0]), source=source, windows={"operator": "reduction"})


OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "max_pool1d": _max_pool(1),
        "max_pool2d": _max_pool(2),
        "avg_pool1d": _average_pool(1),
        "avg_pool2d": _average_pool(2),
        "adaptive_avg_pool1d": _adaptive(1),
        "adaptive_avg_pool2d": _adaptive(2),
        "amax": _largest,
        "mean": _mean,
    }
)
