"""Image sets: the official files of MNIST, Fashion-MNIST and CIFAR, read from a folder and checked to the byte."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from addersim.datafiles import Bytes, idx, python_batch, records
from addersim.errors import DataError

__all__ = ["DATASETS", "Dataset", "Images", "Split", "load", "read"]

Split = Literal["train", "test"]

_FASHION = ("t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
    forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
    mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Labelled images of one size.

    Attributes
    ----------
    name
        The set they come from.
    pixels
        uint8 of shape (images, channels, height, width).
    labels
        int64 of shape (images,), indices into `classes`.
    classes
        Names of the classes.

    Raises
    ------
    DataError
        For no images, another type or shape, or a label that names no class.
    """

    name: str
    pixels: Bytes
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        name, pixels, labels = self.name, self.pixels, self.labels
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.size == 0:
            expected = "uint8 of shape (images, channels, height, width)"
            raise DataError(f"{name}: pixels are {pixels.dtype} of shape {pixels.shape}, expected {expected}")
        if labels.dtype != np.int64 or labels.shape != pixels.shape[:1]:
            expected = f"int64 of shape {pixels.shape[:1]}"
            raise DataError(f"{name}: labels are {labels.dtype} of shape {labels.shape}, expected {expected}")
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if wrong.size:
            where = f"label {labels[wrong[0]]} of image {wrong[0]}"
            raise DataError(f"{name}: {where} is outside 0..{len(self.classes) - 1} ({wrong.size} such labels)")

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, limit: int | None) -> Images:
        """The first `limit` images (all of them where there are fewer, or for None)."""
        if limit is None:
            return self
        if limit < 1:
            raise DataError(f"{self.name}: a limit of {limit} images; needs at least 1")
        return Images(self.name, self.pixels[:limit], self.labels[:limit], self.classes)


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
        Reader of the stored files: ``layout(dataset, root, split)``.
    folders
        Folders under the root in which the files may also lie.
    source
        Where to get the set.
    default_root
        Folder that is read where the user names none.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    counts: Mapping[str, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Callable[[Dataset, Path, Split], tuple[Bytes, Bytes]]
    folders: tuple[str, ...] = ()
    source: str = ""
    default_root: Path | None = None


def load(name: str, root: str | Path | None = None, split: Split = "test", limit: int | None = None) -> Images:
    """Read a set of the registry from the folder that holds its official files.

    Parameters
    ----------
    name
        A key of `DATASETS`.
    root
        Folder of the files, plain or gzipped. None: the set's default root, where it has one.
    split
        ``train`` or ``test``.
    limit
        Keep the first so many images; None keeps all.

    Raises
    ------
    DataError
        For an unknown set or split, and for files that are missing, damaged, or not what the set holds.

    Examples
    --------
    >>> images = load("fashion-mnist-2000", limit=3)
    >>> images.pixels.shape, [images.classes[label] for label in images.labels]
    ((3, 1, 28, 28), ['ankle boot', 'pullover', 'trouser'])
    """
    if name not in DATASETS:
        raise DataError(f"data set: {name!r} is not known; known: {', '.join(DATASETS)}")
    return read(DATASETS[name], root, split, limit)


def read(dataset: Dataset, root: str | Path | None = None, split: Split = "test", limit: int | None = None) -> Images:
    """Read a set that its record describes; arguments and errors as in `load`."""
    if split not in dataset.counts:
        raise DataError(f"data set {dataset.name}: no split {split!r}; it has {', '.join(dataset.counts)}")
    folder = Path(root) if root is not None else dataset.default_root
    if folder is None:
        raise DataError(
            f"data set {dataset.name}: name the folder that holds its files (--root); they come from {dataset.source}"
        )
    pixels, labels = dataset.layout(dataset, folder, split)
    return Images(dataset.name, pixels, labels.astype(np.int64), dataset.classes).first(limit)


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


def _idx_layout(dataset: Dataset, root: Path, split: Split) -> tuple[Bytes, Bytes]:
    prefix = "train" if split == "train" else "t10k"
    names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    paths = _find(dataset, root, names)
    if paths is None:
        raise _missing(dataset, root, names)
    count = dataset.counts[split]
    return idx(paths[0], (count, *dataset.shape[1:])).reshape(count, *dataset.shape), idx(paths[1], (count,))


def _cifar_layout(dataset: Dataset, root: Path, split: Split) -> tuple[Bytes, Bytes]:
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
        parts = [records(path, rows, label_bytes + pixel_count) for path in paths]
        pairs = [(part[:, label_bytes:], part[:, label_bytes - 1]) for part in parts]
    elif paths := _find(dataset, root, batches):
        pairs = [python_batch(path, rows, pixel_count, "fine_labels" if hundred else "labels") for path in paths]
    else:
        raise _missing(dataset, root, (*binaries, *batches))
    pixels = np.concatenate([pixels for pixels, _ in pairs]).reshape(-1, *dataset.shape)
    return pixels, np.concatenate([labels for _, labels in pairs])


def _embedded_layout(dataset: Dataset, root: Path, split: Split) -> tuple[Bytes, Bytes]:
    path = root / f"{dataset.name.replace('-', '_')}.npz"
    count = dataset.counts[split]
    try:
        with np.load(path, allow_pickle=False) as stored:
            pixels, labels = stored[f"{split}_pixels"], stored[f"{split}_labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged or unreadable: {error}") from None
    if pixels.shape != (count, *dataset.shape) or labels.shape != (count,):
        raise DataError(f"{path}: holds {pixels.shape} and {labels.shape}, expected {(count, *dataset.shape)} and {(count,)}")
    return pixels, labels


def _registry(*datasets: Dataset) -> Mapping[str, Dataset]:
    return MappingProxyType({dataset.name: dataset for dataset in datasets})


_MNIST_COUNTS = MappingProxyType({"train": 60_000, "test": 10_000})
_CIFAR_COUNTS = MappingProxyType({"train": 50_000, "test": 10_000})
_FASHION_STATISTICS: Mapping[str, Any] = MappingProxyType({"mean": (0.2860,), "std": (0.3530,)})
assert get_args(Split) == tuple(_MNIST_COUNTS)

DATASETS: Mapping[str, Dataset] = _registry(
    Dataset(
        "mnist",
        "MNIST",
        (1, 28, 28),
        _MNIST_COUNTS,
        tuple("0123456789"),
        mean=(0.1307,),
        std=(0.3081,),
        layout=_idx_layout,
        folders=("MNIST/raw",),
        source="https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    Dataset(
        "fashion-mnist",
        "Fashion-MNIST",
        (1, 28, 28),
        _MNIST_COUNTS,
        _FASHION,
        **_FASHION_STATISTICS,
        layout=_idx_layout,
        folders=("FashionMNIST/raw",),
        source="https://github.com/zalandoresearch/fashion-mnist or Debian's package dataset-fashion-mnist",
        default_root=Path("/usr/share/datasets/fashion-mnist"),
    ),
    Dataset(
        "fashion-mnist-2000",
        "Fashion-MNIST, the first 2,000 test and 256 training images",
        (1, 28, 28),
        MappingProxyType({"train": 256, "test": 2_000}),
        _FASHION,
        **_FASHION_STATISTICS,
        layout=_embedded_layout,
        source="this package",
        default_root=Path(__file__).parent / "data",
    ),
    Dataset(
        "cifar10",
        "CIFAR-10",
        (3, 32, 32),
        _CIFAR_COUNTS,
        _CIFAR10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        layout=_cifar_layout,
        folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    Dataset(
        "cifar100",
        "CIFAR-100",
        (3, 32, 32),
        _CIFAR_COUNTS,
        _CIFAR100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        layout=_cifar_layout,
        folders=("cifar-100-binary", "cifar-100-python"),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
)
