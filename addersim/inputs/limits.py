"""Whole numbers that users give: between what they lie, and why; and how numbers are read from text.

The command line, the records of TOML and JSON files and the functions of the package all ask the limits that stand here.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import Meta

from addersim.errors import AddersimError, ConfigError

__all__ = ["Limit", "read_number", "repeated", "shown", "shown_text"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_DIGITS = 18
_MOST_SHOWN = 60

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limit:
    """The smallest and the largest whole number that is taken.

    Examples
    --------
    >>> BATCH.check(64, "batch")
    64
    >>> BATCH.read("0", "batch")
    Traceback (most recent call last):
    addersim.errors.ConfigError: batch: found 0, needs a whole number in 1..1,000,000
    """

    least: int
    most: int

    def __str__(self) -> str:
        """What is allowed, in words."""
        return f"a whole number in {self.range}"

    @property
    def range(self) -> str:
        """Lower and upper limit, as text."""
        return f"{self.least:,}..{self.most:,}"

    @property
    def meta(self) -> Meta:
        """The limit as the annotation of a record's field."""
        return Meta(ge=self.least, le=self.most)

    def check(self, value: Any, where: str, error: type[AddersimError] = ConfigError) -> int:
        """A value that a function was called with. Raises an error that names `where`."""
        if not hasattr(value, "__index__") or isinstance(value, bool) or not self.least <= operator.index(value) <= self.most:
            raise error(f"{where}: found {shown(value)}, needs {self}")
        return operator.index(value)

    def read(self, text: str, where: str) -> int:
        """A whole number from text: ASCII digits, a sign before them and spaces around them. Raises ConfigError."""
        match = re.fullmatch(r"([+-]?)0*([0-9]+)", text.strip(" \t"))
        if not match or len(match[2]) > _MOST_DIGITS:
            raise ConfigError(f"{where}: found {shown_text(text)}, needs {self}")
        return self.check(int(match[1] + match[2]), where)


def read_number(text: str, where: str) -> float:
    """A finite number from text of ASCII digits. Raises ConfigError.

    Examples
    --------
    >>> read_number("2.5e-3", "mean")
    0.0025
    >>> read_number("1_000", "mean")
    Traceback (most recent call last):
    addersim.errors.ConfigError: mean: found '1_000', needs a number such as 0.5 or 2e-3
    """
    plain = text.strip(" \t")
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{where}: found {shown_text(text)}, needs a number such as 0.5 or 2e-3")
    return value


def repeated(given: Sequence[T]) -> list[T]:
    """Those of what was given that equal one before them, in their order.

    Examples
    --------
    >>> repeated(["a", "b", "a"])
    ['a']
    """
    return [one for place, one in enumerate(given) if one in given[:place]]


def shown(value: object) -> str:
    """A value that was found, as messages show it: not too long, and an array or tensor by its shape.

    Examples
    --------
    >>> shown((1, 28)), shown(memoryview(bytes(6)).cast("B", (2, 3)))
    ('(1, 28)', 'a memoryview of shape (2, 3)')
    """
    shape = getattr(value, "shape", None)
    if shape is not None:
        return _short(f"a {type(value).__name__} of shape {tuple(shape)}")
    try:
        return _short(repr(value))
    except ValueError:
        return "a number of more than 4,000 digits"  # more than Python prints


def shown_text(text: str) -> str:
    """Text that was typed, as messages show it: a number as it stands, all else in quotes."""
    return _short(text) if _NUMBER.fullmatch(text) else shown(text)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


BATCH = Limit(1, 1_000_000)
"""Images that run together: a million ResNet-50 images still are counted in 64 bits, bit by bit; see `estimate.MOST_TAPS`."""
IMAGES = Limit(1, 1_000_000)
"""Images of a set that are used, to simulate, to calibrate or to train: about as many as ImageNet has."""
TRAINING_BATCH = Limit(2, BATCH.most)
"""Images of a training step: batch norm needs two."""
EPOCHS = Limit(1, 100_000)
"""Epochs of training: the whole history is written after each."""
NORM_BATCHES = Limit(0, 100_000)
"""Batches on which batch norm's statistics are taken anew: at most an epoch of them is there."""
TRIALS = Limit(1, 100_000)
"""Trials of a search: its sampler looks at all earlier ones before each."""
MEASURED_IMAGES = Limit(2, IMAGES.most)
"""Images of a search: some calibrate, the others measure."""
DEPTH = Limit(1, 100_000)
"""Parts of a name, or rows of a table."""
THREADS = Limit(1, 1_024)
"""Threads of one process: more than any machine of this kind of work has processors."""
JOBS = Limit(1, 1_024)
"""Processes of a sweep: each takes some hundred megabytes."""
SEED = Limit(0, (1 << 32) - 1)
"""Seeds: what numpy's generators take."""
GATE_STEPS = Limit(64, 1_000_000)
"""Steps of a stream of operands that drives gates: each takes some tens of microseconds."""
BITS = Limit(2, 16)
"""Widths that rules ask for: the kernels hold codes in 8 or 16 bits, and one bit is no number with a sign."""
CODE_BITS = Limit(1, BITS.most)
"""Widths of formats: of one bit with a sign, codes are -1 and 0, which tell no more than the sign."""
ACCUMULATOR_BITS = Limit(8, 48)
"""Widths of registers: below, one product of codes does not fit; above, 64-bit sums leave no room to see an overflow."""
MULTIPLIER_BITS = Limit(2, 32)
"""Widths of requantisation's multipliers, which the kernels hold in 32 bits."""
SIDE = Limit(1, 65_536)
"""Rows or columns of an array, and other counts of parts on a chip: far beyond any that was built."""
ELEMENTS = Limit(1, SIDE.most**2)
"""Processing elements: an array of the longest sides."""
IMAGE_SIDE = Limit(1, 1 << 20)
"""Channels, rows and columns of an input: beyond this, positions in an image no longer fit the kernels' 32-bit numbers."""
