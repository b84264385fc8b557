"""Operands of a layer as one element of a row stationary array takes them: what gates of such an element are driven with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import HardwareError
from addersim.hardware.dataflow.row_stationary import RowMapping
from addersim.hardware.gates.element_operands import Operands
from addersim.hardware.operand_streams import channel_blocks, filter_blocks
from addersim.layers import IntegerWindow

__all__ = ["row_operands"]

Array = npt.NDArray[Any]


def row_operands(layer: IntegerWindow, codes: Array, mapping: RowMapping, taps: int, seed: int) -> list[Operands]:
    """Taps of passes that are drawn by chance: each one row of a kernel under all outputs of a row, for an element's share.

    An element goes round the columns of its row of the kernel, its channels and its filters, each filter on the same word and
    each with a sum of its own, which begins with every output. Passes of as many filters follow each other; those of each
    number are apart, for as many sums take turns.

    Parameters
    ----------
    layer
        A window layer without a multiplier's table, of one tap a step.
    codes
        What it reads, ``(images, height, width, channels)`` or ``(images, channels)``.
    mapping
        Of the layer.
    taps
        About how many, of whole passes; one pass at least.
    seed
        Of the draw.

    Raises
    ------
    HardwareError
        For a layer that no single element computes.
    """
    if layer.multiplier is not None or DATAPATHS[layer.datapath].together > 1:
        raise HardwareError(f"layer {layer.name}: its taps are not those of single elements")
    pixels = codes if codes.ndim == 4 else codes[:, None, None, :]
    found: dict[int, list[Operands]] = {}
    left = taps
    passes = _passes(layer, pixels, mapping, np.random.default_rng(seed))
    while left > 0:
        one = next(passes)
        found.setdefault(one.turn, []).append(one)
        left -= len(one.starts)
    return [_together(some) for some in found.values()]


def _together(passes: Sequence[Operands]) -> Operands:
    x, w, starts = (np.concatenate([getattr(one, name) for one in passes]) for name in ("x", "w", "starts"))
    return Operands(x, w, starts, passes[0].turn)


def _passes(layer: IntegerWindow, pixels: Array, mapping: RowMapping, rng: np.random.Generator) -> Iterator[Operands]:
    """Passes by chance, without an end; blocks in proportion to their taps."""
    height = layer.weights.shape[1]
    filters = len(layer.weights) // layer.groups
    blocks = list(filter_blocks(mapping, filters)), list(channel_blocks(mapping, layer.weights.shape[3]))
    rows, columns = layer.geometry.output_size(pixels.shape[1], pixels.shape[2])
    while True:
        some, few = (block[rng.choice(len(block), p=_shares(block))] for block in blocks)
        group, image = int(rng.integers(layer.groups)), int(rng.integers(len(pixels)))
        channels = np.arange(*few) + group * layer.weights.shape[3]
        line = int(rng.integers(rows)), int(rng.integers(height))
        words = _words(layer, pixels[image], line, channels, columns)
        of_filters = layer.operand_weights(np.arange(*some) + group * filters)[:, line[1]][:, :, slice(*few)]
        yield _pass(layer, words, of_filters)


def _shares(blocks: Sequence[tuple[int, int]]) -> Array:
    sizes = np.array([last - first for first, last in blocks], np.float64)
    shares: Array = sizes / sizes.sum()
    return shares


def _words(layer: IntegerWindow, image: Array, line: tuple[int, int], channels: Array, columns: int) -> Array:
    """Codes under a row of the kernel, ``(outputs, kernel columns, channels)``, padded with what stands for zero."""
    geometry, (row, of_kernel) = layer.geometry, line
    y = row * geometry.stride[0] - geometry.padding[0] + of_kernel * geometry.dilation[0]
    at = np.arange(columns)[:, None] * geometry.stride[1] - geometry.padding[1]
    x = at + np.arange(geometry.kernel[1]) * geometry.dilation[1]
    inside = (0 <= y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
    found = image[min(max(y, 0), image.shape[0] - 1)][x.clip(0, image.shape[1] - 1)][:, :, channels]
    return np.where(inside[..., None], found, layer.input_format.zero_point)


def _pass(layer: IntegerWindow, words: Array, weights: Array) -> Operands:
    """Words ``(outputs, columns, channels)`` and weights ``(filters, columns, channels)``, a tap a step."""
    turn = len(weights)
    inner = np.broadcast_to(weights.transpose(1, 2, 0), (*words.shape, turn))
    x, w = layer.operands(np.repeat(words[..., None], turn, axis=3), inner)
    starts = np.arange(x.size) % (x.size // len(words)) < turn
    return Operands(x.reshape(-1, 1), w.reshape(-1, 1), starts, turn)
