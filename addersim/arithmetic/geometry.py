"""Geometry of window layers: shapes, stride, padding, dilation and groups, checked once for the kernels and their twins.

Values are channels last: x ``(images, height, width, channels)``, window weights
``(outputs, kernel_height, kernel_width, channels / groups)``. A linear layer has height = width = 1 and a 1x1 kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from addersim.errors import NetworkError
from addersim.inputs.limits import shown

__all__ = ["MAX_TAPS", "MAX_WORK", "Geometry", "Pair", "check_pair", "check_work", "same_padding"]

Pair = tuple[int, int]
Shape4 = tuple[int, int, int, int]

_LARGEST = 1 << 20

MAX_TAPS = 1 << 24
"""Most taps of one output: a sum of that many terms of 16-bit codes provably fits the kernels' 64-bit sums."""
MAX_WORK = 1 << 53
"""Most taps of a layer, for the images of one call: doubles are exact up to it, and computing more would take days."""


def check_pair(what: str, value: object, lowest: int) -> Pair:
    """Two whole numbers of at least `lowest`, or an error that says what they are."""
    if not (isinstance(value, (tuple, list)) and len(value) == 2 and _whole(value[0], lowest) and _whole(value[1], lowest)):
        raise NetworkError(f"{what}: {shown(value)} is not a pair of whole numbers in {lowest}..{_LARGEST}, such as (1, 1)")
    if type(value) is tuple and type(value[0]) is type(value[1]) is int:
        return value  # as layers hold them: nothing to convert
    return int(value[0]), int(value[1])


def _whole(value: object, lowest: int) -> bool:
    if type(value) is not int:
        return hasattr(value, "__index__") and not isinstance(value, bool) and lowest <= int(value) <= _LARGEST
    return lowest <= value <= _LARGEST


