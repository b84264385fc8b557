"""Own inputs in .csv: a line that names the columns, then an input a line, a number a column, and its class where it is known.

Numbers are features, prepared as in training, and pixels where the columns are called ``pixel...`` or ``3x28``.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.datasets.arrays import taken
from addersim.datasets.classes import LABELS, named_labels, numbered
from addersim.datasets.records import Images, Split
from addersim.datasets.wanted import Wanted, class_names
from addersim.errors import DataError
from addersim.format_quantity import how_many
from addersim.inputs.limits import shown
from addersim.inputs.opening import MAX_FILE_BYTES, open_file, parsing

__all__ = ["from_csv", "shape_and_classes"]

_SEPARATORS = ",;\t"
_PIXELS = re.compile(r"pixel.*|\d+x\d+", re.IGNORECASE)
"""Names of columns of pixels, as the usual files of digits have them."""
_LONGEST_HEADER = 16 << 20


def from_csv(path: Path, split: Split, wanted: Wanted) -> Images | None:
    """All rows, with their classes; None for training images."""
    if split == "train":
        return None
    where, network = str(path), wanted.network
    with open_file(path, MAX_FILE_BYTES, DataError) as file, parsing(where, "no table of numbers", DataError):
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        names, separator = _header(where, text.readline(_LONGEST_HEADER))
        label = _label(names)
        seen: dict[str, int] = {}
        converters: dict[int | str, Callable[[str], Any]] = (
            {} if label is None else {label: lambda cell: seen.setdefault(cell.strip(), len(seen))}
        )
        table = np.loadtxt(
            text, np.float32, comments=None, delimiter=separator, converters=converters, ndmin=2, encoding=None, quotechar='"'
        )
    if not table.size:
        raise DataError(f"{where}: holds no images")
    if table.shape[1] != len(names):
        raise DataError(f"{where}: the first line names {how_many(len(names), 'columns')}, the others have {table.shape[1]}")
    kept = np.array([place for place in range(len(names)) if place != label], np.intp)
    if len(kept) != (size := int(np.prod(network.input_shape))):
        beside = "" if label is None else f" beside {shown(names[label])}"
        raise DataError(
            f"{where}: {how_many(len(kept), 'columns')} of numbers{beside}; "
            f"{network.name} takes {size}, of shape {network.input_shape}; the class is the column {' or '.join(LABELS)}"
        )
    places = wanted.part.of(len(table))
    values = _typed(where, table[places[:, None], kept], [names[place] for place in kept], wanted)
    try:
        pixels = taken(where, values.reshape(-1, *network.input_shape), wanted)
    except DataError as error:
        whole = values.min() >= 0 and values.max() <= 255 and not (values % 1).any()
        raise (
            DataError(f"{error}; columns of pixels are called pixel0, pixel1, ... or 1x1, 1x2, ...") if whole else error
        ) from None
    found = None if label is None else _labels(path, table[:, label], list(seen), wanted)[places]
    return Images(where, pixels, found, class_names(network))


def shape_and_classes(path: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Sizes of an image, as the names of its columns say them, and names of the classes, for training.

    Raises
    ------
    DataError
        For a table without a class a row, or whose columns are not called as pixels of one grey picture.
    """
    where = str(path)
    with open_file(path, MAX_FILE_BYTES, DataError) as file, parsing(where, "no table of numbers", DataError):
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        names, separator = _header(where, text.readline(_LONGEST_HEADER))
        label = _label(names)
        if label is None:
            raise DataError(f"data {where}: training needs a column of classes, called {' or '.join(LABELS)}")
        cells = {row[label].strip() for row in csv.reader(text, delimiter=separator) if row}
    if not cells:
        raise DataError(f"{where}: holds no images")
    sizes = _picture_of([name for place, name in enumerate(names) if place != label])
    if sizes is None:
        raise DataError(
            f"data {where}: training takes pixels of grey pictures: columns called 1x1, 1x2, ... (row x column), or pixel0, "
            "pixel1, ... of a square; others come as a .parquet, an .npz or a folder a class"
        )
    if not all(cell.isdecimal() for cell in cells):
        return sizes, tuple(sorted(cells))
    return sizes, numbered(where, max(int(cell[:_DIGITS]) for cell in cells))


def _picture_of(columns: list[str]) -> tuple[int, int] | None:
    """Height and width of a grey picture by the names of its pixels; None where they do not tell."""
    placed = [name.lower().split("x") for name in columns if re.fullmatch(r"\d+x\d+", name, re.IGNORECASE)]
    if placed and len(placed) == len(columns):
        height, width = (len({one[axis] for one in placed}) for axis in (0, 1))
    else:
        height = width = math.isqrt(len(columns)) if all(map(_PIXELS.fullmatch, columns)) else 0
    return (height, width) if height and height * width == len(columns) else None


def _label(names: list[str]) -> int | None:
    """The place of the column of classes."""
    return next((place for place, name in enumerate(names) if name.casefold() in LABELS), None)


def _header(where: str, line: str) -> tuple[list[str], str]:
    """Names of the columns, and what stands between them."""
    separator = max(_SEPARATORS, key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    if not names or all(_is_number(name) for name in names):
        advice = f"one of them {' or '.join(LABELS)}, where classes are known"
        raise DataError(f"{where}: the first line names no columns; put a line of names there, {advice}")
    return names, separator


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _typed(where: str, values: npt.NDArray[Any], names: list[str], wanted: Wanted) -> npt.NDArray[Any]:
    """Features as they are; pixels, and codes, in the network's type."""
    preprocessing = wanted.network.preprocessing
    if not preprocessing.codes and not all(map(_PIXELS.fullmatch, names)):
        return values
    allowed = np.iinfo(preprocessing.taken[0])
    if (values != np.round(values)).any() or values.min() < allowed.min or values.max() > allowed.max:
        raise DataError(f"{where}: columns such as {shown(names[0])} hold whole numbers of {allowed.min}..{allowed.max}")
    return values.astype(preprocessing.taken[0])


def _labels(path: Path, column: npt.NDArray[Any], cells: list[str], wanted: Wanted) -> npt.NDArray[np.int64]:
    """The class of each row, whose cells were numbered as they came: its number, or its name."""
    which = column.astype(np.intp)
    if all(cell.isdecimal() for cell in cells):
        return np.array([min(int(cell[:_DIGITS]), _TOO_LARGE) for cell in cells], np.int64)[which]
    return np.array(named_labels(path, [cells[one] for one in which], wanted.network, wanted.warned), np.int64)


_DIGITS, _TOO_LARGE = 18, 2**31
"""Beyond any class: what is no class is refused where labels are checked."""
