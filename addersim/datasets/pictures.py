"""Pictures: JPEG and PNG files as pixels of a network's shape, resized only where that is asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import DataError
from addersim.inputs.opening import MAX_FILE_BYTES, open_file, parsing

__all__ = ["RESIZED", "picture", "picture_as_it_is", "picture_size", "resized"]

Bytes = npt.NDArray[np.uint8]

MOST_PIXELS = 64_000_000
"""Largest picture that is decoded: a few bytes can promise any size."""
RESIZED = "resized by their shorter side (bilinear) and cut to the centre"
"""What resizing does, in words; as torchvision's Resize and CenterCrop of the network's size."""


def picture(path: Path, size: int) -> Bytes:
    """A JPEG or PNG file as RGB of shape (3, size, size): the shorter side scaled to 8/7 of the size, then the centre."""
    with _opened(path, str(path)) as image:
        small = _scaled(image.convert("RGB"), (round(size * 8 / 7),) * 2)
    return np.asarray(_centre(small, (size, size))).transpose(2, 0, 1)


def picture_as_it_is(source: Path | bytes, shape: tuple[int, ...], resize: bool = False, where: str = "") -> Bytes:
    """A JPEG or PNG picture as pixels of shape (1 or 3, height, width): neither scaled nor cut unless that is asked for.

    Grey pictures have three equal channels where three are needed, and a picture of three equal channels is a grey one.

    Parameters
    ----------
    source
        The file, or what it holds.
    shape
        Of the pixels.
    resize
        Whether pictures of another size are scaled by their shorter side and cut to the centre.
    where
        What to call the picture; the file by default.

    Raises
    ------
    DataError
        For a picture of another size, a coloured one where a grey one is needed, more than 8 bits, or transparency.
    """
    channels, height, width = shape
    name = where or str(source)
    with _opened(source, name) as image:
        if image.size != (width, height) and not resize:
            found = f"{image.width} x {image.height} pixels, the network takes {width} x {height} (width x height)"
            raise DataError(f"{name}: {found}; resize the pictures as in training, or let --resize do it: {RESIZED}")
        if image.mode not in _EIGHT_BITS:
            raise DataError(f"{name}: a picture of mode {image.mode}; {_ALLOWED}")
        alpha = image.convert("RGBA").getchannel("A").getextrema()[0] if _transparent(image) else 255
        if alpha < 255:
            raise DataError(f"{name}: a picture with transparent pixels; put it on the background of training: save it as RGB")
        plain = image.convert("RGB")
        pixels = np.asarray(_fitted(plain, (width, height))).transpose(2, 0, 1)
    if channels == 3:
        return pixels
    if (pixels != pixels[:1]).any():
        raise DataError(f"{name}: a coloured picture, the network takes grey ones; convert the pictures as in training")
    return pixels[:1]


def picture_size(source: Path | bytes, where: str = "") -> tuple[int, int, int]:
    """Channels (1 or 3), height and width of a picture: a file, or what it holds."""
    with _opened(source, where or str(source)) as image:
        return (1 if image.mode in ("1", "L") else 3), image.height, image.width


def resized(images: Bytes, size: tuple[int, ...], where: str) -> Bytes:
    """Pixels of shape (images, channels, height, width), each channel resized as a picture is."""
    height, width = size
    pillow = _pillow(where)
    planes = [
        np.asarray(_fitted(pillow.fromarray(np.ascontiguousarray(plane)), (width, height)))
        for plane in images.reshape(-1, *images.shape[2:])
    ]
    return np.stack(planes).reshape(*images.shape[:2], height, width)


def _fitted(image: Any, size: tuple[int, int]) -> Any:
    return image if image.size == size else _centre(_scaled(image, size), size)


def _scaled(image: Any, size: tuple[int, int]) -> Any:
    """A picture that is as small as it can be and still covers a size."""
    ratio = max(wanted / found for wanted, found in zip(size, image.size, strict=True))
    whole = tuple(max(wanted, round(found * ratio)) for wanted, found in zip(size, image.size, strict=True))
    return image.resize(whole, _pillow("a picture").Resampling.BILINEAR)


def _centre(image: Any, size: tuple[int, int]) -> Any:
    left, top = ((found - wanted) // 2 for found, wanted in zip(image.size, size, strict=True))
    return image.crop((left, top, left + size[0], top + size[1]))


_EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
"""Modes of Pillow that become RGB without being cut."""
_ALLOWED = "allowed are 8 bits a channel: save it as grey or RGB, made 8 bits as in training, or as prepared floats in .npy"
_PNG = b"\x89PNG"
_BIT_DEPTH = 24
"""Place of the byte in a PNG file that says how many bits a channel has: PNG specification, IHDR."""


def _check_depth(where: str, file: Any) -> None:
    """Refuse a PNG file of 16 bits a channel: of colours Pillow drops the lower byte without a word."""
    header = file.read(_BIT_DEPTH + 1)
    file.seek(0)
    if header.startswith(_PNG) and header[_BIT_DEPTH:] == b"\x10":
        raise DataError(f"{where}: a picture of 16 bits a channel; {_ALLOWED}")


def _transparent(image: Any) -> bool:
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def _pillow(where: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise DataError(f"{where}: pictures need Pillow; install it with: pip install 'addersim[images]'") from None
    return Image


def _identified(pillow: Any, file: Any, where: str) -> Any:
    """A picture that Pillow opens; of others it tells the object that holds them, which is of no use to anyone."""
    _check_depth(where, file)
    try:
        return pillow.open(file, formats=("JPEG", "PNG"))
    except pillow.UnidentifiedImageError:
        raise ValueError("it does not begin as one, or its header is cut off") from None


@contextmanager
def _opened(source: Path | bytes, where: str) -> Iterator[Any]:
    """A JPEG or PNG picture of bounded size, as Pillow opens it."""
    pillow = _pillow(where)
    with (
        io.BytesIO(source) if isinstance(source, bytes) else open_file(source, MAX_FILE_BYTES, DataError) as file,
        parsing(where, "not a JPEG or PNG picture, or damaged", DataError),
        _identified(pillow, file, where) as image,
    ):
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, at most {MOST_PIXELS:,} are read")
        yield image
