"""Geometry of window layers: shapes, stride, padding, dilation and groups, checked once for the kernels and their twins.

Values are channels last: x ``(images, height, width, channels)``, window weights
``(outputs, kernel_height, kernel_width, channels / groups)``. A linear layer has height = width = 1 and a 1x1 kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from addersim.errors import NetworkError

__all__ = ["Geometry", "Pair"]

Pair = tuple[int, int]
Shape4 = tuple[int, int, int, int]

_LARGEST = 1 << 20


def _pair(what: str, value: object, lowest: int) -> Pair:
    if isinstance(value, (tuple, list)) and len(value) == 2 and _whole(value[0], lowest) and _whole(value[1], lowest):
        return int(value[0]), int(value[1])
    raise NetworkError(f"{what}: {value!r} is not a pair of whole numbers in {lowest}..{_LARGEST}, such as (1, 1)")


def _whole(value: object, lowest: int) -> bool:
    if type(value) is not int:
        return hasattr(value, "__index__") and not isinstance(value, bool) and lowest <= int(value) <= _LARGEST
    return lowest <= value <= _LARGEST


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a window moves over an image.

    Parameters
    ----------
    kernel, stride, padding, dilation
        ``(height, width)`` in pixels. Padding is added on both sides.
    groups
        Input and output channels are cut into as many groups, each connected only to itself.
    ceil_mode
        Whether a window that sticks out at the far end yields an output (as in torch: only if it starts inside the image or
        its near padding).

    Raises
    ------
    NetworkError
        For anything but whole numbers in range.

    Examples
    --------
    >>> Geometry((3, 3), padding=(1, 1)).output_size(32, 32)
    (32, 32)
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        for name, lowest in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, _pair(name, getattr(self, name), lowest))
        if not _whole(self.groups, 1):
            raise NetworkError(f"groups: {self.groups!r} is not a whole number in 1..{_LARGEST}")
        object.__setattr__(self, "groups", int(self.groups))

    def output_size(self, height: int, width: int) -> Pair:
        """Rows and columns of windows over an image, or an error if not even one fits."""
        return self._along(0, "height", height), self._along(1, "width", width)

    def _along(self, axis: int, what: str, size: int) -> int:
        kernel, stride, padding = self.kernel[axis], self.stride[axis], self.padding[axis]
        reach = self.dilation[axis] * (kernel - 1) + 1
        if size + 2 * padding < reach:
            raise NetworkError(
                f"{what}: a window of {kernel} taps, dilation {self.dilation[axis]}, spans {reach} pixels; "
                f"the image has {size} and padding {padding} on each side"
            )
        room = size + 2 * padding - reach
        outputs = room // stride + 1
        if self.ceil_mode and room % stride and outputs * stride < size + padding:
            outputs += 1
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
        return (x[0], *self.output_size(x[1], x[2]), outputs)
