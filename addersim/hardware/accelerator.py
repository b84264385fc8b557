"""Accelerator: the record that an accelerator file holds."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

from addersim.hardware.arrays import IntLike
from addersim.hardware.processing_array import (
    BroadcastTrees,
    Dataflow,
    Objective,
    Power,
    RowStationary,
    Side,
    SystolicArray,
    Text,
    check_idle,
    read_pattern,
)
from addersim.inputs.limits import BATCH
from addersim.zeros import RUN_BITS

__all__ = [
    "Accelerator",
    "BroadcastTrees",
    "Buffer",
    "Buffers",
    "Dataflow",
    "Dram",
    "Objective",
    "RowStationary",
    "RunLengthCoding",
    "Stored",
    "SystolicArray",
    "VectorUnit",
    "read_pattern",
]

Stored = Literal["input", "weight", "partial_sum", "output"]

_Positive = Annotated[float, Meta(gt=0, le=1e6)]
_Energy = Annotated[float, Meta(ge=0, le=1e6)]


class Buffer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One on-chip memory, read and written in words of `word_bits`.

    Operands narrower than a word lie side by side, as many as fit whole; wider ones take several words.

    Attributes
    ----------
    capacity_kib
        Size.
    word_bits
        Access width.
    banks
        Words that it reads or writes in one cycle, all ports together; they bound latency. Each is a macro of an equal part of
        the capacity (`prices.macros`). None: as many words as are asked for, from one macro.
    device
        Kind of its transistors, of those that the energy table has: ``itrs-lstp``, ``itrs-lop`` or ``itrs-hp`` in the tables
        of CACTI. None: the table's first.
    read_pj_per_word, write_pj_per_word, source
        Energy of an access, given with its source. Without them the energy table gives it by capacity and word.
    """

    capacity_kib: Annotated[float, Meta(gt=0, le=1_048_576)]
    word_bits: Side = 64
    banks: Side | None = None
    device: Text | None = None
    read_pj_per_word: _Energy | None = None
    write_pj_per_word: _Energy | None = None
    source: Text | None = None

    def __post_init__(self) -> None:
        given = {self.read_pj_per_word is None, self.write_pj_per_word is None, self.source is None}
        if len(given) > 1:
            raise ValueError("read_pj_per_word, write_pj_per_word and source come together: a number needs its source")

    def words(self, operands: IntLike, bits: int) -> IntLike:
        """Memory words that hold, or accesses that move, a number of operands."""
        if bits <= self.word_bits:
            return -(-operands // (self.word_bits // bits)) if bits else 0
        return operands * -(-bits // self.word_bits)

    def packed(self, bits: int) -> tuple[int, int]:
        """The smallest whole numbers of words and of operands that fill each other; no words for operands of 0 bits."""
        return -(-bits // self.word_bits), max(1, self.word_bits // bits if bits else 1)

    def share(self, bits: int) -> float:
        """Words that one operand takes, on average."""
        words, operands = self.packed(bits)
        return words / operands

    @property
    def capacity_words(self) -> int:
        """Whole memory, in words."""
        return int(self.capacity_kib * 8192) // self.word_bits


class Buffers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """The on-chip memories: `input`, `weight` and `output` (with the partial sums), or one `unified` memory for all.

    Attributes
    ----------
    l2
        A second level: one memory between these and DRAM, through which all passes that they exchange with DRAM
        (`second_level` has the rules).
    keep_activations
        Whether what a layer writes stays on chip whenever everything that is alive fits (see `schedule.kept_on_chip`), at
        either level.
    keep_weights
        ``true``: all weights are fetched once, before the first image, and stay on chip; refused where they do not fit.
        ``false``: all are fetched for every image. None: whatever is better for the whole: all stay where they fit, else
        those of some layers, as many bits as have room beside the tiles of the others (see `residency`).
    double_buffered
        Whether transfers overlap with computing: one half of a memory is filled or emptied while the array uses the other, so
        that a tile may take half of it. If not, tiles may take all, and the array waits for DRAM.
    fuse_layers
        Whether chains of layers run depth first, strip by strip, where that has less of the objective: what they pass on then
        never goes to DRAM (`depth_first` has the rules). For systolic and broadcast arrays, with `keep_activations` and
        without a second level.
    monolithic
        Whether each memory is priced as one macro of its whole capacity, whatever its banks: for a true multi-port memory.
    """

    input: Buffer | None = None
    weight: Buffer | None = None
    output: Buffer | None = None
    unified: Buffer | None = None
    l2: Buffer | None = None
    keep_activations: bool
    keep_weights: bool | None = None
    double_buffered: bool = True
    fuse_layers: bool = False
    monolithic: bool = False

    def __post_init__(self) -> None:
        names = {name for name in ("input", "weight", "output", "unified") if getattr(self, name) is not None}
        if names not in ({"input", "weight", "output"}, {"unified"}):
            found = ", ".join(sorted(names)) or "none"
            raise ValueError(f"found the memories {found}; needs input, weight and output, or unified alone")
        if self.fuse_layers and not self.keep_activations:
            raise ValueError("fuse_layers keeps rows of activations on chip: it needs keep_activations = true")
        if self.fuse_layers and self.l2 is not None:
            raise ValueError("fuse_layers is for memories without a second level; leave out l2 or fuse_layers")

    def memories(self) -> dict[str, Buffer]:
        """The memories of the first level by name: ``unified``, or ``input``, ``weight`` and ``output``."""
        return self._levels[0]

    def all_memories(self) -> dict[str, Buffer]:
        """The memories of both levels by name, ``l2`` the last."""
        return self._levels[1]

    @cached_property
    def _levels(self) -> tuple[dict[str, Buffer], dict[str, Buffer]]:
        """Memories of the first level, and of both: each layer asks for them several times."""
        parts = {"input": self.input, "weight": self.weight, "output": self.output, "unified": self.unified}
        first = {name: buffer for name, buffer in parts.items() if buffer is not None}
        return first, first | ({} if self.l2 is None else {"l2": self.l2})

    def memory(self, operand: Stored) -> str:
        """Name of the memory of the first level that holds an operand."""
        return "unified" if self.unified is not None else "output" if operand == "partial_sum" else operand

    def of(self, operand: Stored) -> Buffer:
        """The memory of the first level that holds an operand."""
        memory: Buffer = getattr(self, self.memory(operand))
        return memory


class RunLengthCoding(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Activations in DRAM as pairs of a run of zeros and the word behind it, as on Eyeriss (JSSC 52(1), 2017, section IV-B).

    What the code would lengthen is stored as it is; weights are, and partial sums.

    Attributes
    ----------
    run_bits
        Width of a run's length: up to 2^n - 1 zeros.
    word_bits
        As many whole pairs as it holds lie in a word of this width: three of 5 and 16 bits in 64.
    """

    run_bits: Annotated[int, Meta(ge=RUN_BITS[0], le=RUN_BITS[-1])] = 5
    word_bits: Side = 64


class Dram(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """External memory.

    Attributes
    ----------
    bandwidth_gb_s
        In 10^9 bytes a second, of reads and writes together.
    kind
        Row of the energy table that a bit's energy is taken from.
    energy_pj_per_bit, source
        Energy of a bit, given with its source, in place of the table's.
    run_length_coding
        How activations are coded there; None: as they are.
    idle_power_mw, idle_source
        What it draws whatever is moved, such as its refresh, given with its source; see `idle`.
    """

    bandwidth_gb_s: _Positive
    kind: Text = "dram"
    energy_pj_per_bit: _Energy | None = None
    source: Text | None = None
    run_length_coding: RunLengthCoding | None = None
    idle_power_mw: Power | None = None
    idle_source: Text | None = None

    def __post_init__(self) -> None:
        check_idle(self.idle_power_mw, self.idle_source)
        if (self.energy_pj_per_bit is None) != (self.source is None):
            raise ValueError("energy_pj_per_bit and source come together: a number needs its source")


class VectorUnit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The unit for layers that are no matrix product.

    Attributes
    ----------
    lanes
        Each runs one operation a cycle.
    """

    lanes: Side


class Accelerator(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An accelerator: an array, a vector unit, on-chip memories and DRAM on one clock.

    Attributes
    ----------
    name
        What it is called.
    about
        One line for people.
    source
        Where its numbers come from.
    clock_mhz
        Clock of array, vector unit and buffers.
    batch
        Images that run together unless a call says otherwise.
    zero_share, zero_share_source
        Share of zeros among the words of every value that a layer writes and another reads, given with its source: for zero
        gating and run-length coding where nothing was run that would show it. What a simulation saw comes first.
    idle_power_mw, idle_source
        What the whole draws whatever it does, beside what is stated for array and DRAM and what the energy table has of
        leakage, given with its source; see `idle`.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    source: Text
    clock_mhz: Annotated[float, Meta(gt=0, le=100_000)]
    array: SystolicArray
    buffers: Buffers
    dram: Dram
    vector: VectorUnit
    about: str = ""
    batch: Annotated[int, BATCH.meta] = 1
    zero_share: Annotated[float, Meta(ge=0, le=1)] | None = None
    zero_share_source: Text | None = None
    idle_power_mw: Power | None = None
    idle_source: Text | None = None

    def __post_init__(self) -> None:
        check_idle(self.idle_power_mw, self.idle_source)
        if (self.zero_share is None) != (self.zero_share_source is None):
            raise ValueError("zero_share and zero_share_source come together: a number needs its source")
        if self.buffers.fuse_layers and self.array.row_stationary is not None:
            raise ValueError("fuse_layers is for systolic and broadcast arrays; this one is row stationary")

    @property
    def dram_bits_per_cycle(self) -> float:
        """Bits that DRAM delivers or takes in one clock cycle."""
        return self.dram.bandwidth_gb_s * 8000 / self.clock_mhz
