"""Images: the contract between a network and what it is given. Shape, type, range, and how the host prepares them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.errors import DataError, NetworkError
from addersim.inputs.limits import shown
from addersim.streamed import Streamed

__all__ = [
    "Images",
    "ManyImages",
    "Preprocessing",
    "arranged",
    "channels_last",
    "check_declared",
    "check_images",
    "checked_shape",
    "look_up",
    "normalised",
]

Array = npt.NDArray[Any]
Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32] | npt.NDArray[np.integer[Any]]
"""Pixels, prepared floats, or codes where a program takes those."""
ManyImages = Images | Streamed
"""Any of them, or what is read while it is used."""
Shape = tuple[int, ...]

RANKS = {1: "features", 2: "channels, length", 3: "channels, height, width"}
"""What the sizes of an input mean, by their number."""
LARGEST_INPUT = 1 << 28
"""Values of one image."""
RANGE_SLACK = 1e-3
"""Share of the declared range by which float images may leave it: rounding in another program."""
FEW = 8
"""Images below which nothing is concluded from what values they do not have."""
TOO_WIDE = 8
"""Float images this many times wider than their network's own range are of another preprocessing."""


def checked_shape(given: Any) -> Shape:
    """An input's shape as whole numbers, or a NetworkError that says what is allowed."""
    allowed = " or ".join(f"({words})" for words in RANKS.values())
    sizes = tuple(given) if isinstance(given, (tuple, list)) else ()
    whole = all(hasattr(one, "__index__") and not isinstance(one, bool) and int(one) >= 1 for one in sizes)
    if len(sizes) not in RANKS or not whole or math.prod(map(int, sizes)) > LARGEST_INPUT:
        raise NetworkError(
            f"input_shape: found {shown(given)}, needs the sizes of one image, {allowed}, {LARGEST_INPUT:,} values at most"
        )
    return tuple(int(one) for one in sizes)


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """How the host prepares pixels of 0..255: ``(pixel / 255 - mean) / std``.

    Attributes
    ----------
    mean, std
        Per channel (the input's first axis), or one number that serves all channels.
    known
        False where nobody said: pixels are then given as ``pixel / 255``, which may not be what training used.
    codes
        Type of the codes that are taken as they are, such as ``int8``; there are then no pixels, and floats are real values
        that are rounded to codes. Empty: none.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    known: bool = True
    codes: str = ""

    @classmethod
    def of(cls, shape: Shape, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> Preprocessing:
        """From what a user said of images of a shape; without both, it is not known."""
        channels = shape[0] if len(shape) > 1 else 1
        known = mean is not None or std is not None
        chosen = ([0.0] * channels if mean is None else mean, [1.0] * channels if std is None else std)
        means, stds = (tuple(float(one) for one in numbers) for numbers in chosen)
        return cls(mean=means, std=stds, known=known)

    def check(self, shape: Shape) -> None:
        """Refuse an impossible image shape, or a normalisation that does not fit it."""
        if len(shape) not in RANKS or min(shape) < 1:
            allowed = " or ".join(f"({words})" for words in RANKS.values())
            raise NetworkError(f"input_shape: {shape} is not {allowed}")
        if not {len(self.mean), len(self.std)} <= {1, shape[0]}:
            told = f"mean and std: {len(self.mean)} and {len(self.std)} values for {shape[0]} channels"
            raise NetworkError(told if shape[0] == 1 else f"{told}; give one a channel, or one for all")
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise NetworkError(f"mean {self.mean} and std {self.std}: all must be finite, and std positive")

    @property
    def taken(self) -> tuple[str, str]:
        """Types of images: of whole numbers, and of floats."""
        return self.codes or "uint8", "float32"

    @property
    def taken_in_words(self) -> str:
        """The same for messages."""
        return f"{self.codes} codes or float32 values" if self.codes else "uint8 pixels or normalised float32"

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest value that pixels of 0..255 become."""
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        return float(((0 - mean) / std).min()), float(((1 - mean) / std).max())

    def levels(self, shape: Shape) -> npt.NDArray[np.float32]:
        """Value of each pixel 0..255, shape ``(256, channels)``, or ``(256, 1)`` for features that share one."""
        found: npt.NDArray[np.float64] = (np.arange(256)[:, None] / 255 - np.asarray(self.mean)) / np.asarray(self.std)
        columns = shape[0] if len(shape) > 1 else found.shape[1]
        return np.ascontiguousarray(np.broadcast_to(found.astype(np.float32), (256, columns)))

    def __str__(self) -> str:
        if self.codes:
            return f"none; {self.codes} codes as they are"
        if not self.known:
            return "not known; pixels / 255 as they are"
        mean, std = (", ".join(f"{one:g}" for one in dict.fromkeys(numbers)) for numbers in (self.mean, self.std))
        return f"(pixel / 255 - mean) / std, mean {mean}, std {std}"


def check_images(images: Any, shape: Shape, preprocessing: Preprocessing, where: str) -> None:
    """Refuse images of types that are not taken, not finite, of another shape, or of a range far beyond the network's."""
    if not isinstance(images, (np.ndarray, Streamed)) or images.dtype.name not in preprocessing.taken:
        found = f"{images.dtype} array" if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(f"{where}: images are a {found}; expected {preprocessing.taken_in_words}")
    if images.shape[1:] != tuple(shape) or images.ndim < 2:
        wanted = ", ".join(map(str, shape))
        what = _last(images.shape, tuple(shape)) or _advice(images.shape, shape)
        raise DataError(f"{where}: images have shape {images.shape}; expected (images, {wanted}){what}")
    if images.dtype == np.float32 and images.size and isinstance(images, np.ndarray):  # what is streamed, while it is read
        _check_range(cast("npt.NDArray[np.float32]", images), preprocessing, where)


