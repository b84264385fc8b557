"""Own images in .parquet: encoded pictures, as Hugging Face's sets have them, lists of numbers, or a number a column.

Numbers a column are features, and pixels where all columns are uint8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.datasets.arrays import as_numbers, taken
from addersim.datasets.classes import LABELS, class_numbers, named_labels, numbered
from addersim.datasets.pictures import picture_as_it_is, picture_size
from addersim.datasets.records import Images, Split
from addersim.datasets.wanted import Wanted, class_names
from addersim.errors import DataError
from addersim.inputs.limits import shown
from addersim.inputs.opening import parsing
from addersim.streamed import Streamed, kept

__all__ = ["from_files", "from_parquet", "parquet_files", "shape_and_classes"]

Array = npt.NDArray[Any]
Places = npt.NDArray[np.intp]

IMAGES = ("image", "img", "images", "pixels", "features", "x")
"""Columns that hold an image a row."""
SPLITS: Mapping[Split, tuple[str, ...]] = MappingProxyType({"train": ("train",), "test": ("test", "validation", "val")})
_LOOKED_AT = 32
"""Pictures that tell whether all are grey."""
_GROUPS = 4
"""Groups of rows that are held at a time."""


def parquet_files(folder: Path) -> list[Path]:
    """Tables of a folder, or of its folder ``data``."""
    return next((found for one in (folder, folder / "data") if (found := sorted(one.glob("*.parquet")))), [])


def from_parquet(path: Path, split: Split, wanted: Wanted) -> Images | None:
    """All rows of a file; None for training images."""
    return None if split == "train" else _images(str(path), [path], wanted)


def from_files(folder: Path, files: Sequence[Path], split: Split, wanted: Wanted) -> Images | None:
    """The files of a split by how their names begin; all of them are tested where none is called so."""
    apart = {one: [path for path in files if path.name.startswith(names)] for one, names in SPLITS.items()}
    if all(apart.values()):
        return _images(str(folder), apart[split], wanted)
    return None if split == "train" else _images(str(folder), files, wanted)


def shape_and_classes(where: str, files: Sequence[Path]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Sizes of an image, as its column holds it, and names of the classes, for training.

    Raises
    ------
    DataError
        For tables without images in one column, or without classes.
    """
    table = _opened(where, files)
    columns, label = _columns(table)
    if label is None:
        raise DataError(f"data {where}: training needs a column of classes, called {' or '.join(LABELS)}")
    if len(columns) > 1:
        raise DataError(
            f"data {where}: training takes images in one column, called {' or '.join(IMAGES)}, not a number a column"
        )
    first = [_bytes_of(row[0]) for row in table.reader(columns)(np.arange(min(table.rows, _LOOKED_AT)))]
    pictures = [picture_size(one, f"{where}, row {row}") for row, one in enumerate(first) if isinstance(one, bytes)]
    if pictures:
        sizes = (max(channels for channels, _, _ in pictures), *pictures[0][1:])
    else:
        with parsing(where, f"column {columns[0]} is no numbers of one shape", DataError):
            sizes = np.array(first[0]).shape
    told = _class_names(table.schema, label)
    names = told or tuple(sorted({one for one in table.column(label) if isinstance(one, str)}))
    if names:
        return sizes, names
    called = f"{where}, column {label}"
    return sizes, numbered(called, int(as_numbers(called, np.array(table.column(label)), table.rows).max()))


class _Table(NamedTuple):
    """Files as one table, of which some groups of rows at a time are in memory."""

    where: str
    groups: tuple[tuple[Any, int, int], ...]
    """File, number of the group within it, rows."""
    schema: Any

    @property
    def rows(self) -> int:
        return sum(rows for _, _, rows in self.groups)

    def column(self, name: str) -> list[Any]:
        """All values of a column."""
        files = dict.fromkeys(file for file, _, _ in self.groups)
        with parsing(self.where, f"column {name} cannot be read", DataError):
            return [one for file in files for one in file.read(columns=[name]).column(name).to_pylist()]

    def reader(self, names: Sequence[str]) -> Callable[[Places], list[tuple[Any, ...]]]:
        """What gives the values of some columns at places."""
        sizes = [rows for _, _, rows in self.groups]
        ends = np.cumsum(sizes)
        one_at_a_time = Lock()

        @lru_cache(_GROUPS)
        def group(number: int) -> list[tuple[Any, ...]]:
            file, place, _ = self.groups[number]
            with one_at_a_time, parsing(self.where, "damaged or unreadable", DataError):
                read = file.read_row_group(place, columns=list(names))
                return list(zip(*(read.column(name).to_pylist() for name in names), strict=True))

        def at(places: Places) -> list[tuple[Any, ...]]:
            numbers = np.searchsorted(ends, places, "right")
            found: list[tuple[Any, ...]] = [()] * len(places)
            for one in np.argsort(places):  # a group after the other, whatever the order that is asked for
                number = int(numbers[one])
                found[one] = group(number)[int(places[one]) - int(ends[number]) + sizes[number]]
            return found

        return at


