"""Input pixels under a window layer: how many there are, how many one tile needs, and how many two neighbours share.

A tile of T outputs is T of them in raster order, images stacked on each other; a tile of taps holds whole channels, except the
first and the last one. All numbers are upper bounds that grow with the tile, and exact where a tile holds whole rows of one
image. Without a geometry only the number of stored words is known: then neighbours share nothing, and a tile needs at most all
stored words.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from addersim.arithmetic.geometry import Geometry
from addersim.hardware.arrays import IntOrArray
from addersim.hardware.dataflow.row_stationary import reach
from addersim.trace import MatrixWork, Operand

__all__ = ["Footprint"]


class Footprint(NamedTuple):
    """The inputs of one group of a layer; numbers, or an array of each for many layers.

    Attributes
    ----------
    words
        Stored words that its windows reach, each counted once.
    products
        Words of the input matrix (pixels x window): those that are delivered without any reuse.
    channels, taps
        Input channels, and taps of the window in each.
    shared
        Most words that a tile of outputs shares with the next one: fetched twice where outputs are cut there.
    row_outputs, image_outputs
        Outputs of a row, and of an image.
    height, step, overlap
        Input rows under one row of outputs, how many more each next row needs, and each next image.
    width
        Words of an input row.
    per_output, per_row
        Words of one channel that each output adds to those beside it, and each row of outputs beyond that.
    spread
        Most taps of the window for one that is computed, where zero weights are skipped: each is one more word of an output.
    """

    words: IntOrArray
    products: IntOrArray
    channels: IntOrArray
    taps: IntOrArray
    shared: IntOrArray
    row_outputs: IntOrArray
    image_outputs: IntOrArray
    height: IntOrArray
    step: IntOrArray
    overlap: IntOrArray
    width: IntOrArray
    per_output: IntOrArray
    per_row: IntOrArray
    spread: IntOrArray = 1

    @classmethod
    def of(cls, work: MatrixWork, inputs: Operand, batch: int) -> Footprint:
        """Inputs of a layer; `work` and `inputs` are those of one image."""
        if work.kept is not None:
            return cls.of(replace(work, kept=None), inputs, batch)._skipping(-(-work.window // work.kept))
        geometry, image = work.geometry, work.image
        products, stored = work.m * batch * work.k, -(-inputs.words * batch // work.groups)
        if geometry is None or image is None:
            words = min(stored, products)
            return cls(words, products, work.k, 1, 0, 1, 1, words, 0, 0, 1, 1, 0)
        taps = geometry.kernel[0] * geometry.kernel[1]
        channels, outputs = work.k // taps, geometry.output_size(*image)
        reached = batch * channels * _reached(geometry, image, 0, outputs[0]) * _reached(geometry, image, 1, outputs[1])
        words = min(stored, reached, products)
        high, wide = _span(geometry, 0), _span(geometry, 1)
        below, beside = max(0, high - geometry.stride[0]), max(0, wide - geometry.stride[1])
        return cls(
            words,
            products,
            channels,
            taps,
            shared=min(channels * (below * image[1] + high * beside), words),
            row_outputs=outputs[1],
            image_outputs=outputs[0] * outputs[1],
            height=high,
            step=geometry.stride[0],
            overlap=below,
            width=image[1],
            per_output=geometry.kernel[0] * min(wide, geometry.stride[1]),
            per_row=geometry.kernel[0] * beside,
        )

    def _skipping(self, spread: int) -> Footprint:
        """The same words under the taps that are kept: these differ from filter to filter, so that rows tell nothing.

        Where the window is cut, every part may need every channel.
        """
        lone = self._replace(channels=1, taps=1, row_outputs=1, image_outputs=1, height=self.words, step=0, overlap=0)
        return lone._replace(width=1, per_output=spread, per_row=0, spread=spread)

    def of_tile(self, pixels: IntOrArray, window: IntOrArray) -> IntOrArray:
        """Words that a tile of `pixels` outputs and `window` taps needs in its memory."""
        channels = -(-window // self.taps)
        return np.minimum(np.minimum(pixels * window * self.spread, channels * self.per_channel(pixels)), self.words)

    def per_channel(self, pixels: IntOrArray) -> IntOrArray:
        """Words of one channel that a tile of `pixels` outputs needs."""
        more_rows, more_images = -(-(pixels - 1) // self.row_outputs), -(-(pixels - 1) // self.image_outputs)
        whole_rows = (self.height + more_rows * self.step + more_images * self.overlap) * self.width
        return np.minimum(whole_rows, pixels * self.per_output + (more_rows + 1) * self.per_row)

    def fetched(self, pixel_tiles: IntOrArray, window_tiles: IntOrArray) -> IntOrArray:
        """Words that all tiles fetch: those that two tiles of outputs share twice, and twice a channel that is cut."""
        words = self.words + (pixel_tiles - 1) * self.shared
        cut_channels = (window_tiles - 1) * ((self.taps > 1) | (self.spread > 1))
        return np.minimum(-(-words * (self.channels + cut_channels) // self.channels), self.products)


def _span(geometry: Geometry, axis: int) -> int:
    """Rows or columns from a window's first to its last."""
    return geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1


def _reached(geometry: Geometry, image: tuple[int, int], axis: int, outputs: int) -> int:
    """Stored rows or columns that some window reaches."""
    stride, kernel, padding, size = geometry.stride[axis], geometry.kernel[axis], geometry.padding[axis], image[axis]
    if geometry.dilation[axis] > 1:  # taps apart may leave out rows between them, or fall on those of another window
        return int(reach(geometry, image, axis, outputs).stored)
    if stride <= kernel:
        return min(size, max(0, (outputs - 1) * stride + kernel - padding))
    end = max(padding, min(padding + size, outputs * stride))
    before, until = (place // stride * kernel + min(place % stride, kernel) for place in (padding, end))
    return until - before
