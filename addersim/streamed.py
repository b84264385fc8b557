"""Streamed: images that are read when they are asked for, so that many of them need the memory of a few."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import DataError

__all__ = ["KEPT_BYTES", "Streamed", "kept"]

Array = npt.NDArray[Any]
Places = npt.NDArray[np.intp]

KEPT_BYTES = 64 << 20
"""Images that take no more than this are read once, and then kept."""
LARGEST_BYTES = 4 << 30
"""Of images that something needs all at once."""


class Streamed:
    """Images as an array of them would be, of which a part at a time is read and none is kept.

    Parameters
    ----------
    where
        The file or folder, for messages.
    shape, dtype
        Of all images.
    read
        Gives the images at some places, in their order. Runs in several threads at a time.

    Examples
    --------
    >>> images = Streamed("made up", (1000, 3, 2, 2), np.uint8, lambda at: np.full((len(at), 3, 2, 2), at[0], np.uint8))
    >>> len(images), images[5:7].shape, int(images[5:7].max()), images.at(np.array([9, 8]))[:1].max()
    (1000, (2, 3, 2, 2), 5, np.uint8(9))
    """

    __slots__ = ("_read", "dtype", "shape", "where")

    def __init__(self, where: str, shape: tuple[int, ...], dtype: npt.DTypeLike, read: Callable[[Places], Array]) -> None:
        self.where, self.shape, self.dtype, self._read = where, shape, np.dtype(dtype), read

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all images."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> Array:
        return self._read(np.arange(len(self))[part])

    def at(self, places: Places) -> Streamed:
        """The images at some places, still unread."""
        return Streamed(self.where, (len(places), *self.shape[1:]), self.dtype, lambda at: self._read(places[at]))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.nbytes > LARGEST_BYTES:
            raise DataError(
                f"{self.where}: {len(self):,} images take {self.nbytes / (1 << 30):.1f} GiB in memory, at most "
                f"{LARGEST_BYTES >> 30} are held; name a limit"
            )
        return np.asarray(self[:], dtype)


def kept(images: Streamed) -> Array | Streamed:
    """The images, read at once where they are few: what is wrong with them is then told before anything runs."""
    return images[:] if images.nbytes <= KEPT_BYTES else images
