"""Records with numpy arrays in one .npz file: written whole or not at all, read without running anything."""

from __future__ import annotations

import csv
import hashlib
import math
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeVar, get_origin

import msgspec
import numpy as np

from addersim.errors import AddersimError, ConfigError, NetworkError
from addersim.inputs.opening import MAX_FILE_BYTES, STANDARD, kind_of_node, open_file, parsing, source
from addersim.inputs.text import cell
from addersim.processes.unfinished import can_lock, file_beside

__all__ = [
    "check_writable",
    "load_array",
    "load_arrays",
    "load_record",
    "make_folder",
    "map_array",
    "record_digest",
    "save_record",
    "stands_in",
    "write_atomically",
    "write_rows",
]

Record = TypeVar("Record", bound=msgspec.Struct)

_HELD_BYTES = 64 << 20
"""Largest .npy that is read whole where it could be mapped."""
HEADER = "header"


@contextmanager
def write_atomically(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file that appears under its name only when the block ends without an error.

    The text is written beside the target and renamed, so that a crash or a full disk leaves the old file as it was. A link
    stays, and what it leads to is written. The path ``-`` is standard output. An OSError always names the file.

    Raises
    ------
    ConfigError
        Where a directory, device, FIFO or socket has the name: it stays what it is.
    """
    if os.fspath(path) == STANDARD:
        yield sys.stdout.buffer if "b" in mode else sys.stdout
        sys.stdout.flush()
        return
    target = _target(path)
    try:
        with _beside(target, mode) as stream:
            yield stream
    except OSError as error:
        if error.filename is not None and not Path(error.filename).name.startswith(f".{target.name}."):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def check_writable(path: str | Path) -> None:
    """Refuse a file or folder that cannot be made, before hours of work; nothing is made.

    Raises
    ------
    ConfigError
        Where the nearest folder that is there is not to be written to.
    """
    if os.fspath(path) == STANDARD:
        return
    folder = next(one for one in Path(path).absolute().parents if one.exists())
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{os.fspath(path)}: cannot be written: {folder} is read-only; name another place")


def make_folder(path: str | Path) -> Path:
    """A folder, made where it is not there. Raises ConfigError where something else stands at the path."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"{folder}: cannot be written to: a file stands in its place, and stays; name a folder") from None
    return folder


def _target(path: str | Path) -> Path:
    """The regular file that a path leads to, there or not."""
    try:
        node = kind_of_node(os.stat(path).st_mode)
    except FileNotFoundError:
        node = None
    except NotADirectoryError:
        make_folder(Path(path).parent)
        raise
    if node is not None:
        raise ConfigError(f"{os.fspath(path)}: cannot be written: is {node}, and stays one; name a file")
    return Path(os.path.realpath(path))


@contextmanager
def _beside(target: Path, mode: str) -> Iterator[IO[Any]]:
    """A file without a name that anyone knows, which takes the target's place at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with file_beside(target, mode) as (stream, beside):
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
        if not can_lock():  # Windows, which renames no open file
            stream.close()
        os.replace(beside, target)


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV under the columns of all of them, in order of appearance; what a row lacks stays empty.

    Text is written as `addersim.inputs.text.cell` says.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_rows(f"{folder.name}/rows.csv", [{"bits": 4}, {"bits": 8, "accuracy": 0.9}])
    >>> Path(folder.name, "rows.csv").read_text()
    'bits,accuracy\\n4,\\n8,0.9\\n'
    >>> folder.cleanup()
    """
    kept = list(rows)
    with write_atomically(path, "w") as stream:
        columns = dict.fromkeys(key for row in kept for key in row)
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(map(cell, columns))
        writer.writerows([cell(row.get(column, "")) for column in columns] for row in kept)


def stands_in(values: np.ndarray[Any, Any]) -> bool:
    """Whether one number stands for a whole array without memory of its own, as for weights that are missing."""
    return values.size > 1 and all(size == 1 or stride == 0 for size, stride in zip(values.shape, values.strides, strict=True))


def save_record(path: str | Path, record: msgspec.Struct) -> None:
    """Write a record to one compressed .npz: its arrays by number, everything else as JSON text in ``header``.

    Codes of a byte each that 4 bits hold are stored two to a byte.
    """
    text, arrays = _apart(record, compact=True)
    with write_atomically(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **{HEADER: np.array(text.decode())}, **arrays)


def record_digest(record: msgspec.Struct) -> str:
    """SHA-256 of all that a record holds, arrays included: equal for equal content, however it is stored."""
    text, arrays = _apart(record)
    found = hashlib.sha256(text)
    for name, array in arrays.items():
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _apart(record: msgspec.Struct, compact: bool = False) -> tuple[bytes, dict[str, np.ndarray[Any, Any]]]:
    """A record as JSON text, and the arrays that it names there; `compact`: what is stored may be smaller than an array.

    The name of an array is followed by the array's sizes where one number stands for it, and by ``int4`` or ``uint4`` and
    its sizes where two codes are a byte.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}

    def hook(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"cannot store {type(value).__name__}")
        name, held, words = f"array{len(arrays)}", value, [*map(str, value.shape)]
        if compact and stands_in(value):
            held = value[(slice(0, 1),) * value.ndim]
        elif compact and (kind := _half_byte(value)):
            held, words = _packed(value), [kind, *words]
        else:
            words = []
        arrays[name] = held
        return " ".join([name, *words])

    tree = {type(record).__name__: msgspec.to_builtins(record, enc_hook=hook)}
    return msgspec.json.encode(tree), arrays


def load_record(path: str | Path, *kinds: type[Record]) -> Record:
    """Read a record that `save_record` wrote, of any of the given kinds.

    Raises
    ------
    NetworkError
        Where the file is missing, truncated, altered, not an .npz, holds objects or more than 2 GiB, or holds something else
        than a valid record of these kinds. Nothing in the file is ever executed.
    """
    where = source(path)
    found, tree, arrays = _read(path)
    kind = next((one for one in kinds if one.__name__ == found), None)
    if kind is None:
        raise NetworkError(f"{where}: holds a {found}, expected a {' or '.join(one.__name__ for one in kinds)}")

    def hook(wanted: Any, name: Any) -> Any:
        key, *words = name.split(" ") if isinstance(name, str) else [name]
        if (get_origin(wanted) or wanted) is not np.ndarray or key not in arrays:
            raise ValueError(f"array {name!r} is missing")
        if words and words[0] in _HALF_BYTES:
            return _unpacked(arrays[key], words[0], tuple(map(int, words[1:])))
        return _whole(arrays[key], tuple(map(int, words))) if words else arrays[key]

    with parsing(where, f"not a sound {found}", NetworkError):
        try:
            return msgspec.convert(tree, kind, dec_hook=hook)
        except msgspec.ValidationError as error:
            raise NetworkError(f"{where}: {error}") from None


def _whole(one: np.ndarray[Any, Any], sizes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if one.size != 1 or math.prod(sizes) * one.itemsize > MAX_FILE_BYTES:
        raise ValueError(f"sizes {sizes} of one number; at most {MAX_FILE_BYTES:,} bytes are read")
    return np.broadcast_to(one, sizes)


_HALF_BYTES = MappingProxyType({"int4": (np.dtype(np.int8), -8, 7), "uint4": (np.dtype(np.uint8), 0, 15)})
"""Types of codes that are stored two to a byte, the first in the lower half: that of their array, and their ends."""


def _half_byte(values: np.ndarray[Any, Any]) -> str | None:
    """The type of four bits that holds all of an array's codes; None where there is none, or nothing to gain."""
    for kind, (dtype, low, high) in _HALF_BYTES.items():
        if values.dtype == dtype and values.size > 1 and low <= values.min() and values.max() <= high:
            return kind
    return None


def _packed(codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    halves = codes.reshape(-1).view(np.uint8) & 15
    pairs = np.append(halves, np.zeros(halves.size % 2, np.uint8)).reshape(-1, 2)
    return np.asarray(pairs[:, 0] | pairs[:, 1] << 4)


def _unpacked(halves: np.ndarray[Any, Any], kind: str, sizes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    number = math.prod(sizes)
    if halves.dtype != np.uint8 or halves.ndim != 1 or min(sizes, default=1) < 0 or halves.size != -(-number // 2):
        raise ValueError(f"{halves.dtype} {halves.shape} are no {kind} of sizes {sizes}; two are a byte")
    dtype = _HALF_BYTES[kind][0]
    codes = np.stack([halves << 4, halves], axis=1).reshape(-1)[:number].view(dtype) >> 4  # the sign comes along
    return codes.reshape(sizes)


def _read(path: str | Path) -> tuple[str, Any, dict[str, np.ndarray[Any, Any]]]:
    """Type name, plain tree and arrays of a file."""
    where = source(path)
    arrays = load_arrays(path, NetworkError)
    header = arrays.pop(HEADER, None)
    if header is None or header.dtype.kind != "U" or header.ndim:
        raise NetworkError(f"{where}: an .npz file without addersim's header; expected one that addersim saved")
    with parsing(where, f"{HEADER} is not JSON", NetworkError):
        tree = msgspec.json.decode(header.item())
    if not isinstance(tree, dict) or len(tree) != 1:
        raise NetworkError(f"{where}: {HEADER} does not name one record")
    return (*next(iter(tree.items())), arrays)


def load_arrays(path: str | Path, error: type[AddersimError]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of an .npz by name, after their declared sizes have been checked against each other and the bound.

    `error` is raised for a file that is damaged, holds objects, or is larger than `MAX_FILE_BYTES` when unpacked.
    """
    where = source(path)
    with (
        open_file(path, MAX_FILE_BYTES, error) as stream,
        parsing(where, "not a whole .npz file, truncated or altered", error),
        zipfile.ZipFile(stream) as archive,
    ):
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > MAX_FILE_BYTES:
            raise error(f"{where}: {total:,} bytes when unpacked; at most {MAX_FILE_BYTES:,} are read")
        arrays = {}
        for member in members:
            with archive.open(member) as packed:
                name = f"{where}: member {member.filename}"
                arrays[member.filename.removesuffix(".npy")] = _read_array(packed, member.file_size, name, error)
    if len(arrays) != len(members):
        raise error(f"{where}: several members have one name; each array has its own")
    return arrays


def load_array(path: str | Path, error: type[AddersimError]) -> np.ndarray[Any, Any]:
    """The array of an .npy, read as `load_arrays` reads each of its own."""
    with open_file(path, MAX_FILE_BYTES, error) as stream:
        return _read_array(stream, MAX_FILE_BYTES, source(path), error)


def map_array(path: str | Path, error: type[AddersimError]) -> np.ndarray[Any, Any]:
    """The array of an .npy whose values stay in the file until they are asked for; files of any size."""
    with open_file(path, None, error) as stream:
        if os.fspath(path) == STANDARD or os.fstat(stream.fileno()).st_size <= _HELD_BYTES:
            return _read_array(stream, MAX_FILE_BYTES, source(path), error)
        shape, fortran, dtype, size = _array_header(stream, source(path), error)
        start, end = stream.tell(), os.fstat(stream.fileno()).st_size
        if end - start != size:
            raise error(f"{source(path)} promises {size:,} bytes and holds another number of them")
        return np.memmap(stream, dtype, "r", start, shape, "F" if fortran else "C")


def _array_header(
    stream: IO[bytes], where: str, error: type[AddersimError]
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Sizes, order, type and bytes that an array's file promises."""
    with parsing(where, "is not a plain array", error):
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read_header(stream)
        if dtype.hasobject:
            raise error(f"{where} holds Python objects; only plain numbers are read")
        return shape, fortran, dtype, int(np.prod(shape, dtype=object)) * dtype.itemsize


def _read_array(stream: IO[bytes], most: int, where: str, error: type[AddersimError]) -> np.ndarray[Any, Any]:
    """An array of at most `most` bytes, none of which is allocated before the stream has shown them."""
    with parsing(where, "is not a plain array", error):
        shape, fortran, dtype, size = _array_header(stream, where, error)
        content = stream.read(size + 1) if 0 <= size <= most else b""
        if len(content) != size:
            raise error(f"{where} promises {size:,} bytes and holds another number of them")
        values = np.frombuffer(content, dtype)
        return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
