"""Tables of a flatbuffer whose every offset is looked at before it is followed.

The classes of the package tflite read fields through a table of the package flatbuffers, which trusts what the file says. Here
they get a table that looks first: whatever is read lies in the file, and each field in its table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import flatbuffers
import numpy as np
import numpy.typing as npt
from flatbuffers import number_types as numbers

from addersim.errors import LoweringError
from addersim.inputs.text import printable

__all__ = ["Checked", "checked", "rows", "text", "vector"]

LONGEST_TEXT = 4_096


class Checked(flatbuffers.table.Table):  # type: ignore[misc]  # flatbuffers has no types
    """A table of a file; what it gives lies in the file."""

    __slots__ = ()

    def Get(self, flags: Any, off: int) -> Any:
        self._inside(off, flags.bytewidth)
        return super().Get(flags, off)

    def Offset(self, vtableOffset: int) -> int:
        """Where a field of this table lies, from its start; 0 where the file leaves it out."""
        fields = self.Pos - self.Get(numbers.SOffsetTFlags, self.Pos)
        size = self.Get(numbers.VOffsetTFlags, fields)
        self._inside(fields, size)
        if size < 4 or vtableOffset + 2 > size:
            return 0
        found = self.Get(numbers.VOffsetTFlags, fields + vtableOffset)
        if found and not 4 <= found < self.Get(numbers.VOffsetTFlags, fields + 2):
            self._fail(f"a field lies {found} bytes from the start of its table, beyond its end")
        return int(found)

    def Indirect(self, off: int) -> int:
        return int(off + self.Get(numbers.UOffsetTFlags, off))

    def VectorLen(self, off: int) -> int:
        """Number of elements, of a byte each at least."""
        start = self.Vector(off)
        found = int(self.Get(numbers.UOffsetTFlags, start - 4))
        self._inside(start, found)
        return found

    def GetVectorAsNumpy(self, flags: Any, off: int) -> npt.NDArray[Any]:
        start, length = self.Vector(off), self.VectorLen(off)
        self._inside(start, length * flags.bytewidth)
        return np.frombuffer(self.Bytes, np.dtype(flags.name), length, start)

    def String(self, off: int) -> bytes:
        start = self.Indirect(off) + 4
        length = self.Get(numbers.UOffsetTFlags, start - 4)
        self._inside(start, length)
        return bytes(self.Bytes[start : start + min(length, LONGEST_TEXT)])

    def _inside(self, start: int, size: int) -> None:
        if not 0 <= start <= start + size <= len(self.Bytes):
            self._fail(f"an offset leads to bytes {start}..{start + size - 1}")

    def _fail(self, why: str) -> NoReturn:
        raise LoweringError(f"{why}; the file has {len(self.Bytes):,} bytes")


def checked(record: Any, table: Any = None) -> Any:
    """A record of the package tflite that reads through a checked table: its own, or the one that is given; None as it is."""
    if record is not None:
        given = table or record._tab
        record._tab = Checked(given.Bytes, given.Pos)
    return record


def rows(owner: Any, name: str) -> Iterator[Any]:
    """The records of a vector of tables, by the name of its accessor; those that a file says to have must fit it."""
    length = getattr(owner, f"{name}Length")()
    if length * 4 > len(owner._tab.Bytes):
        owner._tab._fail(f"{length:,} {name.lower()}")
    return (checked(getattr(owner, name)(place)) for place in range(length))


def vector(owner: Any, name: str) -> npt.NDArray[Any]:
    """A vector of numbers, empty where it is not there; a view of the file."""
    found = getattr(owner, f"{name}AsNumpy")()
    return found if isinstance(found, np.ndarray) else np.zeros(0, np.int64)


def text(given: bytes | None) -> str:
    """A name as it may be printed."""
    return printable((given or b"").decode("utf-8", "backslashreplace"))
