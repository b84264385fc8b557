"""Details of a sweep's points: what the page's script lays out for the one that is clicked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pandas as pd

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import DataError
from addersim.format_quantity import ENERGY_UNITS, TIME_UNITS, quantity
from addersim.hardware.layer_cost import Component
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file
from addersim.report.markup import percent, small_percent, whole
from addersim.report.sweep.findings import cheapest
from addersim.report.sweep.points import AXES, Points, accuracy_words
from addersim.results.contrast import COMPONENTS

__all__ = ["details_of"]

HEADS = ("layer", "circuit", "register bits", "needed", "smallest sum", "largest sum", "beyond the register")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Seen(msgspec.Struct, frozen=True):
    minimum: int
    maximum: int
    overflowed: int
    outputs: int
    bits_needed: int


class _Layer(msgspec.Struct, frozen=True):
    name: str
    datapath: str | None = None
    accumulator_bits: int | None = None
    observed: _Seen | None = None


class _Trace(msgspec.Struct, frozen=True):
    layers: tuple[_Layer, ...] = ()


class _Outcome(msgspec.Struct, frozen=True):
    trace: _Trace = _Trace()


class _Job(msgspec.Struct, frozen=True):
    """What the page reads of a simulation's kept file."""

    outcome: _Outcome


def details_of(points: Points, folder: Path) -> dict[str, Any]:
    """Every finished point's facts and energies, and the registers of every simulation behind them, as texts.

    A simulation whose file is gone, or is another than a job's, has no registers.
    """
    done = points.done
    simulations = {str(name): _registers(folder / "jobs" / "simulation", str(name)) for name in done["simulation"].unique()}
    best = cheapest(done)
    first = done["point"].iloc[0] if best is None and len(done) else best["point"] if best is not None else None
    return {
        "heads": HEADS,
        "first": None if first is None else int(first),
        "points": {str(row["point"]): _facts(points, row) for _, row in done.iterrows()},
        "simulations": {name: rows for name, rows in simulations.items() if rows},
    }


def _facts(points: Points, row: pd.Series) -> dict[str, Any]:
    facts = {
        "accuracy": f"{accuracy_words(row)} ({percent(row['accuracy_float'])})",
        "agreement": f"{percent(row['agreement'])} of images get the same answer as in float",
        "energy": f"{quantity(row['energy_pj'], ENERGY_UNITS)} an image",
        "latency": f"{quantity(row['latency_ms'], TIME_UNITS)}, {whole(row['cycles'])} cycles, batch of {row['batch']}",
        "registers": _register_words(row),
        **{name: _plain(row[axis]) for axis, name in AXES.items() if axis != "batch"},
    }
    energies = {name: float(row.get(f"energy_{name}_pj", 0.0)) for name in get_args(Component)}
    total = float(row["energy_pj"]) or 1.0
    parts = [
        [COMPONENTS[name], quantity(part, ENERGY_UNITS), small_percent(part / total)]
        for name, part in energies.items()
        if part
    ]
    return {
        "name": points.words(row),
        "facts": [[name, text] for name, text in facts.items() if text],
        "parts": [*parts, ["all", quantity(row["energy_pj"], ENERGY_UNITS), ""]],
        "simulation": str(row["simulation"]),
    }


def _register_words(row: pd.Series) -> str:
    beyond = row["overflowed_share"]
    end = f"; {small_percent(beyond)} of all sums went beyond theirs" if beyond else ""
    return f"{row['accumulator_bits']} bits at most, where these images need {row['accumulator_bits_needed']}{end}"


def _plain(value: object) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    return "" if pd.isna(value) else str(value)


def _title(datapath: str | None) -> str:
    """What people call a window layer; a circuit that is no longer known keeps its name."""
    return DATAPATHS[datapath].arithmetic.title if datapath and datapath in DATAPATHS else str(datapath)


def _registers(folder: Path, name: str) -> list[list[str]]:
    """One row a window layer."""
    if not _DIGEST.fullmatch(name):
        return []
    path = folder / f"{name}.json"
    try:
        with parsing(str(path), "not a job's file", DataError):
            found = msgspec.json.decode(read_file(path, MAX_FILE_BYTES, DataError), type=_Job)
    except DataError:
        return []
    layers = [(layer, layer.observed) for layer in found.outcome.trace.layers if layer.datapath]
    return [
        [
            layer.name,
            _title(layer.datapath),
            str(layer.accumulator_bits or ""),
            str(seen.bits_needed),
            whole(seen.minimum),
            whole(seen.maximum),
            small_percent(seen.overflowed / seen.outputs) if seen.overflowed else "none",
        ]
        for layer, seen in layers
        if seen
    ]
