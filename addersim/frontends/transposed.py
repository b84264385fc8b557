"""A transposed convolution as what hardware runs: zeros between the pixels of its input, then a window with turned weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Pair, check_pair
from addersim.errors import NetworkError

__all__ = ["MAX_LINES", "ZERO", "TransposedWindow", "transposed_window"]

Array = npt.NDArray[Any]

ZERO = -1
"""Among the rows and columns to take: one of zeros."""
MAX_LINES = 1 << 20
"""Most rows, or columns, that the window sees, zeros and padding included."""


class TransposedWindow(NamedTuple):
    """A window layer of stride one, and the image that it sees.

    Attributes
    ----------
    rows, columns
        Which rows and columns of the input to take, in this order; `ZERO` is one of zeros. Some may be left out.
    weights
        ``(outputs, inputs / groups, kernel_height, kernel_width)``; dilation and groups are those of the convolution.
    padding, far_padding
        Of the window, before and after that image.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    weights: Array
    padding: Pair
    far_padding: Pair


def transposed_window(
    weights: Array,
    size: Pair,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    far_padding: Pair | None = None,
    output_padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> TransposedWindow:
    """The window layer that gives what a transposed convolution gives, to rounding. What it inserts are operands, and cost.

    Parameters
    ----------
    weights
        As PyTorch and ONNX hold them: ``(inputs, outputs / groups, kernel_height, kernel_width)``.
    size
        Height and width of the input.
    stride, padding, output_padding, dilation, groups
        As in ``torch.nn.ConvTranspose2d``: padding takes rows and columns of the output away, output padding adds to its end.
    far_padding
        What is taken away at the end, where that is not `padding` (ONNX).

    Raises
    ------
    NetworkError
        For anything but whole numbers in range, weights of another shape, no output or more than `MAX_LINES` rows or columns.

    Examples
    --------
    >>> found = transposed_window(np.arange(3.0).reshape(1, 1, 1, 3), (1, 2), stride=(1, 2), padding=(0, 1))
    >>> found.columns, found.weights.ravel().tolist(), found.padding, found.far_padding
    ((0, -1, 1), [2.0, 1.0, 0.0], (0, 1), (0, 1))
    """
    if weights.ndim != 4 or weights.size == 0:
        raise NetworkError(f"weights: shape {weights.shape} is not (inputs, outputs / groups, kernel_height, kernel_width)")
    if groups < 1 or len(weights) % groups:
        raise NetworkError(f"groups: {groups} does not divide {len(weights)} input channels")
    pairs = [
        check_pair(name, value, lowest)
        for name, value, lowest in (
            ("size", size, 1),
            ("stride", stride, 1),
            ("padding", padding, 0),
            ("far_padding", padding if far_padding is None else far_padding, 0),
            ("output_padding", output_padding, 0),
            ("dilation", dilation, 1),
        )
    ]
    kernel = weights.shape[2], weights.shape[3]
    (rows, above, below), (columns, left, right) = (
        _along(what, kernel[axis], *(one[axis] for one in pairs)) for axis, what in enumerate(("height", "width"))
    )
    return TransposedWindow(rows, columns, _turned(weights, groups), (above, left), (below, right))


def _along(
    what: str, kernel: int, size: int, stride: int, before: int, after: int, more: int, dilation: int
) -> tuple[tuple[int, ...], int, int]:
    """Along one axis: the pixels to take, zeros included, and the padding before and after them.

    Output j of the convolution sees pixel i through tap k where ``j = i * stride + k * dilation - before``. Among pixels with
    zeros between them that is the window from ``j + before - reach`` on, its taps in reverse.
    """
    reach = (kernel - 1) * dilation
    length = (size - 1) * stride + 1
    first, end = before - reach, length + reach - after + more
    if not reach < end - first <= MAX_LINES:
        raise NetworkError(
            f"{what}: {size} pixels, stride {stride}, padding {before} and {after}, {more} more at the end: "
            f"{end - first - reach} outputs that see {end - first} pixels, zeros included; needs 1 output and at most "
            f"{MAX_LINES} pixels"
        )
    taken = range(max(first, 0), min(end, length))
    if not taken:  # padding took all pixels away: the window sees nothing but zeros
        return (ZERO,), 0, end - first - 1
    return tuple(ZERO if at % stride else at // stride for at in taken), taken.start - first, end - taken.stop


def _turned(weights: Array, groups: int) -> Array:
    inputs, outputs, *kernel = weights.shape
    apart = weights.reshape(groups, inputs // groups, outputs, *kernel)[..., ::-1, ::-1]
    return np.ascontiguousarray(apart.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, *kernel))
