"""Choices by the error that they leave at a layer's output on the calibration images: scales of values, codes of weights."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import FixedFormat
from addersim.images import Images
from addersim.layers import Affine, IntegerWindow, Window
from addersim.network import Network
from addersim.quantization.bias_correction import corrected
from addersim.quantization.calibration import coprime_step
from addersim.quantization.rules import Quantization

__all__ = ["Reader", "find_readers", "input_covariance", "refine_scale", "round_codes", "round_to_output"]

Array = npt.NDArray[Any]

MOST_IMAGES = 128
"""Images on which scales are compared."""
MOST_OUTPUTS = 4096
"""Outputs of a window, evenly spaced over images and pixels, whose inputs give the covariance of its taps."""
SHRINKAGE = 0.5
"""Chosen: share of the covariances between taps that is not believed, as a few hundred images know hundreds of taps badly. Of
0.2, 0.5 and 0.8 the best in a prototype, on 5,000 training images that calibrated nothing (LeNet-5-BN at 3 and 4 bits)."""
LEAST_GAIN = 0.02
"""Chosen: share by which the error must fall before another scale than that of least square error is taken. Smaller gains
did not carry over to other images (LeNet-5-BN with adder layers at 4 bits)."""
_FACTORS = 2.0 ** (np.arange(-8, 9) / 8)
_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Reader:
    """A window that reads a value, and what the float network gives behind the affine that follows it.

    Attributes
    ----------
    window, affine
        The float layers.
    values
        The window's input, channels last.
    target
        Output of the affine, shape ``(outputs, filters)``.
    low
        Zero where only ReLU reads the affine, minus infinity elsewhere: what lies below makes no difference.
    """

    window: Window
    affine: Affine
    values: Array
    target: Array
    low: float

    def error(self, fixed: FixedFormat, how: Quantization) -> float:
        """Relative square error at the output with the input in a format, after the statistics were corrected."""
        inputs = fixed.decode(fixed.encode(self.values)).astype(np.float32)
        sums = replace(self.window, weights=self._weights(fixed, how)).run(inputs)
        sums = sums.reshape(-1, sums.shape[-1]).astype(np.float64)
        correction = "mean" if how.correction == "none" else how.correction
        affine = corrected(self.affine, sums, self.target.mean(axis=0), self.target.std(axis=0), correction)
        heard, wanted = (np.maximum(one, self.low) for one in (affine.run(sums), self.target))
        return float(np.square(heard - wanted).sum() / max(np.square(wanted).sum(), np.finfo(np.float64).tiny))

    def _weights(self, fixed: FixedFormat, how: Quantization) -> Array:
        """Weights on the grid that the input's format gives them; as trained where they have a scale of their own."""
        if not ARITHMETICS[self.window.arithmetic].shared_scale:
            return self.window.weights
        bits = self.window.stored_bits(how)
        weights = (
            np.clip(self.window.weights, fixed.low, fixed.high) if how.clips(self.window.arithmetic) else self.window.weights
        )
        grid = FixedFormat(bits, fixed.signed or bool((weights < 0).any()), fixed.scale * 2.0 ** (fixed.bits - bits))
        return grid.decode(grid.encode(weights)).astype(np.float32)


def find_readers(network: Network, images: Images, quiet: Set[str]) -> dict[str, list[Reader]]:
    """The windows that read each value.

    Parameters
    ----------
    network
        With one affine behind each window.
    images
        Calibration images; the first `MOST_IMAGES` are used.
    quiet
        Values that only ReLU layers read.
    """
    values = dict(network.values(images[:MOST_IMAGES]))
    windows = {layer.name: layer for layer in network.layers if isinstance(layer, Window)}
    found: dict[str, list[Reader]] = {}
    for affine in network.layers:
        if isinstance(affine, Affine) and affine.inputs[0] in windows:
            window = windows[affine.inputs[0]]
            target = values[affine.name].reshape(-1, values[affine.name].shape[-1])
            low = 0.0 if affine.name in quiet else -np.inf
            found.setdefault(window.inputs[0], []).append(Reader(window, affine, values[window.inputs[0]], target, low))
    return found


def refine_scale(
    scale: float, formats: Mapping[str, FixedFormat], readers: Mapping[str, list[Reader]], how: Quantization
) -> float:
    """Scale of values that share it, by the error at the outputs of the windows that read them.

    Parameters
    ----------
    scale
        Where the search starts: factors of 1/2 to 2 around it are tried.
    formats
        Width and sign of each value, by name; their scales do not matter.
    readers
        From `find_readers`.

    Returns
    -------
    The given scale, unless another one leaves an error that is smaller by `LEAST_GAIN`.
    """
    heard = [(format_, reader) for name, format_ in formats.items() for reader in readers.get(name, ())]

    def error(factor: float) -> float:
        return sum(one.error(FixedFormat(fixed.bits, fixed.signed, scale * factor), how) for fixed, one in heard)

    if not heard:
        return scale
    errors = [error(float(factor)) for factor in _FACTORS]
    best = int(np.argmin(errors))
    return scale * float(_FACTORS[best]) if errors[best] < (1 - LEAST_GAIN) * error(1.0) else scale


