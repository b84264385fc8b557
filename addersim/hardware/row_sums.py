"""Sums as elements of a row stationary array take them from their scratchpads: bits that change, on a sample of outputs."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.hardware.dataflow.row_stationary import RowMapping
from addersim.hardware.operand_streams import channel_blocks, filter_blocks
from addersim.layers import IntegerWindow

__all__ = ["sum_changes"]

Array = npt.NDArray[Any]

LEAST = 64
"""Outputs that are drawn at least, however many taps each has: their spread is that of the layer."""


def sum_changes(layer: IntegerWindow, codes: Array, mapping: RowMapping, taps: int, seed: int) -> tuple[Array, Array]:
    """Changes of all bits of the register of the sum that comes, and taps, of outputs that are drawn at random.

    Under each output an element goes round a row of the kernel, by column, channel and filter; the sums of its filters take
    turns, and all begin at nothing, so that what the register does under one output does not hang on the one before. Its last
    sum gives way to nothing, and counts.

    Parameters
    ----------
    layer
        A window layer of one tap a step.
    codes
        What it reads, ``(images, height, width, channels)`` or ``(images, channels)``.
    mapping
        Of the layer.
    taps
        About how many, of whole outputs; of `LEAST` at least.
    seed
        Of the draw.

    Returns
    -------
    changes, taps
        One number each for every output that was drawn.
    """
    pixels = codes if codes.ndim == 4 else codes[:, None, None, :]
    filters, width, channels = len(layer.weights) // layer.groups, *layer.weights.shape[2:]
    blocks = [list(filter_blocks(mapping, filters)), list(channel_blocks(mapping, channels))]
    of_output = filters * channels * width / math.prod(map(len, blocks))
    rng, drawn = np.random.default_rng(seed), max(LEAST, math.ceil(taps / of_output))
    ends = [np.array(some)[rng.integers(len(some), size=drawn)] for some in blocks]
    sizes = np.stack([last - first for first, last in (one.T for one in ends)])
    group = rng.integers(layer.groups, size=drawn)
    begins = ends[0][:, 0] + group * filters, ends[1][:, 0]
    words = _windows(layer, pixels, group, rng)
    changes = np.zeros(drawn, np.int64)
    for some, few in product(*map(np.unique, sizes)):
        chosen = np.flatnonzero((sizes == [[some], [few]]).all(axis=0))
        if len(chosen):
            places = begins[0][chosen, None] + np.arange(some), begins[1][chosen, None] + np.arange(few)
            changes[chosen] = _changes(layer, tuple(one[chosen] for one in words), *places)
    return changes, sizes.prod(axis=0) * width


def _windows(layer: IntegerWindow, pixels: Array, group: Array, rng: np.random.Generator) -> tuple[Array, ...]:
    """Rows of windows by chance: codes of all channels of a group ``(drawn, columns, channels)``, and the kernel's row."""
    geometry, drawn = layer.geometry, len(group)
    height, width, channels = layer.weights.shape[1:]
    rows, columns = geometry.output_size(pixels.shape[1], pixels.shape[2])
    image, row, column, of_kernel = (rng.integers(most, size=drawn) for most in (len(pixels), rows, columns, height))
    y = row * geometry.stride[0] - geometry.padding[0] + of_kernel * geometry.dilation[0]
    x = column[:, None] * geometry.stride[1] - geometry.padding[1] + np.arange(width) * geometry.dilation[1]
    inside = ((y >= 0) & (y < pixels.shape[1]))[:, None] & (x >= 0) & (x < pixels.shape[2])
    y, x = y.clip(0, pixels.shape[1] - 1), x.clip(0, pixels.shape[2] - 1)
    channel = (group * channels)[:, None] + np.arange(channels)
    found = pixels[image[:, None, None], y[:, None, None], x[:, :, None], channel[:, None, :]]
    return np.where(inside[..., None], found, layer.input_format.zero_point), of_kernel


def _changes(layer: IntegerWindow, words: tuple[Array, ...], filters: Array, channels: Array) -> Array:
    """Bits that change under each output, of some filters and channels ``(drawn, ...)`` of each."""
    codes, of_kernel = words
    drawn, width = len(codes), codes.shape[1]
    inputs = np.take_along_axis(codes, channels[:, None, :], axis=2)
    at = of_kernel[:, None, None, None], np.arange(width)[:, None, None], channels[:, None, :, None]
    weights = layer.operand_weights(np.arange(len(layer.weights)))[filters[:, None, None, :], *at]
    terms = layer.terms(inputs[..., None], weights).reshape(drawn, -1, filters.shape[1])
    sums = terms.cumsum(axis=1)[:, :-1].reshape(drawn, -1) & (1 << layer.accumulator_bits()) - 1
    coming = np.pad(sums, ((0, 0), (filters.shape[1], 1)))  # nothing where sums begin, and under the next output
    found: Array = np.bitwise_count(coming[:, 1:] ^ coming[:, :-1]).sum(axis=1)
    return found
