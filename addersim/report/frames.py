"""Frames: results as tidy tables, one row a fact, units in the column names.

Every table begins with the column ``network``, the name of the result. Energies and operations are those of one image;
cycles, times and bytes are those of a batch, whose size stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from addersim.arithmetic.fixed import bits_for
from addersim.hardware.layer_cost import UnitEnergyUsed
from addersim.report.design_frames import accesses_frame, areas_frame, designs_frame, tables_frame
from addersim.report.framing import frame_of
from addersim.results.result import Result
from addersim.trace import Observed

__all__ = [
    "Frames",
    "energy_frame",
    "kinds",
    "layers_frame",
    "operations_frame",
    "price_group",
    "prices_frame",
    "ranges_frame",
]


class LayerRow(NamedTuple):
    """A layer: what it is, what it took, and how far its values are from float. `stage` names the window that it follows."""

    network: str
    layer: str
    stage: str
    kind: str
    datapath: str
    taps: int
    operations: int
    weight_words: int
    weight_bits: int
    weight_format: str
    output_words: int
    output_bits: int
    output_format: str
    batch: int
    cycles: int
    latency_ms: float
    bound: str
    compute_cycles: int
    buffer_cycles: int
    dram_cycles: int
    dram_bytes: float
    utilisation: float
    energy_pj: float
    relative_error: float | None


class OperationRow(NamedTuple):
    """How often a layer runs an operation at a width, for one image."""

    network: str
    layer: str
    operation: str
    bits: int
    number: int


class LayerEnergyRow(NamedTuple):
    """Energy of an operation, or of moving an operand, in one component and layer, for one image."""

    network: str
    layer: str
    stage: str
    kind: str
    datapath: str
    component: str
    of: str
    energy_pj: float


class RangeRow(NamedTuple):
    """What came out of a layer against what its output format holds, in codes.

    `bits_needed` counts like `bits`: with a sign bit where the format has one. A format that ends at zero, as unsigned ones
    do, cuts negative results to zero on purpose (that is its ReLU), so that only the largest result counts there, and
    `overflowed` may include what ReLU cuts. Around another zero point than code 0 it counts how far apart results are.
    """

    network: str
    layer: str
    kind: str
    datapath: str
    format: str
    signed: bool
    bits: int
    bits_needed: int
    format_minimum: int
    format_maximum: int
    zero_point: int
    minimum: int
    maximum: int
    overflowed: int
    outputs: int
    overflowed_share: float


class PriceRow(NamedTuple):
    """A unit price that was used, in pJ a `unit`, the table's rule for it and where it comes from.

    `group` is the operation, or the component for which words move (or which leaks): see `price_group`.
    """

    network: str
    table: str
    group: str
    what: str
    unit: str
    energy_pj: float
    rule: str
    source: str


@dataclass(frozen=True, slots=True)
class Frames:
    """All tables of several results, below one another."""

    layers: pd.DataFrame
    operations: pd.DataFrame
    energy: pd.DataFrame
    ranges: pd.DataFrame
    prices: pd.DataFrame
    designs: pd.DataFrame
    accesses: pd.DataFrame
    tables: pd.DataFrame
    areas: pd.DataFrame

    @classmethod
    def of(cls, results: Sequence[Result]) -> Frames:
        """The tables of results."""
        makers = (
            *(layers_frame, operations_frame, energy_frame, ranges_frame, prices_frame),
            *(designs_frame, accesses_frame, tables_frame, areas_frame),
        )
        return cls(*(maker(results) for maker in makers))


def layers_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a layer, see `LayerRow`."""
    return frame_of(LayerRow, (row for result in results for row in _layer_rows(result)))


def operations_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a layer, operation and width, see `OperationRow`."""
    return frame_of(
        OperationRow,
        (
            OperationRow(result.name, layer.name, op, bits, number)
            for result in results
            for layer in result.trace.layers
            for (op, bits), number in layer.operations.items()
        ),
    )


def energy_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a layer, component and operation or operand, see `LayerEnergyRow`. Views, which cost nothing, have none."""
    return frame_of(
        LayerEnergyRow,
        (
            LayerEnergyRow(
                result.name, layer.name, stage, layer.kind, layer.datapath or "", *part[:2], part.energy_pj / result.cost.batch
            )
            for result in results
            for stage, members in result.stages()
            for layer in (result.cost.layers[index] for index in members)
            for part in layer.parts
        ),
    )


