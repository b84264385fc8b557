"""Strips of rows through several window layers: how many rows each layer makes at a time, and how many wait between two.

The last layer's output is made in strips of some rows. The layer before it makes as many rows at a time as a strip moves on
by, its rows times the stride of the layer that reads them, and makes its next strip when one of its rows is asked for. Rows
that two strips of the reader share stay on chip until the last of them is done: nothing is computed twice, nothing fetched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from addersim.arithmetic.geometry import Geometry

__all__ = ["rows_held", "strip_rows"]


def strip_rows(last: int, outputs: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Rows that each layer of a chain makes at a time, where the last one makes strips of `last`.

    Parameters
    ----------
    last
        Rows of the last layer's strips.
    outputs, strides
        Rows of each layer's output, and the stride of its windows along them.

    Examples
    --------
    >>> strip_rows(2, outputs=(56, 56, 28, 28), strides=(1, 1, 2, 1))
    [4, 4, 2, 2]
    """
    rows = [last]
    for above, stride in zip(reversed(outputs[:-1]), reversed(strides[1:]), strict=True):
        rows.append(min(above, rows[-1] * stride))
    return rows[::-1]


def rows_held(reader: Geometry, outputs: int, strip: int, inputs: int, made: int) -> int:
    """Most rows of a value that wait on chip at a time.

    Parameters
    ----------
    reader, outputs, strip
        How the windows of the layer that reads it move, rows of its output, and of its strips.
    inputs, made
        Rows of the value, and how many are made at a time.

    Examples
    --------
    A window of three rows needs three for each row of output, and two more for the next:

    >>> rows_held(Geometry((3, 3), padding=(1, 1)), 56, 1, 56, 1), rows_held(Geometry((3, 3), padding=(1, 1)), 56, 2, 56, 2)
    (3, 5)
    """
    first = np.arange(0, outputs, strip)
    last = np.minimum(first + strip, outputs) - 1
    stride, above = reader.stride[0], reader.padding[0]
    starts = np.maximum(first * stride - above, 0)
    ends = np.clip(last * stride - above + reader.dilation[0] * (reader.kernel[0] - 1) + 1, 0, inputs)
    there = np.minimum(np.maximum.accumulate(-(-ends // made)) * made, inputs)
    before = np.concatenate(([0], there[:-1]))
    return int((there - np.minimum(starts, before)).max())