def _images(where: str, files: Sequence[Path], wanted: Wanted) -> Images:
    table = _opened(where, files)
    columns, labels = _columns(table)
    read = table.reader(columns)
    places = wanted.part.of(table.rows)
    of_bytes = all(str(table.schema.field(name).type) == "uint8" for name in columns)
    decode = _decoder(where, columns, wanted, of_bytes)
    first = decode(read(places[:1]), places[:1])
    stream = Streamed(where, (len(places), *first.shape[1:]), first.dtype, lambda at: decode(read(places[at]), places[at]))
    numbers = None if labels is None else _labels(table, labels, wanted)[places]
    return Images(where, kept(stream), numbers, class_names(wanted.network))


def _columns(table: _Table) -> tuple[list[str], str | None]:
    """The columns of an image, and that of its class where there is one."""
    if not table.rows:
        raise DataError(f"{table.where}: holds no images")
    names = table.schema.names
    labels = next((name for name in LABELS if name in names), None)
    image = next((name for name in IMAGES if name in names), None)
    columns = [image] if image else [name for name in names if name != labels and not name.startswith("__")]
    if not columns:
        raise DataError(
            f"{table.where}: holds {', '.join(map(shown, names[:3])) or 'no column'} and no images; needs a column of "
            f"pictures or lists called {' or '.join(IMAGES)}, or a number a column"
        )
    return columns, labels


def _bytes_of(value: Any) -> Any:
    """What a cell holds: of a picture, as Hugging Face's sets have it, its bytes."""
    return value.get("bytes") if isinstance(value, dict) else value


def _opened(where: str, files: Sequence[Path]) -> _Table:
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{where}: .parquet needs pyarrow; install it with: pip install 'addersim[parquet]'") from None
    with parsing(where, "not a whole .parquet file", DataError):
        opened = [parquet.ParquetFile(path) for path in files]
        schemas = [one.schema_arrow for one in opened]
    if strange := next((path for path, one in zip(files, schemas, strict=True) if one.names != schemas[0].names), None):
        raise DataError(f"{strange}: has other columns than {files[0]}; the files of a folder are parts of one table")
    groups = tuple(
        (one, number, one.metadata.row_group(number).num_rows) for one in opened for number in range(one.num_row_groups)
    )
    return _Table(where, groups, schemas[0])


def _decoder(
    where: str, columns: Sequence[str], wanted: Wanted, of_bytes: bool
) -> Callable[[list[tuple[Any, ...]], Places], Array]:
    """What makes images of rows: of bytes pictures; of lists and numbers, values in the network's shape.

    Whole numbers are pixels in a list, and a number a column where all are `of_bytes`; features otherwise.
    """
    shape = wanted.network.input_shape

    def picture(value: Any, row: int) -> Array:
        return picture_as_it_is(value, shape, wanted.resize, f"{where}, row {row}")

    def decode(rows: list[tuple[Any, ...]], places: Places) -> Array:
        values = [row[0] if len(row) == 1 else row for row in rows]
        held = [_bytes_of(one) for one in values]
        if isinstance(held[0], bytes):
            return np.stack([picture(one, int(place)) for one, place in zip(held, places, strict=True)])
        if held[0] is None or isinstance(held[0], str):
            raise DataError(f"{where}: column {columns[0]} holds no pictures, only where they lie; needs their bytes")
        with parsing(where, f"columns {', '.join(map(shown, columns[:3]))} are no numbers of one shape", DataError):
            numbers = np.array(held)
            if numbers.dtype.kind not in "iuf":
                raise ValueError(f"found {numbers.dtype}")
        whole = numbers.dtype.kind in "iu" and (len(columns) == 1 or of_bytes)
        if whole and not wanted.network.preprocessing.codes and (numbers.min() < 0 or numbers.max() > 255):
            raise DataError(f"{where}: column {columns[0]} has whole numbers beyond 0..255; give pixels, or prepared floats")
        typed = numbers.astype(wanted.network.preprocessing.taken[0] if whole else np.float32)
        if typed.ndim == 2 and typed.shape[1] == np.prod(shape):
            typed = typed.reshape(-1, *shape)
        return taken(where, typed, wanted)

    return decode


def _labels(table: _Table, column: str, wanted: Wanted) -> npt.NDArray[np.int64]:
    """The class of each row: a number, or a name; Hugging Face's sets say what their numbers are called."""
    found = table.column(column)
    names = _class_names(table.schema, column)
    if found and isinstance(found[0], str):
        return np.array(named_labels(Path(table.where), found, wanted.network, wanted.warned), np.int64)
    numbers = as_numbers(f"{table.where}, column {column}", np.array(found), table.rows)
    if not names or not wanted.network.classes:
        return numbers
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise DataError(f"{table.where}: column {column} has numbers beyond its {len(names)} classes")
    return np.array(class_numbers(Path(table.where), names, wanted.network, wanted.warned), np.int64)[numbers]


def _class_names(schema: Any, column: str) -> tuple[str, ...]:
    """Names of the numbers of a column, where Hugging Face's metadata have them."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(map(str, told)) if isinstance(told, list) else ()
