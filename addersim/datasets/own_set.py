"""A user's folder or file as a set of its own: shape, classes and statistics are found in it, for training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.datasets import parquet, text_tables
from addersim.datasets.arrays import NAMES, as_numbers
from addersim.datasets.classes import class_list, numbered
from addersim.datasets.folders import SPLIT_FOLDERS, first_images
from addersim.datasets.layouts import class_folders
from addersim.datasets.own import find_reader
from addersim.datasets.records import Dataset, Split
from addersim.datasets.registry import DATASETS, unknown_data
from addersim.datasets.wanted import Drawn, Part, Wanted
from addersim.errors import DataError
from addersim.images import Preprocessing, Shape
from addersim.storage import load_arrays
from addersim.streamed import Streamed

__all__ = ["dataset_of"]

Array = npt.NDArray[Any]
STATISTICS = 10_000
"""Training images, drawn with a seed, whose mean and deviation normalise all."""
HELD_OUT = 5
"""One image of so many is tested, where a set has no training images of its own."""


def dataset_of(name: str, size: int | None = None) -> Dataset:
    """A set of the registry, or the record of a user's file or folder.

    Parameters
    ----------
    name
        A key of `DATASETS`, or a path to what `load_own` reads; where there are no training images, a fifth that seed 0 draws
        is tested and the others train.
    size
        Height and width to which pictures are resized; None: they are of one size.

    Raises
    ------
    DataError
        For a name that is neither, and images that are no pixels with labels.
    """
    if name in DATASETS:
        if size is not None:
            raise DataError(f"resize: is for a file or folder of your own; data {name} has {DATASETS[name].shape}")
        return DATASETS[name]
    if not os.path.lexists(name):
        raise unknown_data(name)
    return _own(name, size)


@dataclass(frozen=True, slots=True)
class _Net:
    """A network that takes a set's images, whatever they are."""

    name: str
    input_shape: Shape
    classes: tuple[str, ...]
    outputs: int
    preprocessing: Preprocessing


@dataclass(frozen=True, slots=True)
class _Share(Part):
    """The images that train, or the fifth of them that does not."""

    split: Split

    def of(self, images: int) -> npt.NDArray[np.intp]:
        drawn = Drawn(None).of(images)
        tested = max(1, images // HELD_OUT)
        return np.sort(drawn[tested:] if self.split == "train" else drawn[:tested])[: self.limit]


@lru_cache
def _own(name: str, size: int | None) -> Dataset:
    path = Path(name)
    shape, classes = _shape_and_classes(path, size)
    network = _Net(f"data {name}", shape, classes, len(classes), Preprocessing(mean=(0.0,), std=(1.0,), known=False))

    def layout(_: Dataset, root: Path, split: Split, limit: int | None) -> tuple[Any, Array]:
        found = _read(root, network, split, limit, size is not None)
        if found.pixels.dtype != np.uint8:
            raise DataError(f"data {name}: images are {found.pixels.dtype}; training takes uint8 pixels, and normalises them")
        return found.pixels, found.needed_labels("training")

    pixels, _ = layout(_NOTHING, path, "train", None)
    drawn = np.sort(Drawn(STATISTICS).of(len(pixels)))
    some = np.asarray(pixels.at(drawn) if isinstance(pixels, Streamed) else pixels[drawn]) / 255.0
    axes = (0, *range(2, some.ndim))
    mean, std = some.mean(axis=axes), np.maximum(some.std(axis=axes), 1 / 255)
    counts = {one: len(layout(_NOTHING, path, one, None)[1]) for one in ("train", "test")}
    return Dataset(
        name, path.stem, shape, counts, classes, tuple(mean.round(4).tolist()), tuple(std.round(4).tolist()), layout,
        source=str(path), default_root=path,
    )  # fmt: skip


_NOTHING: Any = None


def _read(path: Path, network: _Net, split: Split, limit: int | None, resize: bool) -> Any:
    """Images of a split, or of the share that stands for it."""
    read = find_reader(path)
    apart = read(path, "train", Wanted(network, Part(1), resize, [])) is not None
    part = Part(limit) if apart else _Share(limit, split)
    found = read(path, split if apart else "test", Wanted(network, part, resize, []))
    if found is None:
        raise DataError(f"{path}: holds no images")
    return found


def _shape_and_classes(path: Path, size: int | None) -> tuple[Any, tuple[str, ...]]:
    """Sizes of an image with its channels, and names of the classes."""
    kind = path.suffix.lower()
    if path.is_dir():
        tables = parquet.parquet_files(path)
        found, classes = parquet.shape_and_classes(str(path), tables) if tables else _of_folder(path)
    elif kind == ".parquet":
        found, classes = parquet.shape_and_classes(str(path), [path])
    elif kind == ".csv":
        if size is not None:
            raise DataError(f"resize: the columns of {path} are not resized; pictures and arrays are")
        found, classes = text_tables.shape_and_classes(path)
    elif kind == ".npz":
        found, classes = _of_arrays(path)
    else:
        raise DataError(
            f"data {path}: has no classes, which training needs; give a folder with one folder a class, an .npz of images and "
            "labels, a .parquet or a .csv"
        )
    shape = _with_channels(found)
    return (shape[0], size, size) if size is not None else shape, classes


def _of_folder(path: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    split = next((path / one for one in SPLIT_FOLDERS["train"] if (path / one).is_dir()), path)
    shape = first_images(split)
    names = [one.name for one in class_folders(split)]
    if not names:
        raise DataError(f"data {path}: training needs one folder a class")
    return shape, class_list(path) or tuple(names)


def _of_arrays(path: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    arrays = load_arrays(path, DataError)
    pairs = [pair for split in ("train", "test") for pair in NAMES[split] if pair[0] in arrays]
    if not pairs:
        raise DataError(f"data {path}: training needs arrays of images and labels")
    if missing := next(((images, labels) for images, labels in pairs if labels not in arrays), None):
        raise DataError(f"data {path}: training needs the classes of {missing[0]}, as an array {missing[1]}")
    largest = max(as_numbers(f"data {path}", arrays[labels], len(arrays[images])).max(initial=-1) for images, labels in pairs)
    return arrays[pairs[0][0]].shape[1:], numbered(f"data {path}", int(largest))


def _with_channels(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Channels first, one of them where none are told."""
    if len(sizes) == 2:
        return (1, *sizes)
    return (sizes[-1], *sizes[:-1]) if len(sizes) == 3 and sizes[-1] in (1, 3) and sizes[0] not in (1, 3) else sizes
