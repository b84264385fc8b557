"""Images by what a user says of them: a known set, a file or folder of theirs, or what comes with the package and fits."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np

from addersim.datasets.own import FoundImages, Takes, load_own
from addersim.datasets.pictures import RESIZED, resized
from addersim.datasets.records import Images, Split
from addersim.datasets.registry import DATASETS, load, unknown_data
from addersim.errors import DataError
from addersim.format_quantity import how_many
from addersim.inputs.limits import shown

__all__ = ["CALIBRATION_IMAGES", "DEFAULT", "NO_DATA", "default_data", "find_images"]

_LOG = logging.getLogger(__name__)

CALIBRATION_IMAGES = 256
DEFAULT = "fashion-mnist-2000"
"""The set that comes with the package."""
NO_DATA = "none"
_OWN = "your own .npz, .npy, .parquet, .csv or folder of pictures"


def default_data(network: Takes) -> str:
    """The set that comes with the package, or `NO_DATA` where its images or classes are not the network's."""
    ours = DATASETS[DEFAULT]
    if network.input_shape != ours.shape or network.classes not in ((), ours.classes):
        return NO_DATA
    return DEFAULT if network.outputs == len(ours.classes) else NO_DATA


def find_images(
    data: str | None,
    root: str | Path | None,
    network: Takes,
    split: Split = "test",
    limit: int | None = None,
    resize: bool = False,
) -> FoundImages:
    """Images of a split as a network takes them: ``test``, or ``train``, which calibrate.

    No test image has a part in choosing a format, unless a file or folder has no training images: then a warning says so.

    Parameters
    ----------
    data
        A key of `DATASETS`, which wins over a file of the same name; a file or folder, see `load_own`; None: `default_data`.
    root
        Folder of a known set's files.
    network, split, limit, resize
        As in `load_own`.

    Raises
    ------
    DataError
        For no images at all, a set that is not known, images that the network does not take, and what the readers refuse.
    """
    name = default_data(network) if data is None else data
    if name == NO_DATA:
        raise DataError(f"{network.name}: takes {_wanted(network)}; name some with --data: {_fitting(network)}")
    if name in DATASETS:
        _LOG.info("%s images: set %s%s", split, name, "" if root is None else f" in {root}")
        return _known(name, root, network, split, limit, resize, guessed=data is None and not network.classes)
    if root is not None:
        raise DataError(f"root: {shown(str(root))} is a folder of a known set's files, and {shown(name)} is no known set")
    if not os.path.lexists(name):
        raise unknown_data(name)
    _LOG.info("%s images: %s", split, name)
    return load_own(name, network, split, limit, resize)


def _known(
    name: str, root: str | Path | None, network: Takes, split: Split, limit: int | None, resize: bool, guessed: bool
) -> FoundImages:
    """Images of a set of the registry; of another size only where they are to be resized."""
    shape, wanted = DATASETS[name].shape, network.input_shape
    another = shape != wanted
    if another and not (resize and len(wanted) == 3 and shape[0] == wanted[0]):
        advice = " (or --resize)" if len(wanted) == 3 and shape[0] == wanted[0] else ""
        found = f"images of {' x '.join(map(str, shape))}"
        raise DataError(f"data {name}: {found}; {network.name} takes {_wanted(network)}{advice}: {_fitting(network)}")
    images = load(name, root, split, limit)
    if another:
        pixels = resized(np.asarray(images.pixels, np.uint8), wanted[1:], name)
        images = Images(name, pixels, images.labels, images.classes)
    kind = "training" if split == "train" else "test"
    warned = (f"{network.name} does not say what its classes are: {name} is a guess (--data)",) if guessed else ()
    how = f", {RESIZED}" if another else ""
    return FoundImages(images, f"first {how_many(len(images), f'{kind} images')} of {name}{how}", warned)


def _wanted(network: Takes) -> str:
    return f"images of {' x '.join(map(str, network.input_shape))} in {network.outputs} classes"


def _fitting(network: Takes) -> str:
    known = DATASETS.values()
    fit = [one.name for one in known if one.shape == network.input_shape and len(one.classes) == network.outputs]
    return ", ".join([*fit, _OWN])
