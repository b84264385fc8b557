"""A user's own images, for a network: arrays in an .npz or .npy, or a folder of pictures.

Which of them calibrate and which are tested is decided here, once for all verbs: see `load_own`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from addersim.datasets.layouts import decoded, in_turn, pictures_in
from addersim.datasets.readers import picture_as_it_is
from addersim.datasets.records import Images, Split
from addersim.errors import DataError
from addersim.format_quantity import how_many
from addersim.images import Preprocessing, Shape, arranged, check_declared, check_images
from addersim.inputs.limits import shown
from addersim.inputs.text import printable
from addersim.storage import load_array, load_arrays

__all__ = ["FoundImages", "Takes", "load_own"]

Array = npt.NDArray[Any]

NAMES: Mapping[Split, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "test": (("images", "labels"), ("test_images", "test_labels"), ("x_test", "y_test")),
        "train": (("train_images", "train_labels"), ("x_train", "y_train")),
    }
)
"""Arrays of an .npz, images and labels: ours, those of MedMNIST, those of Keras."""
SPLIT_FOLDERS: Mapping[Split, tuple[str, ...]] = MappingProxyType({"test": ("test", "val"), "train": ("train",)})
_MOST_NAMED = 5


class Takes(Protocol):
    """What is asked of a network or a program: which images it takes."""

    @property
    def name(self) -> str: ...
    @property
    def input_shape(self) -> Shape: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> int: ...
    @property
    def preprocessing(self) -> Preprocessing: ...


@dataclass(frozen=True, slots=True)
class FoundImages:
    """Images as a network takes them.

    Attributes
    ----------
    images
        Of one split.
    words
        Which they are.
    warnings
        What makes accuracies on them doubtful, a line each.
    """

    images: Images
    words: str
    warnings: tuple[str, ...] = ()


def load_own(path: str | Path, network: Takes, split: Split = "test", limit: int | None = None) -> FoundImages:
    """Read a user's images in the form that a network takes.

    Parameters
    ----------
    path
        An .npz of ``images`` and, where known, ``labels`` (see `NAMES`); an .npy of images; or a folder of JPEG and PNG files:
        one folder a class, in the order of their names or called as the network's classes, or all of them without labels.
    network
        A network or a program: its shape decides where the channels are, its classes bound the labels.
    split
        ``train``: arrays ``train_images`` or ``x_train``, a folder ``train`` beside ``test`` or ``val``; where there are none,
        the images to test, with a warning.
    limit
        Number of images to keep, from the first on.

    Raises
    ------
    DataError
        For files that are missing, damaged or too large; images that the network does not take, among them floats beyond the
        range that its mean and std declare; labels that are no classes.
    """
    where = Path(path)
    read = _from_folder if where.is_dir() else _READERS.get(where.suffix.lower())
    if read is None:
        raise DataError(f"{where}: found {shown(where.suffix)}; images come as .npz, .npy or a folder of pictures")
    warned: list[str] = []
    if split == "train":
        if (found := read(where, network, split, limit, warned)) is not None:
            return FoundImages(found, f"first {how_many(len(found), 'training images')} of {where}", tuple(warned))
        warned.append(f"{where} has no training images: its first ones choose the scales and are tested too; {_ADVICE}")
    if (found := read(where, network, "test", limit, warned)) is None:
        raise DataError(f"{where}: holds no images")
    return FoundImages(found, f"first {how_many(len(found), 'images')} of {where}", tuple(warned))


_PIXELS = "uint8 pixels of 0..255, or prepared floats"
_ADVICE = "give others as train_images in an .npz, or folders train and test"


def _from_npz(path: Path, network: Takes, split: Split, limit: int | None, warned: list[str]) -> Images | None:
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
    return _checked(where, arrays[images], network, limit, arrays.get(labels))


def _from_npy(path: Path, network: Takes, split: Split, limit: int | None, warned: list[str]) -> Images | None:
    return None if split == "train" else _checked(str(path), load_array(path, DataError), network, limit)


def _checked(where: str, images: Array, network: Takes, limit: int | None, labels: Array | None = None) -> Images:
    """The first images as a network takes them, with their labels."""
    if images.ndim == 0 or len(images) == 0:
        raise DataError(f"{where}: holds no images")
    if labels is not None:
        labels = _as_numbers(where, labels, len(images))[:limit]
    images = images[:limit]
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            images = images.astype(np.float32, copy=False)
    elif images.dtype.name not in network.preprocessing.taken:
        pixels = images.dtype.kind in "iu" and images.size and images.min() >= 0 and images.max() <= 255
        advice = "; save them as images.astype('uint8')" if pixels and not network.preprocessing.codes else ""
        expected = network.preprocessing.taken_in_words if network.preprocessing.codes else _PIXELS
        raise DataError(f"{where}: images are {images.dtype}; expected {expected}{advice}")
    placed = arranged(images, network.input_shape, where)
    _check_size(where, placed, network)
    check_images(placed, network.input_shape, network.preprocessing, where)
    check_declared(placed, network.preprocessing, where)
    return Images(where, np.ascontiguousarray(placed), labels, _classes(network))


def _check_size(where: str, images: Array, network: Takes) -> None:
    """Refuse pictures of another height and width: they are not resized here, since training decides how."""
    channels, *size = network.input_shape
    if images.ndim != 4 or len(size) != 2:
        return
    for found, given in ((images.shape[1], images.shape[2:]), (images.shape[3], images.shape[1:3])):
        if found == channels and list(given) != size:
            told = f"images are {given[0]} x {given[1]}, {network.name} takes {size[0]} x {size[1]} (height x width)"
            raise DataError(f"{where}: {told}; resize them as in training, with Pillow's image.resize or torchvision's Resize")


def _classes(network: Takes) -> tuple[str, ...]:
    return network.classes or tuple(map(str, range(network.outputs)))


def _as_numbers(where: str, labels: Array, images: int) -> npt.NDArray[np.int64]:
    """Labels as one whole number an image."""
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.dtype.kind not in "iu" or flat.shape != (images,):
        advice = "; labels.argmax(axis=1) gives them" if labels.ndim == 2 and len(labels) == images else ""
        raise DataError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}; expected whole numbers of shape ({images},), one "
            f"class an image{advice}"
        )
    return flat.astype(np.int64)


def _from_folder(path: Path, network: Takes, split: Split, limit: int | None, warned: list[str]) -> Images | None:
    channels, *size = network.input_shape
    if len(size) != 2 or channels not in (1, 3):
        raise DataError(
            f"{path}: pictures have 1 or 3 channels, height and width; {network.name} takes {network.input_shape}: give .npz"
        )
    apart = {name: next((path / one for one in names if (path / one).is_dir()), None) for name, names in SPLIT_FOLDERS.items()}
    if all(apart.values()):
        return _pictures(apart[split] or path, network, limit, warned)
    return None if split == "train" else _pictures(path, network, limit, warned)


def _pictures(folder: Path, network: Takes, limit: int | None, warned: list[str]) -> Images:
    """Pictures of a folder, with the numbers of their classes where they lie in folders of classes."""
    classes = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    flat = pictures_in(folder)
    if classes and flat:
        raise DataError(
            f"{folder}: holds pictures such as {printable(flat[0].name)} beside folders such as {printable(classes[0].name)}; "
            "expected one folder a class, or pictures alone"
        )
    numbers = _class_numbers(folder, [one.name for one in classes], network, warned) if classes else [-1]
    held = [pictures_in(one) for one in classes] if classes else [flat]
    if empty := next((one for one, pictures in zip(classes or [folder], held, strict=True) if not pictures), None):
        raise DataError(f"{empty}: holds no pictures; expected files that end in .png, .jpg or .jpeg")
    chosen = list(islice(in_turn(held), limit))
    shape = network.input_shape
    pixels = decoded(str(folder), [path for path, _ in chosen], shape, lambda path: picture_as_it_is(path, shape))
    labels = np.array([numbers[place] for _, place in chosen], np.int64) if classes else None
    return Images(str(folder), pixels, labels, _classes(network))


def _class_numbers(folder: Path, names: Sequence[str], network: Takes, warned: list[str]) -> list[int]:
    """The class of each folder: the network's of that name, or else its place in the order of the names."""
    same = _letters if len(set(map(_letters, network.classes))) == len(network.classes) else str
    known = {same(name): number for number, name in enumerate(network.classes)}
    strange = [name for name in names if same(name) not in known]
    if not strange:
        return [known[same(name)] for name in names]
    if len(strange) < len(names):
        raise DataError(
            f"{folder}: folder {shown(strange[0])} is no class of {network.name}, the others are; "
            f"its classes: {', '.join(network.classes[:20])}"
        )
    if len(names) != network.outputs:
        raise DataError(
            f"{folder}: holds {len(names)} folders ({', '.join(map(printable, names[:_MOST_NAMED]))}, ...), expected one for "
            f"each of the {network.outputs} classes of {network.name}" + ("; or call them as its classes" if known else "")
        )
    numbered = all(name.isdecimal() for name in names)
    if numbered and (by_number := sorted(names, key=int)) != list(names):
        warned.append(
            f"classes are the folders in the order of their names as text ({', '.join(names[:3])}, ...), as torchvision's "
            f"ImageFolder has it, not as numbers ({', '.join(by_number[:3])}, ...); zeros in front make both the same"
        )
    elif known and not numbered:
        warned.append(
            f"no folder is called as a class of {network.name} ({', '.join(network.classes[:3])}, ...): they are taken as its "
            "classes in the order of their names"
        )
    return list(range(len(names)))


def _letters(name: str) -> str:
    """A class's name without what differs where it becomes a folder's."""
    return "".join(one for one in name.casefold() if one.isalnum())


_READERS = MappingProxyType({".npz": _from_npz, ".npy": _from_npy})
"""What reads a file, by its suffix: the images of a split, or None where they are not apart; warnings are added."""
