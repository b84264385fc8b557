"""Where the files of an image set lie below its folder, and how they are put together: one function a layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from addersim.datasets.classes import LISTS, class_list
from addersim.datasets.pictures import picture
from addersim.datasets.readers import Bytes, idx, python_batch, records
from addersim.datasets.records import Dataset, Split
from addersim.errors import DataError
from addersim.inputs.opening import parsing
from addersim.storage import load_arrays
from addersim.streamed import Streamed, kept

__all__ = [
    "SUFFIXES",
    "cifar_layout",
    "class_folders",
    "decoded",
    "embedded_layout",
    "folder_layout",
    "idx_layout",
    "in_turn",
    "pictures_in",
]

Labels = npt.NDArray[np.int64]

SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
LEFT = frozenset({"__MACOSX", "@eaDir", "lost+found", "System Volume Information"})
"""Folders that archives, shares and disks leave beside others."""


def _find(dataset: Dataset, root: Path, names: Iterable[str]) -> list[Path] | None:
    """Paths of all the names, plain or gzipped, in the root or one of the set's folders; None where one is missing."""
    names = tuple(names)
    for folder in (root, *(root / below for below in dataset.folders)):
        found = [next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None) for name in names]
        if all(found):
            return [path for path in found if path]
    return None


def _missing(dataset: Dataset, root: Path, names: Iterable[str]) -> DataError:
    where = " or ".join(str(folder) for folder in (root, *(root / below for below in dataset.folders)))
    return DataError(
        f"data set {dataset.name}: {', '.join(names)} (plain or .gz) not found in {where}; "
        f"get the files from {dataset.source} and name their folder as root"
    )


def idx_layout(dataset: Dataset, root: Path, split: Split, limit: int | None) -> tuple[Bytes, Bytes]:
    prefix = "train" if split == "train" else "t10k"
    names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    paths = _find(dataset, root, names)
    if paths is None:
        raise _missing(dataset, root, names)
    count = dataset.counts[split]
    pixels = idx(paths[0], (count, *dataset.shape[1:]), dataset.checksum(paths[0]))
    return pixels.reshape(count, *dataset.shape), idx(paths[1], (count,), dataset.checksum(paths[1]))


def cifar_layout(dataset: Dataset, root: Path, split: Split, limit: int | None) -> tuple[Bytes, Bytes]:
    """CIFAR's binary files, or else its python batches."""
    hundred = len(dataset.classes) == 100
    if hundred:
        batches: tuple[str, ...] = (split,)
    else:
        batches = tuple(f"data_batch_{part}" for part in range(1, 6)) if split == "train" else ("test_batch",)
    rows = dataset.counts[split] // len(batches)
    pixel_count = int(np.prod(dataset.shape))
    binaries = [f"{batch}.bin" for batch in batches]
    if paths := _find(dataset, root, binaries):
        label_bytes = 2 if hundred else 1  # CIFAR-100: coarse label, then fine label
        parts = [records(path, rows, label_bytes + pixel_count, dataset.checksum(path)) for path in paths]
        pairs = [(part[:, label_bytes:], part[:, label_bytes - 1]) for part in parts]
    elif paths := _find(dataset, root, batches):
        key = "fine_labels" if hundred else "labels"
        pairs = [python_batch(path, rows, pixel_count, key, dataset.checksum(path)) for path in paths]
    else:
        raise _missing(dataset, root, (*binaries, *batches))
    pixels = np.concatenate([pixels for pixels, _ in pairs]).reshape(-1, *dataset.shape)
    return pixels, np.concatenate([labels for _, labels in pairs])


def embedded_layout(dataset: Dataset, root: Path, split: Split, limit: int | None) -> tuple[Bytes, Bytes]:
    path = root / f"{dataset.name.replace('-', '_')}.npz"
    count = dataset.counts[split]
    stored = load_arrays(path, DataError)
    with parsing(str(path), "damaged or unreadable: lacks an array", DataError):
        pixels, labels = stored[f"{split}_pixels"], stored[f"{split}_labels"]
    if pixels.shape != (count, *dataset.shape) or labels.shape != (count,):
        raise DataError(f"{path}: holds {pixels.shape} and {labels.shape}, expected {(count, *dataset.shape)} and {(count,)}")
    return pixels, labels


def folder_layout(dataset: Dataset, root: Path, split: Split, limit: int | None) -> tuple[Bytes | Streamed, Labels]:
    """One folder a class, below ``train`` and ``val``; classes in the order of their folders' names, or of a list beside.

    Of a part of the classes the list says which they are, or the folders of the other split.
    """
    folder, other = (root / name for name in (("train", "val") if split == "train" else ("val", "train")))
    classes = class_folders(folder) if folder.is_dir() else []
    beside = [path.name for path in class_folders(other)] if other.is_dir() else []
    names = class_list(root) or tuple(sorted({*beside, *(path.name for path in classes)}))
    known = {name: number for number, name in enumerate(names)}
    if len(names) != len(dataset.classes) or not classes or not all(path.name in known for path in classes):
        raise DataError(
            f"data set {dataset.name}: {folder} holds {len(classes)} folders, expected one for each of "
            f"{len(dataset.classes)} classes; get the pictures from {dataset.source}, or, for a part of the classes, list "
            f"all of them, one a line, in {root / LISTS[0]}"
        )
    chosen = list(islice(in_turn(map(pictures_in, classes)), limit))
    pixels = decoded(
        f"data set {dataset.name}", [path for path, _ in chosen], dataset.shape, lambda path: picture(path, dataset.shape[1])
    )
    return pixels, np.array([known[classes[place].name] for _, place in chosen], np.int64)


def class_folders(folder: Path) -> list[Path]:
    """Folders in a folder, in the order of their names; without those that are hidden or that archives and shares leave."""
    return sorted(one for one in folder.iterdir() if one.is_dir() and one.name not in LEFT and not one.name.startswith("."))


def pictures_in(folder: Path, suffixes: Set[str] = SUFFIXES) -> list[Path]:
    """Pictures of a folder, in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))


def in_turn(classes: Iterable[Iterable[Path]]) -> Iterator[tuple[Path, int]]:
    """The first pictures of all classes with the class, then the second ones, so that a limit leaves every class its share."""
    together = zip_longest(*([(path, label) for path in one] for label, one in enumerate(classes)))
    return (pair for pair in chain.from_iterable(together) if pair)


def decoded(where: str, paths: Sequence[Path], shape: tuple[int, ...], read: Callable[[Path], Bytes]) -> Bytes | Streamed:
    """Pictures of one shape: few of them in one array, many of them read when they are asked for."""

    def at(places: npt.NDArray[np.intp]) -> Bytes:
        pixels = np.empty((len(places), *shape), np.uint8)
        for place, number in enumerate(places):
            pixels[place] = read(paths[number])
        return pixels

    return kept(Streamed(where, (len(paths), *shape), np.uint8, at))
