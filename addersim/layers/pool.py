"""How torch's pooling modules and functions become layers."""

from __future__ import annotations

from typing import Any

from addersim.errors import LoweringError
from addersim.layers.average_pool import AveragePool
from addersim.layers.base import Built, pair
from addersim.layers.max_pool import MaxPool

__all__ = ["FUNCTIONS", "MODULES"]


def _max_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Built:
    if ceil_mode or return_indices:
        raise LoweringError("max pooling with ceil_mode or return_indices is not supported")
    kernel = pair(kernel_size, "kernel_size", 1)
    return MaxPool, {
        "kernel": kernel,
        "stride": kernel if stride in (None, []) else pair(stride, "stride", 1),
        "padding": pair(padding, "padding"),
        "dilation": pair(dilation, "dilation", 1),
    }


def _average_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Built:
    padded = pair(padding, "padding")
    if ceil_mode or divisor_override is not None or (any(padded) and not count_include_pad):
        raise LoweringError(
            "average pooling with ceil_mode, divisor_override or without counting the padding is not supported"
        )
    kernel = pair(kernel_size, "kernel_size", 1)
    return AveragePool, {
        "kernel": kernel,
        "stride": kernel if stride in (None, []) else pair(stride, "stride", 1),
        "padding": padded,
    }


def _adaptive_average_pool(output_size: Any) -> Built:
    if output_size not in (1, (1, 1), [1, 1]):
        raise LoweringError(f"adaptive average pooling to {output_size} is not supported; only to 1 x 1")
    return AveragePool, {"kernel": None}


MODULES = {
    "MaxPool2d": lambda m: _max_pool(m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices),
    "AvgPool2d": lambda m: _average_pool(
        m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    ),
    "AdaptiveAvgPool2d": lambda m: _adaptive_average_pool(m.output_size),
}
FUNCTIONS = {
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_average_pool,
}