def check_work(taps: int, outputs: int) -> None:
    """Refuse a layer with more taps an output, or in all, than can be summed and counted.

    Examples
    --------
    >>> check_work(20_000_000, 10)
    Traceback (most recent call last):
    addersim.errors.NetworkError: 20,000,000 taps an output; at most 16,777,216 are allowed
    """
    if taps > MAX_TAPS:
        raise NetworkError(f"{taps:,} taps an output; at most {MAX_TAPS:,} are allowed")
    if outputs * taps > MAX_WORK:
        raise NetworkError(f"{outputs:,} outputs of {taps:,} taps each; at most {MAX_WORK:,} taps are allowed")


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after each axis that keeps an image's size at stride 1; the odd one stands behind, as in torch.

    Examples
    --------
    >>> same_padding((3, 4), (2, 1))
    ((2, 1), (2, 2))
    """
    total = [spread * (taps - 1) for taps, spread in zip(kernel, dilation, strict=True)]
    return tuple(one // 2 for one in total), tuple(one - one // 2 for one in total)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a window moves over an image.

    Parameters
    ----------
    kernel, stride, padding, dilation
        ``(height, width)`` in pixels. Padding is added before the first row and column and, without `far_padding`, after the
        last ones too.
    groups
        Input and output channels are cut into as many groups, each connected only to itself.
    ceil_mode
        Whether a window that sticks out at the far end yields an output (as in torch: only if it starts inside the image or
        its near padding).
    far_padding
        ``(height, width)`` in pixels after the last row and column; None, or the same, is as `padding`.

    Raises
    ------
    NetworkError
        For anything but whole numbers in range.

    Examples
    --------
    >>> Geometry((3, 3), padding=(1, 1)).output_size(32, 32)
    (32, 32)
    >>> Geometry((2, 2), padding=(0, 0), far_padding=(1, 1)).output_size(32, 32)
    (32, 32)
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    ceil_mode: bool = False
    far_padding: Pair | None = None

    def __post_init__(self) -> None:
        for name, lowest in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1), ("far_padding", 0)):
            given = getattr(self, name)
            if (given, name) != (None, "far_padding") and (pair := check_pair(name, given, lowest)) is not given:
                object.__setattr__(self, name, pair)
        if self.far_padding == self.padding:  # one way to say it: equal moves are equal records
            object.__setattr__(self, "far_padding", None)
        if not _whole(self.groups, 1):
            raise NetworkError(f"groups: {shown(self.groups)} is not a whole number in 1..{_LARGEST}")
        object.__setattr__(self, "groups", int(self.groups))

    def sides(self, axis: int) -> Pair:
        """Padding before and after the image along its height (axis 0) or width (axis 1)."""
        return self.padding[axis], (self.far_padding or self.padding)[axis]

    def output_size(self, height: int, width: int) -> Pair:
        """Rows and columns of windows over an image, or an error if not even one fits."""
        return self._along(0, "height", height), self._along(1, "width", width)

    def taps_inside(self, axis: int, size: int) -> int:
        """Taps of all windows along one axis that meet the image, not its padding.

        Examples
        --------
        >>> Geometry((3, 3), padding=(1, 1)).taps_inside(0, 4)  # 4 outputs of 3 taps; the first and the last miss one
        10
        """
        last = self._along(axis, ("height", "width")[axis], size) - 1
        stride, found = self.stride[axis], 0
        for tap in range(self.kernel[axis]):
            start = tap * self.dilation[axis] - self.padding[axis]
            found += max(0, min(last, (size - 1 - start) // stride) - max(0, -(start // stride)) + 1)
        return found

    def pooled_size(self, height: int, width: int) -> Pair:
        """The same for pooling, whose every window must meet at least one pixel.

        Examples
        --------
        >>> Geometry((2, 2), (2, 2), padding=(0, 3)).pooled_size(4, 4)
        Traceback (most recent call last):
        addersim.errors.NetworkError: padding: (0, 3) lets a pooling window miss the image along its width
        """
        sizes = self.output_size(height, width)
        for axis, (what, size) in enumerate((("height", height), ("width", width))):
            if self._misses(axis, size, sizes[axis]):
                found = f"{self.padding} before and {self.far_padding} after" if self.far_padding else f"{self.padding}"
                raise NetworkError(f"padding: {found} lets a pooling window miss the image along its {what}")
        check_work(self.kernel[0] * self.kernel[1], sizes[0] * sizes[1])
        return sizes

    def _misses(self, axis: int, size: int, outputs: int) -> bool:
        """Whether the taps of some window all lie outside the image: behind it, before it, or to both sides of it."""
        stride, padding, dilation = self.stride[axis], self.padding[axis], self.dilation[axis]
        last = (outputs - 1) * stride - padding
        reach = (self.kernel[axis] - 1) * dilation
        return last >= size or any(
            start + reach < 0 or start % dilation >= size for start in range(-padding, min(last + 1, 0), stride)
        )

    def _along(self, axis: int, what: str, size: int) -> int:
        kernel, stride, (before, after) = self.kernel[axis], self.stride[axis], self.sides(axis)
        reach = self.dilation[axis] * (kernel - 1) + 1
        room = size + before + after - reach
        outputs = room // stride + 1
        if self.ceil_mode:
            outputs = -(-room // stride) + 1
            outputs -= (outputs - 1) * stride >= size + before
        if outputs < 1:
            padding = f"{before} on each side" if before == after else f"{before} before and {after} after it"
            raise NetworkError(
                f"{what}: a window of {kernel} taps, dilation {self.dilation[axis]}, spans {reach} pixels; "
                f"the image has {size} and padding {padding}"
            )
        return outputs

    def output_shape(self, x: tuple[int, ...], weights: tuple[int, ...]) -> Shape4:
        """Shape of a window layer's output, after checking that the two operands fit each other.

        Parameters
        ----------
        x
            ``(images, height, width, channels)``
        weights
            ``(outputs, kernel_height, kernel_width, channels / groups)``
        """
        if len(x) != 4 or min(x[1:]) < 1:
            raise NetworkError(f"x: shape {x} is not (images, height, width, channels) with at least one pixel and channel")
        if len(weights) != 4 or min(weights) < 1:
            raise NetworkError(f"weights: shape {weights} is not (outputs, kernel_height, kernel_width, channels / groups)")
        outputs, channels = weights[0], x[3]
        if channels % self.groups or outputs % self.groups:
            raise NetworkError(f"groups: {self.groups} does not divide {channels} input and {outputs} output channels")
        if weights[3] != channels // self.groups:
            wanted = channels // self.groups
            raise NetworkError(
                f"weights: {weights[3]} input channels; x has {channels} in {self.groups} groups: needs {wanted}"
            )
        shape = (x[0], *self.output_size(x[1], x[2]), outputs)
        check_work(math.prod(weights[1:]), math.prod(shape))
        return shape
