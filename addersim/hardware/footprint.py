"""Input pixels under a window layer: how many there are, how many one tile needs, and how many two neighbours share.

A tile of T outputs is a run of them in raster order, images stacked on each other; a tile of taps holds whole channels, but
for its ends. All are upper bounds that grow with the tile, equal to the truth where a tile holds whole rows of one image.
Without a geometry only the number of stored words is known: then neighbours share nothing, and a tile needs no more than there
is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from addersim.geometry import Geometry
from addersim.hardware.systolic import Whole
from addersim.trace import MatrixWork, Operand

__all__ = ["Footprint"]


@dataclass(frozen=True, slots=True)
class Footprint:
    """The inputs of one group of a layer.

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
    """

    words: int
    products: int
    channels: int
    taps: int
    shared: int
    _geometry: Geometry | None
    _outputs: tuple[int, int]
    _image: tuple[int, int]

    @classmethod
    def of(cls, work: MatrixWork, inputs: Operand, batch: int) -> Footprint:
        """Inputs of a layer; `work` and `inputs` are those of one image."""
        geometry, image = work.geometry, work.image
        products, stored = work.pixels * batch * work.window, -(-inputs.words * batch // work.groups)
        if geometry is None or image is None:
            return cls(min(stored, products), products, work.window, 1, 0, None, (1, 1), (1, 1))
        taps = geometry.kernel[0] * geometry.kernel[1]
        channels, outputs = work.window // taps, geometry.output_size(*image)
        reached = batch * channels * _reached(geometry, image, 0, outputs[0]) * _reached(geometry, image, 1, outputs[1])
        words = min(stored, reached, products)
        again = [max(0, _span(geometry, axis) - geometry.stride[axis]) for axis in (0, 1)]
        shared = channels * (again[0] * image[1] + _span(geometry, 0) * again[1])
        return cls(words, products, channels, taps, min(shared, words), geometry, outputs, image)

    def of_tile(self, pixels: Whole, window: Whole) -> Whole:
        """Words that a tile of so many outputs and taps needs in its memory."""
        channels = -(-window // self.taps)
        return np.minimum(np.minimum(pixels * window, channels * self.per_channel(pixels)), self.words)

    def per_channel(self, pixels: Whole) -> Whole:
        """Words of one channel that a tile of so many outputs needs."""
        geometry = self._geometry
        if geometry is None:
            return np.minimum(pixels, self.words)
        rows = -(-(pixels - 1) // self._outputs[1]) + 1
        images = -(-(pixels - 1) // (self._outputs[0] * self._outputs[1]))
        high, wide = _span(geometry, 0), _span(geometry, 1)
        below, beside = max(0, high - geometry.stride[0]), max(0, wide - geometry.stride[1])
        whole_rows = ((rows - 1) * geometry.stride[0] + high + images * below) * self._image[1]
        pieces = geometry.kernel[0] * (pixels * min(wide, geometry.stride[1]) + rows * beside)
        return np.minimum(whole_rows, pieces)

    def fetched(self, pixel_tiles: Whole, window_tiles: Whole) -> Whole:
        """Words that come once through all tiles: where outputs are cut, shared ones twice; where taps are, a channel."""
        words = self.words + (pixel_tiles - 1) * self.shared
        if self.taps > 1:
            words = -(-words * (self.channels + window_tiles - 1) // self.channels)
        return np.minimum(words, self.products)


def _span(geometry: Geometry, axis: int) -> int:
    """Rows or columns from a window's first to its last."""
    return geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1


def _reached(geometry: Geometry, image: tuple[int, int], axis: int, outputs: int) -> int:
    """Stored rows or columns that some window reaches."""
    stride, kernel, padding, size = geometry.stride[axis], geometry.kernel[axis], geometry.padding[axis], image[axis]
    last = (outputs - 1) * stride + _span(geometry, axis) - padding
    if geometry.dilation[axis] > 1 or stride <= kernel:
        return min(size, last)
    starts = np.arange(outputs) * stride - padding
    return int(np.clip(np.minimum(starts + kernel, size) - np.maximum(starts, 0), 0, None).sum())
