"""Pooling of codes: maxima and sums, in C where windows move at one pace, else in numpy, axis after axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Geometry, Pair
from addersim.arithmetic.pooling import PoolAxis
from addersim.kernels.checks import CODE_ENDS, CODES, check_adaptive, check_array, check_pool, check_threads
from addersim.kernels.core import chosen_set, core, flat, geometry_numbers, type_number
from addersim.kernels.sums import INT32

__all__ = ["adaptive_max_pool", "adaptive_sum_pool", "max_pool", "reduce_axes", "sum_pool"]

Array = npt.NDArray[Any]


def max_pool(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    *,
    far_padding: Pair | None = None,
    ceil_mode: bool = False,
    threads: int | None = None,
) -> Array:
    """Largest code under each window, a channel; padding never wins. Shapes as in `window`, type as `x`.

    Parameters
    ----------
    x
        Codes ``(images, height, width, channels)``.
    kernel, stride, padding, dilation, far_padding, ceil_mode
        See `addersim.arithmetic.geometry.Geometry`.
    threads
        As in `window`.

    Examples
    --------
    >>> x = np.array([3, 1, 4], np.int8).reshape(1, 1, 3, 1)
    >>> max_pool(x, (1, 2), (1, 2), ceil_mode=True).ravel().tolist()
    [3, 4]
    """
    x, count = check_array("x", x, CODES), check_threads(threads)
    geometry, shape = check_pool(x, kernel, stride, padding, dilation, far_padding, ceil_mode)
    return _pool(x, np.empty(shape, x.dtype), geometry, True, count)


def sum_pool(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    *,
    far_padding: Pair | None = None,
    ceil_mode: bool = False,
    threads: int | None = None,
) -> Array:
    """Sum of the codes under each window, a channel; padding adds zeros. An `affine` makes an average of it.

    Arguments as in `max_pool`. The sums are int32, or int64 where the window and the type of `x` could leave 32 bits.
    """
    x, count = check_array("x", x, CODES), check_threads(threads)
    geometry, shape = check_pool(x, kernel, stride, padding, dilation, far_padding, ceil_mode)
    return _pool(x, np.empty(shape, _sum_type(x, geometry.kernel[0] * geometry.kernel[1])), geometry, False, count)


def _pool(x: Array, y: Array, geometry: Geometry, maximum: bool, threads: int) -> Array:
    if y.size:
        wide, numbers = y.dtype == np.int64, geometry_numbers(geometry, x.shape, y.shape)
        core.pool(flat(x), type_number(x), flat(y), numbers, maximum, wide, chosen_set(), threads)
    return y


def _sum_type(x: Array, taps: int) -> type[np.signedinteger[Any]]:
    return np.int64 if taps * max(-CODE_ENDS[x.dtype][0], CODE_ENDS[x.dtype][1]) > INT32[1] else np.int32


def adaptive_max_pool(x: Array, output_size: Pair, *, threads: int | None = None) -> Array:
    """Largest code of each part of an image that is shared out as `addersim.arithmetic.pooling.adaptive_axes` says.

    Examples
    --------
    >>> adaptive_max_pool(np.array([3, 1, 4, 1], np.int8).reshape(1, 1, 4, 1), (1, 3)).ravel().tolist()
    [3, 4, 4]
    """
    x, axes = check_array("x", x, CODES), check_adaptive(x, output_size)
    check_threads(threads)
    if (geometry := _even(axes)) is not None:
        return max_pool(x, geometry.kernel, geometry.stride, threads=threads)
    return reduce_axes(x, axes, np.maximum, x.dtype)


def adaptive_sum_pool(x: Array, output_size: Pair, *, threads: int | None = None) -> Array:
    """The sum of each part, of a type as in `sum_pool`: that of the largest part decides."""
    x, axes = check_array("x", x, CODES), check_adaptive(x, output_size)
    check_threads(threads)
    if (geometry := _even(axes)) is not None:
        return sum_pool(x, geometry.kernel, geometry.stride, threads=threads)
    return reduce_axes(x, axes, np.add, _sum_type(x, max(axes[0].taps) * max(axes[1].taps)))


def _even(axes: tuple[PoolAxis, PoolAxis]) -> Geometry | None:
    """Parts of one size that lie side by side, as windows that move."""
    if any(before.stop != after.start for axis in axes for before, after in zip(axis.spans, axis.spans[1:], strict=False)):
        return None
    sizes = axes[0].taps[0], axes[1].taps[0]
    return Geometry(sizes, sizes) if all(set(axis.taps) == {size} for axis, size in zip(axes, sizes, strict=True)) else None


def reduce_axes(values: Array, axes: tuple[PoolAxis, PoolAxis], how: np.ufunc, kind: npt.DTypeLike) -> Array:
    """`how` over the pixels of each window, rows first: any windows, of numbers of any type.

    Parameters
    ----------
    values
        Shape ``(images, height, width, channels)``.
    axes
        Windows along height and width.
    how
        ``np.add`` or ``np.maximum``.
    kind
        Type of the results, which partial ones have too.
    """
    images, _, width, channels = values.shape
    rows = np.empty((images, len(axes[0].spans), width, channels), kind)
    for place, span in enumerate(axes[0].spans):
        how.reduce(values[:, span], axis=1, dtype=kind, out=rows[:, place])
    outputs = np.empty((*rows.shape[:2], len(axes[1].spans), channels), kind)
    for place, span in enumerate(axes[1].spans):
        how.reduce(rows[:, :, span], axis=2, dtype=kind, out=outputs[:, :, place])
    return outputs
