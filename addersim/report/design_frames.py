"""Tables of designs as wholes: what they are, what moves in them, their energy under every table, their area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from addersim.report.framing import frame_of
from addersim.results.result import Result

__all__ = ["accesses_frame", "areas_frame", "designs_frame", "tables_frame"]


class DesignRow(NamedTuple):
    """A result as a whole: energy of one image; cycles, time and bytes of a batch; area where it is known."""

    network: str
    accelerator: str
    table: str
    convention: str
    batch: int
    clock_mhz: float
    elements: int
    dram_bytes_per_cycle: float
    taps: int
    energy_pj: float
    cycles: int
    latency_ms: float
    dram_bytes: float
    area_um2: float | None


class AccessRow(NamedTuple):
    """Words of one operand that a layer reads from and writes to one level, for a batch; `kib` is their size, coded or not."""

    network: str
    layer: str
    level: str
    operand: str
    bits: int
    reads: int
    writes: int
    kib: float


class TableRow(NamedTuple):
    """Energy of one image under one energy table; `chosen` is the table of the result."""

    network: str
    table: str
    chosen: bool
    energy_pj: float


class AreaRow(NamedTuple):
    """Area of all circuits or memories of one kind."""

    network: str
    table: str
    unit: str
    what: str
    number: int
    area_um2: float
    rule: str
    source: str


def designs_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a result, see `DesignRow`."""
    return frame_of(
        DesignRow,
        (
            DesignRow(
                *(result.name, cost.accelerator, cost.table, cost.convention, cost.batch, cost.clock_mhz, cost.elements),
                *(cost.dram_bytes_per_cycle, cost.taps, cost.energy_pj_per_image, cost.cycles, cost.latency_ms),
                *(cost.dram_bytes, result.area.area_um2 if result.area else None),
            )
            for result in results
            for cost in (result.cost,)
        ),
    )


def accesses_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a layer, level, operand and width, see `AccessRow`."""
    return frame_of(
        AccessRow,
        (
            AccessRow(result.name, layer.name, one.level, one.operand, one.bits, one.reads, one.writes, one.size_bits / 8192)
            for result in results
            for layer in result.cost.layers
            for one in layer.accesses
        ),
    )


def tables_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a result and energy table, see `TableRow`."""
    return frame_of(
        TableRow,
        (
            TableRow(result.name, table, table == result.cost.table, energy_pj)
            for result in results
            for table, energy_pj in result.energies_by_table().items()
        ),
    )


def areas_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a result and kind of circuit, see `AreaRow`; none where the area is unknown."""
    return frame_of(
        AreaRow,
        (
            AreaRow(
                result.name,
                result.area.table,
                part.circuit.unit,
                part.circuit.what,
                part.circuit.number,
                part.area_um2,
                *part.figure[1:],
            )
            for result in results
            if result.area
            for part in result.area.parts
        ),
    )
