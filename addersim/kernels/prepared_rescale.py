"""Window layers and the rescaling by a named rule that follows them, as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import Constants
from addersim.kernels.checks import FusedResult
from addersim.kernels.core import OVERFLOWS
from addersim.kernels.prepared import PreparedWindow
from addersim.kernels.requantisation import RescaleNumbers, fits_registers, rescale, rescale_numbers
from addersim.kernels.requantisation_checks import check_requantisation
from addersim.kernels.sums import INT32, Sums

__all__ = ["PreparedWindowRescale", "prepare_window_rescale"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class PreparedWindowRescale:
    """A prepared window and the rescaling after it; call it like the window. `prepare_window_rescale` makes it.

    Attributes
    ----------
    window
        The window layer.
    constants, bias
        Of each output; the bias is int32.
    output, low, high
        As in `requantize`.
    numbers
        The rescaling as C takes it.
    most
        The largest magnitude of a bias.
    direct
        Whether it runs in registers, whatever x of its type holds.
    """

    window: PreparedWindow
    constants: Constants
    bias: Array
    output: FixedFormat
    low: int
    high: int
    numbers: RescaleNumbers
    most: int
    direct: bool

    def __call__(self, x: Array, *, threads: int | None = None) -> FusedResult:
        x, shape, count = self.window.checked(x, threads)
        known = self.window.sums_of(x)
        if shape[0] and self.fuses(known):
            y = np.empty(shape, self.output.dtype)
            rescaling = self.numbers, self.direct and known is self.window.sums
            sums, codes = self.window.run(x, y, known, count, rescaling=rescaling)
            return FusedResult(y, *sums, *codes)
        words = np.empty(shape, self.window.word)
        sums = self.window.run(x, words, known, count)[0] if words.size else (0, 0, 0)
        _, narrow, *_ = check_requantisation(words, self.bias, "addersim", self.output, self.low, self.high)
        after = rescale(narrow, self.constants, self.bias, self.output, self.low, self.high, count)
        return FusedResult(after.values, *sums, after.minimum, after.maximum, after.overflowed)

    def fuses(self, sums: Sums) -> bool:
        """Whether codes can be made of the sums of a tile at once: in no special order, and with their bias in 32 bits."""
        return sums.narrow and sums.ordered is None and sums.largest + self.most <= INT32[1]


def prepare_window_rescale(
    layer: PreparedWindow,
    scales: npt.ArrayLike,
    bias: Array,
    rule: str,
    *,
    output: FixedFormat,
    low: int | None = None,
    high: int | None = None,
) -> PreparedWindowRescale:
    """A window and then `requantize` on its words, for many x of one type; where it can, the words never leave the cache.

    Parameters
    ----------
    layer
        What `prepare_window` gave.
    scales, bias, rule, output, low, high
        As in `requantize`, one value an output.

    Returns
    -------
    A function of ``x`` and ``threads``, which gives a `FusedResult`.

    Examples
    --------
    >>> from addersim.kernels import prepare_window
    >>> layer = prepare_window("int8", np.array([[[[-100, 1]]]], np.int8), arithmetic="l1")
    >>> both = prepare_window_rescale(layer, [-0.375], np.array([3]), "tflite", output=FixedFormat(8, zero_point=10))
    >>> both(np.array([[[[100, -2]]]], np.int8)).values.item()
    85
    """
    words = np.empty((0, len(layer.weights)), np.int32)
    found, _, whole, least, most = check_requantisation(words, bias, rule, output, low, high)
    constants = found.constants(np.broadcast_to(np.asarray(scales, np.float64), whole.shape), output)
    numbers = rescale_numbers(constants, whole, output, least, most)
    exact = layer.sums.handling[0] == OVERFLOWS["exact"] and layer.sums.narrow
    magnitudes = np.abs(whole.astype(np.int64))
    direct = exact and fits_registers(constants, layer.sums.largest + magnitudes)
    return PreparedWindowRescale(layer, constants, whole, output, least, most, numbers, int(magnitudes.max()), direct)