def round_to_output(layer: IntegerWindow, weights: Array, codes: Array) -> IntegerWindow:
    """A ``mac`` window whose weight codes lie above or below the real weights such that their errors cancel in the sums.

    Parameters
    ----------
    layer
        With weights rounded one by one.
    weights
        The real weights in codes, of the shape of the layer's.
    codes
        Input codes on the calibration images, channels last.
    """
    filters = len(weights) // layer.groups
    channels = layer.weights.shape[-1]
    chosen = np.empty_like(layer.weights)
    for group in range(layer.groups):
        mine = slice(group * filters, (group + 1) * filters)
        taps = _window_inputs(layer, codes[..., group * channels : (group + 1) * channels])
        real, start = (one[mine].reshape(filters, -1) for one in (weights, layer.weights))
        ends = layer.weight_format.minimum, layer.weight_format.maximum
        chosen[mine] = round_codes(real, start, input_covariance(taps), ends).reshape(layer.weights[mine].shape)
    return replace(layer, weights=chosen)


def _window_inputs(layer: IntegerWindow, codes: Array) -> Array:
    """Operands of evenly spaced outputs of a window: shape ``(outputs, taps)``, in the order of the weights."""
    codes = codes if codes.ndim == 4 else codes[:, None, None, :]
    down, right = layer.stride
    padded = np.pad(codes, ((0, 0), *zip(layer.padding, layer.far_padding or layer.padding, strict=True), (0, 0)))
    rows, columns = (np.arange(size) * step for size, step in zip(layer.weights.shape[1:3], layer.dilation, strict=True))
    height = (padded.shape[1] - rows[-1] - 1) // down + 1
    width = (padded.shape[2] - columns[-1] - 1) // right + 1
    total = len(codes) * height * width
    seen = np.arange(0, total, coprime_step(-(-total // MOST_OUTPUTS), total))
    image, row, column = np.unravel_index(seen, (len(codes), height, width))
    taken = padded[
        image[:, None, None], (row[:, None] * down + rows)[:, :, None], (column[:, None] * right + columns)[:, None]
    ]
    operands: Array = taken.reshape(len(taken), -1).astype(np.float64)
    return operands


def input_covariance(inputs: Array) -> Array:
    """Covariance of taps, those between different taps shrunk by `SHRINKAGE`.

    The mean has no part in it: the addend of the following affine takes up what an error does to it. Inputs are codes, whose
    products have exact sums in doubles, so that no order of adding changes anything.
    """
    mean = inputs.mean(axis=0)
    covariance: Array = inputs.T @ inputs / len(inputs) - np.multiply.outer(mean, mean)
    return covariance * (1 - SHRINKAGE) + np.diag(np.diag(covariance)) * SHRINKAGE


def round_codes(weights: Array, start: Array, covariance: Array, ends: tuple[int, int]) -> Array:
    """Codes next to real weights, such that ``d @ covariance @ d`` of the rounding errors d of a filter is small.

    Coordinate descent from given codes: tap after tap takes the neighbour, above or below its weight, that leaves the least
    error of the sum, until nothing changes (at most 8 times). No step makes the error larger.

    Parameters
    ----------
    weights, start
        Real weights in codes, and the codes to start from, shape ``(filters, taps)``.
    covariance
        Of the taps' inputs, shape ``(taps, taps)``.
    ends
        Smallest and largest code.

    Returns
    -------
    int64 codes, shape ``(filters, taps)``.
    """
    codes = start.astype(np.int64)
    errors = codes - weights.astype(np.float64)
    pull = np.zeros_like(errors)
    for error, row in zip(errors.T, covariance, strict=True):
        pull += np.multiply.outer(error, row)  # tap after tap, and not in the order of some library for some processor
    neighbours = np.clip([np.floor(weights), np.ceil(weights)], *ends).astype(np.int64)
    for _ in range(_SWEEPS):
        before = codes.copy()
        for tap, own in enumerate(np.diag(covariance)):
            steps = neighbours[:, :, tap] - codes[:, tap]
            gains = steps * (2 * pull[:, tap] + steps * own)
            step = np.where(gains.min(axis=0) < 0, np.take_along_axis(steps, gains.argmin(axis=0)[None], axis=0)[0], 0)
            codes[:, tap] += step
            pull += step[:, None] * covariance[tap]
        if np.array_equal(codes, before):
            break
    return codes