def _last(found: Shape, wanted: Shape) -> str:
    """What to do with images whose channels come first where the network, as its file, takes them last."""
    if len(found) != 4 or found[1] not in (1, 3, 4) or found[1:] != (wanted[-1], *wanted[:-1]):
        return ""
    return (
        "; the network takes channels last: images.transpose(0, 2, 3, 1), or lower it with channels_first (--channels-first)"
    )


def _advice(found: Shape, wanted: Shape) -> str:
    """What to do with images of another shape, where that can be guessed."""
    channels, *rest = wanted
    size, one = tuple(rest), found[1:]
    if found == wanted:
        return "; for one image, give images[None]"
    if math.prod(one) == math.prod(wanted) and one and 1 in (len(one), len(wanted)):
        return f"; reshape them to (-1, {', '.join(map(str, wanted))})"
    if not size:
        return ""
    turn, channel = "", ""
    if len(one) == len(wanted) and one[1:] != size and one[:-1] == size:
        turn, one = f".transpose(0, {len(wanted)}, {', '.join(map(str, range(1, len(wanted))))})", (one[-1], *size)
    elif one == size:
        turn, one = "[:, None]", (1, *size)
    if one[1:] != size:
        return ""
    if channels == 1 and one[0] in (3, 4):
        channel = "the network takes grey images: convert them as in training"
    elif one[0] == 1 and channels > 1:
        turn += f".repeat({channels}, axis=1)"
    elif one[0] != channels:
        return ""
    return "; " + ", then ".join(filter(None, (turn and f"channels stand second: images{turn}", channel)))


def _check_range(images: npt.NDArray[np.float32], preprocessing: Preprocessing, where: str) -> None:
    low, high = float(images.min()), float(images.max())
    if not math.isfinite(low) or not math.isfinite(high):  # NaN comes out of both
        raise DataError(f"{where}: images hold NaN or infinite values")
    if preprocessing.codes:
        return
    first, last = preprocessing.range
    if max(-low, high) <= TOO_WIDE * max(-first, last):
        return
    pixels = low >= 0 and high <= 255
    if preprocessing.known or (pixels and (images.ndim == 4 or not (images % 1).any())):
        raise DataError(
            f"{where}: float images span {low:.4g}..{high:.4g}, the network's are {first:.4g}..{last:.4g}; "
            "give uint8 pixels, or divide by 255 and normalise as in training"
        )


def arranged(images: Array, shape: Shape, where: str) -> Array:
    """Images with channels last, or without the one channel, in the shape that a network takes; others as they are.

    Raises
    ------
    DataError
        Where channels first and last look alike, and are not.
    """
    channels, *size = shape
    one = images.shape[1:]
    if size and one == tuple(size) and channels == 1:
        return images[:, None]
    if not size or one != (*size, channels):
        return images
    if one == tuple(shape) and channels > 1:
        raise DataError(
            f"{where}: images of shape {images.shape} may have channels first or last; the network takes {tuple(shape)}: "
            "from Python, addersim.simulate takes channels first"
        )
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def check_declared(images: ManyImages, preprocessing: Preprocessing, where: str) -> None:
    """Refuse float images that are no pixels prepared as a network's are, where it is known how.

    Those of 0..1 are refused too where prepared ones would reach below: they are pixels / 255 that wait for mean and std.
    """
    if isinstance(images, Streamed) or images.dtype != np.float32 or preprocessing.codes:
        return
    if not preprocessing.known or not images.size:
        return
    low, high = float(images.min()), float(images.max())
    first, last = preprocessing.range
    slack = RANGE_SLACK * (last - first)
    waits = len(images) >= FEW and low >= 0 and high <= 1 and first < -slack
    if waits or low < first - slack or high > last + slack:
        found = f"{low:.4g}..{high:.4g}" + (", as pixels / 255 do" if waits else "")
        raise DataError(
            f"{where}: float images span {found}; the network's are {first:.4g}..{last:.4g}: {preprocessing}; give uint8 "
            "pixels of 0..255, or prepare them so; features of any range need a network lowered without --mean and --std"
        )


def channels_last(images: Array) -> Array:
    """Float images, or codes, ``(images, *shape)``, as values are held: the channels' axis last."""
    return kernels.channels_last(images)


def look_up(images: Array, levels: Array, threads: int | None = None, kernel: Callable[..., Any] = kernels.look_up) -> Array:
    """Pixels of any rank, channels last, each exchanged for its channel's entry in `levels`."""
    count, channels, *size = images.shape
    pixels = math.prod((channels, *size)) // levels.shape[1]
    found: Array = kernel(images.reshape(count, levels.shape[1], pixels, 1), levels, threads=threads)
    return found.reshape(count, *size, channels)


def normalised(images: Images, preprocessing: Preprocessing, shape: Shape, threads: int | None = None) -> Images:
    """What the host makes of images that were checked: floats with channels last; only pixels are still to be normalised."""
    if images.dtype != np.uint8:
        return channels_last(images)
    return look_up(images, preprocessing.levels(shape), threads)
