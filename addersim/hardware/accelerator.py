"""Accelerator: the record that an accelerator file holds."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from msgspec import Meta, Struct

from addersim.config import bundled_names, parse_toml, resolve_text

__all__ = [
    "Accelerator",
    "Buffer",
    "Buffers",
    "Dataflow",
    "Dram",
    "SystolicArray",
    "VectorUnit",
    "accelerator_names",
    "load_accelerator",
]

Dataflow = Literal["output", "weight", "input"]

_Text = Annotated[str, Meta(min_length=1)]
_Side = Annotated[int, Meta(ge=1, le=65_536)]
_Positive = Annotated[float, Meta(gt=0, le=1e6)]


class SystolicArray(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The systolic array: `rows` x `columns` processing elements, each one tap a cycle, and the operand that stays in them."""

    rows: _Side
    columns: _Side
    dataflow: Dataflow

    @property
    def elements(self) -> int:
        """Processing elements."""
        return self.rows * self.columns


class Buffer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One on-chip memory, read and written in words of `word_bits`.

    Operands narrower than a word lie side by side, as many as fit whole; wider ones take several words. Energy an access comes
    from the energy table by capacity, times the word's bits. The ports are assumed to keep up with the array.
    """

    capacity_kib: Annotated[float, Meta(gt=0, le=1_048_576)]
    word_bits: Annotated[int, Meta(ge=1, le=65_536)] = 64

    def words(self, operands: int, bits: int) -> int:
        """Memory words that hold, or accesses that move, a number of operands."""
        if bits <= self.word_bits:
            return -(-operands // (self.word_bits // bits)) if bits else 0
        return operands * -(-bits // self.word_bits)

    def holds(self, operands: int, bits: int) -> bool:
        """Whether a number of operands fits."""
        return self.words(operands, bits) <= self.capacity_words

    def room(self, bits: int) -> int:
        """Largest number of operands that fits."""
        if bits <= self.word_bits:
            return self.capacity_words * (self.word_bits // bits)
        return self.capacity_words // -(-bits // self.word_bits)

    @property
    def capacity_words(self) -> int:
        """Whole memory, in words."""
        return int(self.capacity_kib * 8192) // self.word_bits


class Buffers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The on-chip memories.

    `output` also holds the partial sums. Where `keep_activations` is true, what a layer writes stays in `input` and `output`
    together, which swap roles from layer to layer, whenever everything that is alive fits (see `schedule.kept_on_chip`).
    """

    input: Buffer
    weight: Buffer
    output: Buffer
    keep_activations: bool


class Dram(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """External memory. A bit costs what the energy table says for `kind`, or `energy_pj_per_bit`, given with its `source`."""

    bandwidth_gb_s: _Positive
    kind: _Text = "dram"
    energy_pj_per_bit: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    source: _Text | None = None

    def __post_init__(self) -> None:
        if (self.energy_pj_per_bit is None) != (self.source is None):
            raise ValueError("energy_pj_per_bit and source come together: a number needs its source")


class VectorUnit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The unit for layers that are no matrix product: each lane runs one operation a cycle."""

    lanes: _Side


class Accelerator(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An accelerator: a systolic array, a vector unit, three on-chip buffers and DRAM on one clock.

    Attributes
    ----------
    name, about, source
        What it is called, one line for people, and where its numbers come from.
    clock_mhz
        Clock of array, vector unit and buffers.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    source: _Text
    clock_mhz: Annotated[float, Meta(gt=0, le=100_000)]
    array: SystolicArray
    buffers: Buffers
    dram: Dram
    vector: VectorUnit
    about: str = ""

    @property
    def dram_bits_per_cycle(self) -> float:
        """Bits that DRAM delivers or takes in one clock cycle."""
        return self.dram.bandwidth_gb_s * 8000 / self.clock_mhz


def accelerator_names() -> tuple[str, ...]:
    """Names of the bundled accelerators."""
    return bundled_names("accelerators", ".toml")


def load_accelerator(name: str | os.PathLike[str]) -> Accelerator:
    """An accelerator by bundled name, from a TOML file, or from a configuration file of SCALE-Sim (.cfg).

    Raises
    ------
    ConfigError
        No such name or file, or a file that does not hold an accelerator.

    Examples
    --------
    >>> load_accelerator("systolic-16x16").array
    SystolicArray(rows=16, columns=16, dataflow='output')
    """
    _, where, text = resolve_text(name, "accelerators", ".toml", "accelerator")
    if where.endswith(".cfg"):
        from addersim.hardware.scalesim import parse_scalesim  # builds this module's record

        return parse_scalesim(text, where)
    return parse_toml(text, Accelerator, where)
