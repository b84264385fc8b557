"""Image sets: the official files of MNIST, Fashion-MNIST and CIFAR, read from a folder and checked to the byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import numpy as np

from addersim.datasets.layouts import cifar_layout, embedded_layout, folder_layout, idx_layout
from addersim.datasets.records import Dataset, Images, Split
from addersim.errors import DataError
from addersim.inputs.limits import shown
from addersim.inputs.opening import near_file
from addersim.inputs.text import did_you_mean

__all__ = ["DATASETS", "load", "read", "unknown_data"]


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
        Number of images to keep, from the first on; None keeps all.

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
        raise DataError(f"data set: {name!r} is not known; known: {', '.join(DATASETS)}{did_you_mean(name, DATASETS)}")
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
    pixels, labels = dataset.layout(dataset, folder, split, limit)
    return Images(dataset.name, pixels, labels.astype(np.int64), dataset.classes).first(limit)


def unknown_data(name: str) -> DataError:
    """What a name is told that is no set, no file and no folder."""
    known = f"known: {', '.join(DATASETS)}; nor is there such a file or folder{near_file(name, DATASETS)}"
    return DataError(f"data: {shown(name)} is not known; {known}")


def _registry(*datasets: Dataset) -> Mapping[str, Dataset]:
    return MappingProxyType({dataset.name: dataset for dataset in datasets})


def _checksums(text: str) -> Mapping[str, str]:
    """Pairs of file name and MD5."""
    words = text.split()
    return MappingProxyType(dict(zip(words[::2], words[1::2], strict=True)))


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
        layout=idx_layout,
        folders=("MNIST/raw",),
        source="https://ossci-datasets.s3.amazonaws.com/mnist/",
        checksums=_checksums("""
            train-images-idx3-ubyte 6bbc9ace898e44ae57da46a324031adb train-labels-idx1-ubyte a25bea736e30d166cdddb491f175f624
            t10k-images-idx3-ubyte 2646ac647ad5339dbf082846283269ea t10k-labels-idx1-ubyte 27ae3e4e09519cfbb04c329615203637
        """),
    ),
    Dataset(
        "fashion-mnist",
        "Fashion-MNIST",
        (1, 28, 28),
        _MNIST_COUNTS,
        _FASHION,
        **_FASHION_STATISTICS,
        layout=idx_layout,
        folders=("FashionMNIST/raw",),
        source="https://github.com/zalandoresearch/fashion-mnist or Debian's package dataset-fashion-mnist",
        default_root=Path("/usr/share/datasets/fashion-mnist"),
        checksums=_checksums("""
            train-images-idx3-ubyte f4a8712d7a061bf5bd6d2ca38dc4d50a train-labels-idx1-ubyte 9018921c3c673c538a1fc5bad174d6f9
            t10k-images-idx3-ubyte 8181f5470baa50b63fa0f6fddb340f0a t10k-labels-idx1-ubyte 15d484375f8d13e6eb1aabb0c3f46965
        """),
    ),
    Dataset(
        "fashion-mnist-2000",
        "Fashion-MNIST, the first 2,000 test and 256 training images",
        (1, 28, 28),
        MappingProxyType({"train": 256, "test": 2_000}),
        _FASHION,
        **_FASHION_STATISTICS,
        layout=embedded_layout,
        source="this package",
        default_root=Path(__file__).parents[1] / "data",
    ),
    Dataset(
        "cifar10",
        "CIFAR-10",
        (3, 32, 32),
        _CIFAR_COUNTS,
        _CIFAR10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        layout=cifar_layout,
        folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        checksums=_checksums("""
            data_batch_1 c99cafc152244af753f735de768cd75f data_batch_2 d4bba439e000b95fd0a9bffe97cbabec
            data_batch_3 54ebc095f3ab1f0389bbae665268c751 data_batch_4 634d18415352ddfa80567beed471001a
            data_batch_5 482c414d41f54cd18b22e5b47cb7c3cb test_batch 40351d587109b95175f43aff81a1287e
        """),
    ),
    Dataset(
        "cifar100",
        "CIFAR-100",
        (3, 32, 32),
        _CIFAR_COUNTS,
        _CIFAR100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        layout=cifar_layout,
        folders=("cifar-100-binary", "cifar-100-python"),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        checksums=_checksums("train 16019d7e3df5f24257cddd939b257f8d test f0ef6b0ae62326f3e7ffdfab6717acfc"),
    ),
    Dataset(
        "imagenet",
        "ImageNet (ILSVRC 2012)",
        (3, 224, 224),
        MappingProxyType({"train": 1_281_167, "test": 50_000}),
        tuple(f"class {number}" for number in range(1000)),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        layout=folder_layout,
        source="https://image-net.org, in folders train and val with one folder a class",
    ),
)
