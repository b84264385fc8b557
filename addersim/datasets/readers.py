"""Readers of the stored arrays of image sets: idx files, fixed-length records, pickled batches; bounded and checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import pickletools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import DataError
from addersim.inputs.opening import MAX_FILE_BYTES, open_file, parsing

__all__ = ["Bytes", "idx", "picture", "picture_as_it_is", "python_batch", "records"]

Bytes = npt.NDArray[np.uint8]

MOST_PIXELS = 64_000_000
"""Largest picture that is decoded: a few bytes can promise any size."""


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


def picture(path: Path, size: int) -> Bytes:
    """A JPEG or PNG file as RGB of shape (3, size, size): the shorter side scaled to 8/7 of the size, then the centre."""
    scaled = round(size * 8 / 7)
    with _opened(path) as image:
        ratio = scaled / min(image.size)
        whole = max(scaled, round(image.width * ratio)), max(scaled, round(image.height * ratio))
        small = image.convert("RGB").resize(whole, _pillow(path).Resampling.BILINEAR)
    left, top = (whole[0] - size) // 2, (whole[1] - size) // 2
    return np.asarray(small.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def picture_as_it_is(path: Path, shape: tuple[int, ...]) -> Bytes:
    """A JPEG or PNG file as pixels of shape (1 or 3, height, width): never scaled or cut.

    Grey pictures have three equal channels where three are needed, and a picture of three equal channels is a grey one.

    Raises
    ------
    DataError
        For a picture of another size, a coloured one where a grey one is needed, more than 8 bits, or transparency.
    """
    channels, height, width = shape
    with _opened(path) as image:
        if image.size != (width, height):
            found = f"{image.width} x {image.height} pixels, the network takes {width} x {height} (width x height)"
            raise DataError(f"{path}: {found}; resize the pictures as in training: Pillow's image.resize(({width}, {height}))")
        if image.mode not in _EIGHT_BITS:
            raise DataError(f"{path}: a picture of mode {image.mode}; allowed are 8 bits a channel: save it as grey or RGB")
        alpha = image.convert("RGBA").getchannel("A").getextrema()[0] if _transparent(image) else 255
        if alpha < 255:
            raise DataError(f"{path}: a picture with transparent pixels; put it on the background of training: save it as RGB")
        pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    if channels == 3:
        return pixels
    if (pixels != pixels[:1]).any():
        raise DataError(f"{path}: a coloured picture, the network takes grey ones; convert the pictures as in training")
    return pixels[:1]


_EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
"""Modes of Pillow that become RGB without being cut."""


def _transparent(image: Any) -> bool:
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def _pillow(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise DataError(f"{path}: pictures need Pillow; install it with: pip install 'addersim[images]'") from None
    return Image


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A JPEG or PNG file of bounded size, as Pillow opens it."""
    pillow = _pillow(path)
    with (
        open_file(path, MAX_FILE_BYTES, DataError) as file,
        parsing(str(path), "not a JPEG or PNG picture, or damaged", DataError),
        pillow.open(file, formats=("JPEG", "PNG")) as image,
    ):
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, at most {MOST_PIXELS:,} are read")
        yield image


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
