"""Own images as a folder: pictures, or arrays of one image each, in one folder a class; or all of them without labels."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.datasets.arrays import taken
from addersim.datasets.classes import class_list, class_numbers
from addersim.datasets.layouts import SUFFIXES, class_folders, in_turn, pictures_in
from addersim.datasets.parquet import from_files, parquet_files
from addersim.datasets.pictures import picture_as_it_is, picture_size
from addersim.datasets.records import Images, Split
from addersim.datasets.wanted import Takes, Wanted, class_names
from addersim.errors import DataError
from addersim.images import FEW, check_declared
from addersim.inputs.text import printable
from addersim.storage import load_array
from addersim.streamed import Streamed, kept

__all__ = ["SPLIT_FOLDERS", "first_images", "from_folder"]

SPLIT_FOLDERS: Mapping[Split, tuple[str, ...]] = MappingProxyType({"test": ("test", "val"), "train": ("train",)})
_ARRAY = ".npy"
_LOOKED_AT = 32
"""Pictures that tell whether all are grey."""


def from_folder(path: Path, split: Split, wanted: Wanted) -> Images | None:
    """The images of a split; None where those of training are not apart."""
    if tables := parquet_files(path):
        return from_files(path, tables, split, wanted)
    apart = {name: next((path / one for one in names if (path / one).is_dir()), None) for name, names in SPLIT_FOLDERS.items()}
    if all(apart.values()):
        return _labelled(apart[split] or path, path, wanted)
    return None if split == "train" else _labelled(path, path, wanted)


def _labelled(folder: Path, root: Path, wanted: Wanted) -> Images:
    """Images of a folder, with the numbers of their classes where they lie in folders of classes."""
    network = wanted.network
    suffixes = SUFFIXES | {_ARRAY}
    classes = class_folders(folder)
    flat = pictures_in(folder, suffixes)
    if classes and flat:
        raise DataError(
            f"{folder}: holds pictures such as {printable(flat[0].name)} beside folders such as {printable(classes[0].name)}; "
            "expected one folder a class, or pictures alone"
        )
    listed = next((names for at in (folder, root) if (names := class_list(at))), None)
    numbers = class_numbers(folder, [one.name for one in classes], network, wanted.warned, listed) if classes else [-1]
    held = [pictures_in(one, suffixes) for one in classes] if classes else [flat]
    if empty := next((one for one, pictures in zip(classes or [folder], held, strict=True) if not pictures), None):
        expected = "files that end in .png, .jpg, .jpeg or, as arrays, .npy"
        raise DataError(f"{empty}: holds no pictures{_instead(empty)}; expected {expected}")
    if left := next((inner for one in classes for inner in class_folders(one)), None):
        wanted.warned.append(
            f"what lies in {printable(str(left))} is left out: pictures stand in the folder of their class itself"
        )
    found = list(in_turn(held))
    chosen = [found[place] for place in wanted.part.of(len(found))]
    if any(path.suffix.lower() in SUFFIXES for path, _ in chosen):
        _check_pictures(folder, network)

    def read(places: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        images: npt.NDArray[Any] = np.stack([_read(chosen[place][0], wanted) for place in places])
        return images

    first = read(np.arange(min(len(chosen), FEW)))
    check_declared(first, network.preprocessing, str(folder))
    pixels = kept(Streamed(str(folder), (len(chosen), *first.shape[1:]), first.dtype, read))
    labels = np.array([numbers[place] for _, place in chosen], np.int64) if classes else None
    return Images(str(folder), pixels, labels, class_names(network))


def _instead(folder: Path) -> str:
    """What a folder without pictures holds: the first of its files, or a folder in it."""
    first = next((one for one in sorted(folder.iterdir()) if not one.name.startswith(".")), None)
    return "" if first is None else f" but {'the folder ' if first.is_dir() else ''}{printable(first.name)}"


def _read(path: Path, wanted: Wanted) -> npt.NDArray[Any]:
    """One image."""
    if path.suffix.lower() == _ARRAY:
        one: npt.NDArray[Any] = taken(str(path), load_array(path, DataError)[None], wanted)[0]
        return one
    pixels: npt.NDArray[Any] = picture_as_it_is(path, wanted.network.input_shape, wanted.resize)
    return pixels


def _check_pictures(folder: Path, network: Takes) -> None:
    channels, *size = network.input_shape
    if len(size) != 2 or channels not in (1, 3):
        raise DataError(
            f"{folder}: pictures have 1 or 3 channels, height and width; {network.name} takes {network.input_shape}: "
            "give .npz, or .npy files of one image each"
        )


def first_images(folder: Path) -> tuple[int, ...]:
    """Sizes of the first image of a folder, channels first; colour where one of the first pictures is coloured."""
    suffixes = SUFFIXES | {_ARRAY}
    within = class_folders(folder) or [folder]
    paths = [path for path, _ in islice(in_turn([pictures_in(one, suffixes) for one in within]), _LOOKED_AT)]
    if not paths:
        raise DataError(f"{folder}: holds no pictures; expected one folder a class")
    if paths[0].suffix.lower() == _ARRAY:
        sizes = load_array(paths[0], DataError).shape
        return sizes if len(sizes) != 2 else (1, *sizes)
    found = [picture_size(path) for path in paths]
    return (max(channels for channels, _, _ in found), *found[0][1:])
