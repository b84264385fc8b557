"""Own images as arrays: an .npz with labels, or an .npy, which is mapped and not held."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.datasets.pictures import RESIZED, resized
from addersim.datasets.records import Images, Split
from addersim.datasets.wanted import Wanted, class_names
from addersim.errors import DataError
from addersim.images import arranged, check_declared, check_images
from addersim.inputs.limits import shown
from addersim.storage import load_arrays, map_array
from addersim.streamed import KEPT_BYTES, Streamed

__all__ = ["NAMES", "as_numbers", "from_npy", "from_npz", "taken"]

Array = npt.NDArray[Any]

NAMES: Mapping[Split, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "test": (("images", "labels"), ("test_images", "test_labels"), ("x_test", "y_test")),
        "train": (("train_images", "train_labels"), ("x_train", "y_train")),
    }
)
"""Arrays of an .npz, images and labels: ours, those of MedMNIST, those of Keras."""
_MOST_NAMED = 5
_PIXELS = "uint8 pixels of 0..255, or prepared floats"


def from_npz(path: Path, split: Split, wanted: Wanted) -> Images | None:
    """The images of a split, with their labels; None where they are not apart."""
    arrays = load_arrays(path, DataError)
    held = [(images, labels) for images, labels in NAMES[split] if images in arrays]
    if len(held) > 1:
        raise DataError(f"{path}: holds {' and '.join(images for images, _ in held)}; keep one of them")
    if not held and split == "train":
        return None
    if not held:
        listed = ", ".join(shown(name) for name in list(arrays)[:_MOST_NAMED]) or "nothing"
        allowed = " or ".join(images for images, _ in NAMES["test"])
        raise DataError(f"{path}: holds {listed}; needs an array of images called {allowed}")
    ((images, labels),) = held
    where = str(path) if images == "images" else f"{path}, array {images}"
    return _images(where, arrays[images], wanted, arrays.get(labels))


def from_npy(path: Path, split: Split, wanted: Wanted) -> Images | None:
    """All images, without labels; None for training images."""
    return None if split == "train" else _images(str(path), map_array(path, DataError), wanted)


def _images(where: str, images: Array, wanted: Wanted, labels: Array | None = None) -> Images:
    """A part of the images as a network takes them, with their labels; many of them are made so while they are used."""
    if not images.ndim or images.size == 0:
        raise DataError(f"{where}: holds no images")
    places = wanted.part.of(len(images))
    numbers = None if labels is None else as_numbers(where, labels, len(images))[places]
    if images.nbytes <= KEPT_BYTES:
        return Images(where, taken(where, images[places], wanted), numbers, class_names(wanted.network))
    first = taken(where, images[places[:1]], wanted)
    stream = Streamed(where, (len(places), *first.shape[1:]), first.dtype, lambda at: taken(where, images[places[at]], wanted))
    return Images(where, stream, numbers, class_names(wanted.network))


def taken(where: str, images: Array, wanted: Wanted) -> Array:
    """Images as a network takes them. Raises DataError for others."""
    network = wanted.network
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            images = images.astype(np.float32, copy=False)
    elif images.dtype.name not in network.preprocessing.taken:
        pixels = images.dtype.kind in "iu" and images.size and images.min() >= 0 and images.max() <= 255
        advice = "; save them as images.astype('uint8')" if pixels and not network.preprocessing.codes else ""
        expected = network.preprocessing.taken_in_words if network.preprocessing.codes else _PIXELS
        raise DataError(f"{where}: images are {images.dtype}; expected {expected}{advice}")
    placed = _of_size(where, arranged(images, network.input_shape, where), wanted)
    check_images(placed, network.input_shape, network.preprocessing, where)
    check_declared(placed, network.preprocessing, where)
    return np.ascontiguousarray(placed)


def _of_size(where: str, images: Array, wanted: Wanted) -> Array:
    """Pictures of the network's height and width; others are resized only where that is asked for: training decides how."""
    channels, *size = wanted.network.input_shape
    images = images[:, None] if wanted.resize and channels == 1 and images.ndim == 3 and len(size) == 2 else images
    if images.ndim != 4 or len(size) != 2:
        return images
    for first in (True, False):
        count, given = (images.shape[1], images.shape[2:]) if first else (images.shape[3], images.shape[1:3])
        if count == channels and list(given) != size:
            if wanted.resize and images.dtype == np.uint8:
                return resized(images if first else np.moveaxis(images, 3, 1), tuple(size), where)
            told = f"images are {given[0]} x {given[1]}, {wanted.network.name} takes {size[0]} x {size[1]} (height x width)"
            advice = "as uint8 pixels --resize does it" if wanted.resize else f"or let --resize do it: {RESIZED}"
            raise DataError(f"{where}: {told}; resize them as in training, {advice}")
    return images


def as_numbers(where: str, labels: Array, images: int) -> npt.NDArray[np.int64]:
    """Labels as one whole number an image."""
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.dtype.kind not in "iu" or flat.shape != (images,):
        advice = "; labels.argmax(axis=1) gives them" if labels.ndim == 2 and len(labels) == images else ""
        if labels.dtype.kind in "US" and labels.shape == (images,):
            advice = "; numpy.unique(labels, return_inverse=True)[1] gives them, for classes in sorted order"
        raise DataError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}; expected whole numbers of shape ({images},), one "
            f"class an image{advice}"
        )
    if flat.size and int(flat.max()) > np.iinfo(np.int64).max:  # of uint64 alone; as int64 they would become negative
        raise DataError(
            f"{where}: label {flat.max()} of image {flat.argmax()} is no class; expected numbers of classes, from 0 on"
        )
    return flat.astype(np.int64)
