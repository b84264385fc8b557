"""How codes and weights lie in a file: codes as uint8, weights as int8, scales as float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError

__all__ = ["Held", "held_weights", "weight_scales"]

Array = np.ndarray[Any, Any]
_NEIGHBOURS = 8
"""Float32 numbers on either side of the nearest weight scale that are tried."""


@dataclass(frozen=True, slots=True)
class Held:
    """A format as a file holds it, in uint8: signed codes lie half the range higher, and so do their zero points.

    That is the one type of which onnxruntime's kernels of integers take codes everywhere: on x86 its default sessions compute
    codes of int8 in float, and codes of two types everywhere.
    """

    form: FixedFormat

    @property
    def moved(self) -> int:
        """What a code is more by than that of the format."""
        return 128 * self.form.signed

    @property
    def zero_point(self) -> Array:
        """The zero point as a file holds it."""
        return np.array(self.form.zero_point + self.moved, np.uint8)

    def ends(self, low: int | None = None, high: int | None = None) -> tuple[int | None, int | None]:
        """Codes of the file at which values end, None where its type does."""
        form, whole = self.form, np.iinfo(np.uint8)
        least = (form.minimum if low is None else low) + self.moved
        most = (form.maximum if high is None else high) + self.moved
        return None if least == whole.min else least, None if most == whole.max else most


def held_weights(name: str, weights: Array) -> tuple[Array, Array]:
    """int8 codes and their one zero point of weights that are given less their zero points; 0 where that does."""
    low, high = int(weights.min()), int(weights.max())
    zero = 0 if low >= -128 and high <= 127 else -128 - low
    if high + zero > 127:
        raise NetworkError(f"layer {name}: weights of {low}..{high} less their zero points; ONNX QDQ holds 256 codes of them")
    return (weights + zero).astype(np.int8), np.array(zero, np.int8)


def weight_scales(gains: Array, given: Array, output: Array) -> tuple[Array, Array]:
    """Scales of weights with which a runtime gets gains of float32, and the gains that it gets: the same, or next to them.

    ONNX Runtime (core/providers/cpu/quantization/qlinearconv.cc, ComputeOutputScale) multiplies the scales of input and
    weights and divides by the output's, each step in float32. For some gains no scale of weights gives just them.
    """
    wanted = gains.astype(np.float32)
    nearest = (gains * float(output) / float(given)).astype(np.float32)
    best, got = nearest, given * nearest / output
    below = above = nearest
    for _ in range(_NEIGHBOURS):
        below, above = np.nextafter(below, np.float32(0)), np.nextafter(above, np.float32(np.inf))
        for tried in (below, above):
            gives = given * tried / output
            nearer = np.abs(gives - wanted) < np.abs(got - wanted)
            best, got = np.where(nearer, tried, best), np.where(nearer, gives, got)
    return best, got