def ranges_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a layer in which overflow was possible, see `RangeRow`; empty without a run."""
    return frame_of(RangeRow, (row for result in results for row in _range_rows(result)))


def prices_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row a unit price, see `PriceRow`."""
    return frame_of(
        PriceRow,
        (
            PriceRow(result.name, result.cost.table, _group(used), used.what, used.unit, *used.energy)
            for result in results
            for used in result.cost.prices
        ),
    )


def price_group(component: str, of: str) -> str:
    """The group of prices behind an energy: its operation where the array or the vector unit computes, else its component."""
    return of if component in ("array", "vector") else component


def _group(used: UnitEnergyUsed) -> str:
    if used.unit in ("operation", "tap"):
        return used.what.partition(" ")[0]
    if used.unit.startswith("word"):
        return "network" if "network" in used.what else "register"
    if used.what.startswith("l2 "):
        return "l2"
    if used.unit == "cycle":
        return "idle" if used.what.startswith("idle") else "leakage"
    return "dram" if used.unit == "bit" else "buffer"


def kinds(frame: pd.DataFrame) -> pd.Series[str]:
    """Kind of each row's layer, or its circuit where it is a window."""
    return frame["datapath"].where(frame["datapath"] != "", frame["kind"])


def _layer_rows(result: Result) -> Iterator[LayerRow]:
    stages = {index: name for name, members in result.stages() for index in members}
    weights = {row["layer"]: row["weights"] for row in result.program.table()} if result.program else {}
    errors, cost = result.errors, result.cost
    for index, (layer, priced) in enumerate(zip(result.trace.layers, cost.layers, strict=True)):
        yield LayerRow(
            network=result.name,
            layer=layer.name,
            stage=stages.get(index, ""),
            kind=layer.kind,
            datapath=layer.datapath or "",
            taps=layer.work.taps if layer.work else 0,
            operations=layer.operations.total(),
            weight_words=layer.weights.words,
            weight_bits=layer.weights.bits,
            weight_format=weights.get(layer.name, ""),
            output_words=layer.output.words,
            output_bits=layer.output.bits,
            output_format=layer.output_format,
            batch=cost.batch,
            cycles=priced.cycles,
            latency_ms=priced.cycles / (cost.clock_mhz * 1e3),
            bound=priced.bound,
            compute_cycles=priced.compute_cycles,
            buffer_cycles=priced.buffer_cycles,
            dram_cycles=priced.dram_cycles,
            dram_bytes=priced.dram_bytes,
            utilisation=priced.utilisation,
            energy_pj=priced.energy_pj / cost.batch,
            relative_error=errors.get(layer.name),
        )


def _bits_around(seen: Observed, zero: int, lowest: int) -> int:
    """Bits of codes without a sign of their own that hold what was seen and zero, but for what a format's end cuts as ReLU."""
    low = zero if lowest == zero else min(seen.minimum, zero)
    return bits_for(0, max(seen.maximum, zero) - low, signed=False)


def _range_rows(result: Result) -> Iterator[RangeRow]:
    for layer in result.observed:
        seen, bits = layer.observed, layer.output.bits
        if seen is None:
            continue
        signed, zero = not layer.output_format.startswith("u"), int(layer.output_format.partition(" zero ")[2] or 0)
        lowest = -(1 << (bits - 1)) if signed else 0
        yield RangeRow(
            network=result.name,
            layer=layer.name,
            kind=layer.kind,
            datapath=layer.datapath or "",
            format=layer.output_format,
            signed=signed,
            bits=bits,
            bits_needed=seen.bits_needed if signed and not zero else _bits_around(seen, zero, lowest),
            format_minimum=lowest,
            format_maximum=(1 << (bits - signed)) - 1,
            zero_point=zero,
            minimum=seen.minimum,
            maximum=seen.maximum,
            overflowed=seen.overflowed,
            outputs=seen.outputs,
            overflowed_share=seen.overflowed / seen.outputs if seen.outputs else 0.0,
        )
