"""Records of image sets: images with their labels, and what a set must hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from addersim.datasets.readers import Bytes
from addersim.errors import DataError
from addersim.inputs.limits import IMAGES
from addersim.inputs.text import printable
from addersim.kernels.checks import CODES
from addersim.streamed import Streamed

__all__ = ["Dataset", "Images", "Split", "pixels_and_labels"]


Split = Literal["train", "test"]


_TYPES = ("float32", *CODES)
_TOGETHER = 256
"""Images that are read together where all are walked."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Images:
    """Images of one size, with their labels where these are known.

    Attributes
    ----------
    name
        The set or the file they come from.
    pixels
        uint8, float32 as a network takes them, or codes of a program that takes those, of shape (images, channels, height,
        width); other inputs have one or two axes after the first. Many images are `Streamed`, read while they are used.
    labels
        int64 of shape (images,), indices into `classes`; None where nobody said.
    classes
        Names of the classes.

    Raises
    ------
    DataError
        For no images, another type or shape, or a label that names no class.
    """

    name: str
    pixels: Bytes | npt.NDArray[np.float32] | npt.NDArray[np.integer[Any]] | Streamed
    labels: npt.NDArray[np.int64] | None
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        number, *shape = self.pixels.shape
        labels = "no labels" if self.labels is None else f"{len(self.classes)} classes"
        return f"<Images {printable(self.name)}: {number:,} of {' x '.join(map(str, shape))}, {self.pixels.dtype}, {labels}>"

    def __post_init__(self) -> None:
        name, pixels, labels = self.name, self.pixels, self.labels
        if pixels.dtype.name not in _TYPES or not 2 <= pixels.ndim <= 4 or pixels.size == 0:
            expected = "uint8 or float32 of shape (images, channels, height, width)"
            raise DataError(f"{name}: pixels are {pixels.dtype} of shape {pixels.shape}, expected {expected}")
        if labels is None:
            return
        if labels.dtype != np.int64 or labels.shape != pixels.shape[:1]:
            expected = f"int64 of shape {pixels.shape[:1]}"
            raise DataError(f"{name}: labels are {labels.dtype} of shape {labels.shape}, expected {expected}")
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if wrong.size:
            where = f"label {labels[wrong[0]]} of image {wrong[0]}"
            raise DataError(f"{name}: {where} is outside 0..{len(self.classes) - 1} ({wrong.size} such labels)")

    def __len__(self) -> int:
        return len(self.pixels)

    def needed_labels(self, what: str) -> npt.NDArray[np.int64]:
        """The labels, for what cannot do without them. Raises DataError."""
        if self.labels is None:
            raise DataError(
                f"{self.name}: the images have no labels, and {what} needs them; give an array of labels beside the images "
                "(in an .npz labels beside images, train_labels beside train_images), or a folder a class"
            )
        return self.labels

    def digest(self) -> str:
        """SHA-256 of pixels and labels."""
        found = hashlib.sha256(f"{self.pixels.dtype} {self.pixels.shape}".encode())
        for start in range(0, len(self), _TOGETHER):
            found.update(np.ascontiguousarray(self.pixels[start : start + _TOGETHER]).tobytes())
        found.update(b"none" if self.labels is None else self.labels.tobytes())
        return found.hexdigest()

    def first(self, limit: int | None) -> Images:
        """The first `limit` images (all of them where there are fewer, or for None)."""
        if limit is None:
            return self
        number = IMAGES.check(limit, f"{self.name}: limit", DataError)
        if number >= len(self):
            return self
        labels = None if self.labels is None else self.labels[:number]
        pixels = self.pixels.at(np.arange(number)) if isinstance(self.pixels, Streamed) else self.pixels[:number]
        return Images(self.name, pixels, labels, self.classes)


def pixels_and_labels(images: Any, labels: Any = None) -> tuple[Any, Any]:
    """Arrays of images and labels, from arrays or from `Images`; labels that are given beside these go before its own."""
    if not isinstance(images, Images):
        return images, labels
    return images.pixels, images.labels if labels is None else labels


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a set must contain, how it is stored and where it comes from.

    Attributes
    ----------
    name, title
        Name to load it by, and its name in prose.
    shape
        (channels, height, width) of an image.
    counts
        Images by split.
    classes
        Names of the classes.
    mean, std
        Per-channel statistics of pixels/255 by which training normalises, as in the field's usual recipes.
    layout
        Reader of the stored files: ``layout(dataset, root, split, limit)``; it may read more than the limit.
    folders
        Folders under the root in which the files may also lie.
    source
        Where to get the set.
    default_root
        Folder that is read where the user names none.
    checksums
        MD5 of the files' content, unpacked, by name; of CIFAR's binary files none is published.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    counts: Mapping[str, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Callable[[Dataset, Path, Split, int | None], tuple[Bytes | Streamed, npt.NDArray[Any]]]
    folders: tuple[str, ...] = ()
    source: str = ""
    default_root: Path | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)

    def checksum(self, path: Path) -> str | None:
        """MD5 that a file's content must have, where one is known."""
        return self.checksums.get(path.name.removesuffix(".gz"))
