"""Which designs are estimated in batch: those whose every field is known here. All others go through `estimate` alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import get_args

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from addersim.hardware.accelerator import Accelerator, Buffer, Buffers, Dataflow, Dram, Objective, SystolicArray, VectorUnit
from addersim.hardware.estimate import MOST_TAPS
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import Trace

__all__ = ["InBatch", "trace_in_batch"]

_KNOWN: Mapping[type, frozenset[str]] = MappingProxyType(
    {
        Accelerator: frozenset(("name", "about", "source", "clock_mhz", "array", "buffers", "dram", "vector", "batch")),
        SystolicArray: frozenset(("rows", "columns", "dataflow", "overlapped_folds")),
        Buffers: frozenset(
            ("input", "weight", "output", "unified", "keep_activations", "keep_weights", "double_buffered", "monolithic")
        ),
        Buffer: frozenset(("capacity_kib", "word_bits", "banks", "device", "read_pj_per_word", "write_pj_per_word", "source")),
        Dram: frozenset(("bandwidth_gb_s", "kind", "energy_pj_per_bit", "source")),
        VectorUnit: frozenset(("lanes",)),
    }
)
"""The fields that the batch takes into account. A design with anything else in it than a default does not run in batch."""


def trace_in_batch(trace: Trace, table: EnergyTable, objective: Objective | None) -> bool:
    """Whether designs run in batch for a trace under a table: energy is least, and cycles have no part in it.

    Nor has a design's dataflow, by which a table of elements may price a tap, where the trace has toggles.
    """
    leaks = any(row.leakage_uw is not None for row in table.rows)
    small = all(layer.work is None or layer.work.taps <= MOST_TAPS for layer in trace.layers)
    by_order = table.knows_elements and any(layer.toggles is not None for layer in trace.layers)
    return trace.convention == "hardware" and objective in (None, "energy") and not leaks and small and not by_order


class InBatch:
    """Which designs run in batch: systolic arrays, one image at a time, and nothing in them that is not known here.

    Records are looked at once, by themselves, for many designs share theirs: they have to live as long as this does.

    Examples
    --------
    >>> from addersim import load_accelerator
    >>> [InBatch().takes(load_accelerator(name)) for name in ("systolic-16x16", "eyeriss-65nm")]
    [True, False]
    """

    def __init__(self, batch: int | None = None) -> None:
        self._batch = batch
        self._found: dict[int, bool] = {}

    def takes(self, machine: Accelerator) -> bool:
        """Whether a design runs in batch."""
        images = machine.batch if self._batch is None else self._batch
        parts = machine.array, machine.buffers, machine.dram, machine.vector  # another one would be a field not known
        return (
            images == 1 and machine.array.dataflow in get_args(Dataflow) and _plain(machine) and all(map(self._knows, parts))
        )

    def _knows(self, record: Struct) -> bool:
        key = id(record)
        if key not in self._found:
            self._found[key] = _plain(record) and all(map(self._knows, _inside(record)))
        return self._found[key]


def _inside(record: Struct) -> list[Struct]:
    return [one for one in [getattr(record, name) for name in record.__struct_fields__] if isinstance(one, Struct)]


def _plain(record: Struct) -> bool:
    """Whether a record is of a known kind, and has nothing but defaults in fields that are not known."""
    unknown = _unknown(type(record))
    return unknown is not None and all(getattr(record, name) == default for name, default in unknown)


@cache
def _unknown(kind: type[Struct]) -> tuple[tuple[str, object], ...] | None:
    """Fields of a kind of record that the batch does not know, with their defaults; None where it does not know the kind."""
    if kind not in _KNOWN:
        return None
    others = (one for one in fields(kind) if one.name not in _KNOWN[kind])
    return tuple((one.name, object() if one.default is NODEFAULT else one.default) for one in others)
