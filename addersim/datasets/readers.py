"""Readers of the stored arrays of image sets: idx files, fixed-length records, pickled batches; bounded and checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import DataError
from addersim.inputs.opening import MAX_FILE_BYTES, open_file, parsing

__all__ = ["Bytes", "idx", "python_batch", "records"]

Bytes = npt.NDArray[np.uint8]


def _bounded(path: Path, most: int) -> bytes:
    """A file's content, unpacked; no more than one byte over `most` is ever held."""
    with open_file(path, MAX_FILE_BYTES, DataError) as file, parsing(str(path), "damaged or unreadable", DataError):
        if path.suffix != ".gz":
            return file.read(most + 1)
        with gzip.open(file) as unpacked:
            return unpacked.read(most + 1)


def _check_length(path: Path, found: int, expected: int) -> None:
    if found != expected:
        more = "more than " if found > expected else ""
        raise DataError(f"{path}: holds {more}{min(found, expected)} bytes, expected exactly {expected}")


def _check_digest(path: Path, content: bytes, md5: str | None) -> None:
    """Refuse content that is not the published file's; None: no checksum of it is published."""
    if md5 and (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise DataError(f"{path}: MD5 of its content is {found}, that of the official file {md5}; get the file once more")


def idx(path: Path, shape: tuple[int, ...], md5: str | None = None) -> Bytes:
    """An idx file of unsigned bytes: 0, 0, type 8, number of dimensions, the sizes as big-endian uint32, the data."""
    header = 4 + 4 * len(shape)
    expected = header + int(np.prod(shape))
    content = _bounded(path, expected)
    if (magic := content[:4]) != bytes((0, 0, 8, len(shape))):
        raise DataError(
            f"{path}: starts with {magic.hex() or 'nothing'}, expected 0000080{len(shape)} (idx of unsigned bytes)"
        )
    if len(content) >= header and (sizes := tuple(np.frombuffer(content, ">u4", len(shape), 4).tolist())) != shape:
        raise DataError(f"{path}: sizes are {sizes}, expected {shape}")
    _check_length(path, len(content), expected)
    _check_digest(path, content, md5)
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def records(path: Path, rows: int, row_bytes: int, md5: str | None = None) -> Bytes:
    """A file of exactly `rows` records of `row_bytes` bytes each; shape (rows, row_bytes)."""
    content = _bounded(path, rows * row_bytes)
    _check_length(path, len(content), rows * row_bytes)
    _check_digest(path, content, md5)
    return np.frombuffer(content, np.uint8).reshape(rows, row_bytes)


# Opcodes of pickle that build integers, strings, containers and, through GLOBAL + REDUCE + BUILD, the two stand-ins below.
_OPCODES = frozenset(
    """PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 STRING BINSTRING SHORT_BINSTRING
    UNICODE BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT
    SETITEM SETITEMS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL
    STACK_GLOBAL REDUCE BUILD""".split()  # noqa: SIM905
)


class _Rebuilt:
    """Keeps what a pickle says about an array or its type; runs nothing and allocates nothing."""

    __slots__ = ("arguments", "state")

    def __init__(self, arguments: tuple[Any, ...]):
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Maker:
    """Callable that stands where the pickle names a numpy function; without attributes, so that BUILD cannot alter it."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> _Rebuilt:
        return _Rebuilt(arguments)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in (
            "_reconstruct",
            "ndarray",
            "dtype",
        ):
            return _Maker()
        raise pickle.UnpicklingError(f"names {module}.{name}; only arrays, bytes, numbers and containers are read")


def python_batch(path: Path, rows: int, pixel_count: int, label_key: str, md5: str | None = None) -> tuple[Bytes, Bytes]:
    """One batch file: a pickled dictionary with uint8 `data` of shape (rows, pixels) and a list of labels."""
    most = rows * (pixel_count + 128)  # file names and labels take well under 128 bytes an image
    content = _bounded(path, most)
    if len(content) > most:
        raise DataError(f"{path}: holds more than {most} bytes, too many for {rows} images")
    with parsing(str(path), "not a CIFAR python batch", DataError):
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _OPCODES or (isinstance(argument, int) and argument > most and "PUT" in opcode.name):
                raise pickle.UnpicklingError(f"opcode {opcode.name} is not admitted")
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
        (_, shape, dtype, fortran, raw), labels = batch["data"].state, batch[label_key]
        if dtype.arguments[0] not in ("u1", b"u1") or fortran or shape != (rows, pixel_count):
            raise ValueError(f"data are {dtype.arguments[0]!r} of shape {shape}, expected uint8 of {(rows, pixel_count)}")
        if len(labels) != rows or not all(type(label) is int and 0 <= label < 256 for label in labels):
            raise ValueError(f"{label_key} are not {rows} numbers from 0 to 255")
        pixels = np.frombuffer(raw, np.uint8).reshape(shape)
    _check_digest(path, content, md5)
    return pixels, np.array(labels, np.uint8)
