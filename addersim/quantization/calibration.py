"""Calibration: what values a float network takes on sample images, and which scale holds them best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.codecs import Codec
from addersim.arithmetic.fixed import FixedFormat
from addersim.images import Images
from addersim.layers import Window
from addersim.network import Network
from addersim.quantization.rules import Calibration

__all__ = ["CALIBRATIONS", "Member", "Sample", "channel_scales", "choose_scale", "coprime_step", "sample_network"]

Array = npt.NDArray[Any]

SAMPLE_VALUES = 1 << 15
"""Values kept of each tensor, evenly spaced over all images: enough for a percentile of 99.99."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one value of a network looked like on the calibration images.

    Attributes
    ----------
    minimum, maximum
        Exact extremes.
    values
        Evenly spaced selection, float32, at most about `SAMPLE_VALUES`.
    mean, std
        Per channel over images and pixels, float64, shape ``(channels,)``.
    """

    minimum: float
    maximum: float
    values: Array
    mean: Array
    std: Array


def sample_network(network: Network, images: Images, batch: int = 32, threads: int | None = None) -> dict[str, Sample]:
    """Run a float network and keep a sample of each value that gets a format, by layer name; sums of windows get none."""
    sums_of = {layer.name for layer in network.layers if isinstance(layer, Window)}
    parts: dict[str, list[tuple[float, float, Array, Array, Array, int]]] = {}
    keep = SAMPLE_VALUES * batch // len(images) + 1
    for start in range(0, len(images), batch):
        for name, value in network.values(images[start : start + batch], threads):
            if name in sums_of:
                continue
            flat = value.reshape(-1, value.shape[-1]).astype(np.float64)
            chosen = value.reshape(-1)[:: coprime_step(value.size // keep, value.size)].copy()
            sums = (flat.sum(axis=0), np.square(flat).sum(axis=0), len(flat))
            parts.setdefault(name, []).append((float(value.min()), float(value.max()), chosen, *sums))
    return {name: _join(parts.pop(name)) for name in list(parts)}


def coprime_step(least: int, size: int) -> int:
    """Smallest step from `least` on without a factor of the size: by such steps no axis of an array is seen in part alone."""
    return next(step for step in itertools.count(max(1, least)) if math.gcd(step, size) == 1)


def _join(parts: Sequence[tuple[float, float, Array, Array, Array, int]]) -> Sample:
    minima, maxima, values, sums, squares, numbers = zip(*parts, strict=True)
    number = sum(numbers)
    mean = np.sum(sums, axis=0) / number
    variance = np.maximum(np.sum(squares, axis=0) / number - mean**2, 0.0)
    return Sample(min(minima), max(maxima), np.concatenate(values), mean, np.sqrt(variance))


@dataclass(frozen=True, slots=True)
class Member:
    """A value that must live in a format of some width and sign, whose scale is sought."""

    sample: Sample
    bits: int
    signed: bool

    def needed_scale(self, low: float, high: float) -> float:
        """Smallest scale that holds a range."""
        unit = FixedFormat(self.bits, self.signed)
        return max(high / unit.maximum if unit.maximum else 0.0, low / unit.minimum if unit.minimum else 0.0)


def _min_max(members: Sequence[Member], percentile: float) -> float:
    return max(one.needed_scale(one.sample.minimum, one.sample.maximum) for one in members)


def _percentile(members: Sequence[Member], percentile: float) -> float:
    tail = (100.0 - percentile, percentile)
    return max(one.needed_scale(*np.percentile(one.sample.values, tail)) for one in members)


def _mean_square_error(members: Sequence[Member], percentile: float) -> float:
    candidates = _min_max(members, percentile) * _STEPS
    if not candidates[0] > 0:
        return 0.0
    losses = sum(_losses(one, candidates) for one in members)
    return float(candidates[int(np.argmin(losses))])


def _losses(member: Member, scales: Array) -> Array:
    """Mean square error of a member's sample at each scale; as many scales at a time as stay in the cache."""
    values = member.sample.values
    together = max(1, SAMPLE_VALUES // values.size)
    columns = scales.astype(values.dtype)[:, None]
    starts = range(0, len(scales), together)
    return np.concatenate(
        [_square_errors(values, columns[start : start + together], member.bits, member.signed) for start in starts]
    )


_STEPS = np.arange(100, 4, -1) / 100
"""Shares of the scale that holds everything, tried from the largest down: ties go to the larger scale."""


def _square_errors(values: Array, scale: Array, bits: int, signed: bool) -> Any:
    """Mean square error of codes, along the last axis."""
    unit = FixedFormat(bits, signed)
    return np.square(np.clip(np.rint(values / scale), unit.minimum, unit.maximum) * scale - values).mean(axis=-1)


CALIBRATIONS: Mapping[Calibration, Callable[[Sequence[Member], float], float]] = MappingProxyType(
    {"mse": _mean_square_error, "percentile": _percentile, "min-max": _min_max, "output": _mean_square_error}
)
"""Ways to choose the one scale of values that share it: least square error, a percentile that is kept, or everything kept.
``output`` starts from the first; `output_errors` goes on from there."""


def choose_scale(members: Sequence[Member], method: Calibration, percentile: float = 99.99) -> float:
    """Scale for values that share it; 1.0 where all of them are zero. To sign bits any scale will do."""
    if all(one.bits == 1 for one in members):
        return max(max(-one.sample.minimum, one.sample.maximum) for one in members) or 1.0
    return CALIBRATIONS[method](members, percentile) or 1.0


def channel_scales(weights: Array, codec: Codec, bits: int, method: Calibration, per_channel: bool) -> Array:
    """Scale of each filter's weights, which become values of a codec in a stored width.

    ``mse`` and ``output`` search the scale of least square error; the other methods keep the largest weight, since weights
    have no outliers that a calibration set could miss. Weights of few values are brought to the level of least error.

    Returns
    -------
    Array of shape ``(filters,)``, all positive; one number repeated where not `per_channel`.
    """
    groups = weights.reshape(len(weights) if per_channel else 1, -1)
    largest = np.abs(groups).max(axis=1, keepdims=True) / codec.largest(bits)
    largest = np.where(largest > 0, largest, 1.0)
    best, steps = largest[:, 0], _STEPS if method in ("mse", "output") else _STEPS[:1]
    if not codec.uniform:  # the largest weight may stand on any level: that of trained ones is where they have no error
        steps = np.concatenate((codec.largest(bits) / np.array(codec.levels(bits)[:0:-1]), steps))
    if len(steps) > 1:
        scales = [largest * step for step in steps]
        errors = np.array([np.square(codec.nearest(groups / one, bits) * one - groups).mean(axis=-1) for one in scales])
        best = best * steps[errors.argmin(axis=0)]
    return np.broadcast_to(best, len(weights)).astype(np.float64)
