"""Which pixels each window of a pooling layer meets, axis by axis: windows that move, and those that share an image out."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from addersim.arithmetic.geometry import Geometry, Pair, check_pair, check_work

__all__ = ["PoolAxis", "adaptive_axes", "pool_axes"]


class PoolAxis(NamedTuple):
    """Windows along the height or the width of an image.

    Attributes
    ----------
    spans
        Rows (or columns) of the image that each window meets, at least one.
    taps
        How many taps each has: those in the padding count, those beyond it do not exist.
    """

    spans: tuple[slice, ...]
    taps: tuple[int, ...]

    @property
    def inside(self) -> tuple[int, ...]:
        """How many taps of each window meet the image."""
        return tuple(len(range(span.start, span.stop, span.step)) for span in self.spans)


@lru_cache(maxsize=64)
def pool_axes(geometry: Geometry, height: int, width: int) -> tuple[PoolAxis, PoolAxis]:
    """Windows of a kernel that moves, or an error where one meets no pixel.

    Examples
    --------
    >>> rows, _ = pool_axes(Geometry((3, 1), (2, 1), padding=(1, 0), ceil_mode=True), 4, 1)
    >>> [(span.start, span.stop) for span in rows.spans], rows.taps, rows.inside
    ([(0, 2), (1, 4), (3, 4)], (3, 3, 2), (2, 3, 1))
    """
    outputs = geometry.pooled_size(height, width)
    return _moving(geometry, 0, height, outputs[0]), _moving(geometry, 1, width, outputs[1])


def _moving(geometry: Geometry, axis: int, size: int, outputs: int) -> PoolAxis:
    kernel, dilation, (before, after) = geometry.kernel[axis], geometry.dilation[axis], geometry.sides(axis)
    spans, taps = [], []
    for output in range(outputs):
        start = output * geometry.stride[axis] - before
        stop = start + (kernel - 1) * dilation + 1
        taps.append(len(range(start, min(stop, size + after), dilation)))
        spans.append(slice(start if start >= 0 else start % dilation, min(stop, size), dilation))
    return PoolAxis(tuple(spans), tuple(taps))


@lru_cache(maxsize=64)
def adaptive_axes(output_size: Pair, height: int, width: int) -> tuple[PoolAxis, PoolAxis]:
    """Windows that share an image out, as PyTorch's adaptive pooling: of n outputs, output i sees the pixels from
    ``floor(i * size / n)`` to ``ceil((i + 1) * size / n)``.

    Examples
    --------
    >>> rows, _ = adaptive_axes((3, 1), 4, 1)
    >>> [(span.start, span.stop) for span in rows.spans]
    [(0, 2), (1, 3), (2, 4)]
    """
    outputs = check_pair("output_size", output_size, 1)
    axes = _shared(height, outputs[0]), _shared(width, outputs[1])
    check_work(max(axes[0].taps) * max(axes[1].taps), outputs[0] * outputs[1])
    return axes


def _shared(size: int, outputs: int) -> PoolAxis:
    spans = tuple(slice(i * size // outputs, -(-(i + 1) * size // outputs), 1) for i in range(outputs))
    return PoolAxis(spans, tuple(span.stop - span.start for span in spans))
