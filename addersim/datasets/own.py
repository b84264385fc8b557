"""A user's own images, for a network: arrays in an .npz or .npy, tables in .parquet or .csv, or a folder of pictures.

Which of them calibrate and which are tested is decided here, once for all verbs: see `load_own`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from addersim.datasets.arrays import from_npy, from_npz
from addersim.datasets.folders import from_folder
from addersim.datasets.parquet import from_parquet
from addersim.datasets.pictures import RESIZED
from addersim.datasets.records import Images, Split
from addersim.datasets.registry import DATASETS
from addersim.datasets.text_tables import from_csv
from addersim.datasets.wanted import Drawn, FoundImages, Part, Takes, Wanted
from addersim.errors import DataError
from addersim.format_quantity import how_many
from addersim.inputs.limits import shown

__all__ = ["FoundImages", "Takes", "find_reader", "load_own"]

_ADVICE = "give others as train_images in an .npz, or folders train and test"
Reader = Callable[[Path, Split, Wanted], Images | None]
_READERS: MappingProxyType[str, Reader] = MappingProxyType(
    {".npz": from_npz, ".npy": from_npy, ".parquet": from_parquet, ".csv": from_csv}
)
"""What reads a file, by its suffix: the images of a split, or None where they are not apart; warnings are added."""


_DOTTED: MappingProxyType[str, str] = MappingProxyType({name: f".{os.sep}{name}" for name in DATASETS})
"""What tells a folder from the known set of its name; a path has lost its ``./``."""


def load_own(
    path: str | Path, network: Takes, split: Split = "test", limit: int | None = None, resize: bool = False
) -> FoundImages:
    """Read a user's images in the form that a network takes; many of them are read while they are used, and never kept.

    Parameters
    ----------
    path
        An .npz of ``images`` and, where known, ``labels``; an .npy of images; a .parquet of images or numbers; a .csv of
        numbers below a line of names, ``label`` among them where classes are known; or a folder of JPEG, PNG and .npy files:
        one folder a class, in the order of their names, called as the network's classes or as the lines of a
        ``classes.txt``, or all of them without labels.
    network
        A network or a program: its shape decides where the channels are, its classes bound the labels.
    split
        ``train``: arrays ``train_images`` or ``x_train``, a folder ``train`` beside ``test`` or ``val``, files
        ``train*.parquet``; where there are none, a part of the images to test that seed 0 draws, with a warning.
    limit
        Number of images to keep, from the first on.
    resize
        Whether pictures of another size are scaled by their shorter side and cut to the centre; otherwise they are refused.

    Raises
    ------
    DataError
        For files that are missing, damaged or too large; images that the network does not take, among them floats beyond the
        range that its mean and std declare; labels that are no classes.
    """
    where = Path(path)
    called = _DOTTED.get(str(where), str(where))
    read = find_reader(where)
    warned: list[str] = []
    how = f", {RESIZED}" if resize else ""
    if split == "train":
        if (found := read(where, split, Wanted(network, Part(limit), resize, warned))) is not None:
            return _told(found, called, f"first {how_many(len(found), 'training images')} of {called}{how}", warned)
        drawn = Drawn(limit)
        warned.append(f"{called} has no training images: {drawn} choose the scales and are tested too; {_ADVICE}")
        if (found := read(where, "test", Wanted(network, drawn, resize, warned))) is not None:
            return _told(found, called, f"{how_many(len(found), 'images')} of {called} that seed 0 draws{how}", warned)
    elif (found := read(where, "test", Wanted(network, Part(limit), resize, warned))) is not None:
        return _told(found, called, f"first {how_many(len(found), 'images')} of {called}{how}", warned)
    raise DataError(f"{where}: holds no images")


def _told(found: Images, called: str, words: str, warned: list[str]) -> FoundImages:
    """Images under the name by which the user means them."""
    named = found if called not in _DOTTED.values() else replace(found, name=called)
    return FoundImages(named, words, tuple(warned))


def find_reader(path: Path) -> Reader:
    """What reads a file or folder. Raises DataError for files of another kind."""
    read = from_folder if path.is_dir() else _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"{path}: found {shown(path.suffix)}; images come as .npz, .npy, .parquet, .csv or a folder of pictures"
        )
    return read
