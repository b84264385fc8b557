"""Results of a sweep: one tidy row a point, as CSV and Parquet, with nothing in them that another run would change."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import msgspec

from addersim.errors import SweepError
from addersim.exploration.sweeps.job_files import Failed, Priced, Simulated, digest
from addersim.exploration.sweeps.plan import Plan, Point
from addersim.exploration.sweeps.study import Study
from addersim.hardware.layer_cost import Component
from addersim.inputs.opening import parsing, read_file
from addersim.inputs.text import cell
from addersim.processes.result_folders import MARKS
from addersim.storage import write_atomically

__all__ = ["RESULT_COLUMNS", "Row", "point_row", "read_study", "write_results", "write_study"]

Row = Mapping[str, Any]
STUDY = MARKS["sweep"]
MAX_STUDY_BYTES = 64_000_000
"""Largest study that is read: a grid is laid out on a few lines."""

RESULT_COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "network": str,
        "arithmetic": str,
        "weight_bits": int,
        "activation_bits": int,
        "accumulator": str,
        "circuit": str,
        "clip_weights": bool,
        "calibration": str,
        "correction": str,
        "multiplier": str,
        "accelerator": str,
        "table": str,
        "batch": int,
        "images": int,
        "accuracy_float": float,
        "accuracy": float,
        "agreement": float,
        "accumulator_bits": int,
        "accumulator_bits_needed": int,
        "overflowed_share": float,
        "taps": int,
        "energy_pj": float,
        **{f"energy_{component}_pj": float for component in get_args(Component)},
        "cycles": int,
        "latency_ms": float,
        "cold_start_pj": float,
        "area_mm2": float,
        "error": str,
        "simulation": str,
        "cost": str,
    }
)
"""Columns and their types. Energies are those of one image, cycles and latency those of the batch, `cold_start_pj` is paid
once, where weights then stay on chip, area that of an accelerator made for the network at these widths. `accumulator_bits` is
the widest register of the network, `accumulator_bits_needed` what its sums would have needed, `overflowed_share` the share of
them that left it. The last two are the names of the job's files."""


def point_row(point: Point, plan: Plan, simulated: Simulated | Failed | None, priced: Priced | Failed | None) -> Row:
    """A point and what is known of it; what is not known is None."""
    rules = point.rules
    row = dict.fromkeys(RESULT_COLUMNS) | {
        "network": point.network,
        "arithmetic": point.arithmetic,
        "weight_bits": rules.weight_bits,
        "activation_bits": rules.activation_bits,
        "accumulator": str(rules.accumulator),
        "circuit": point.circuit,
        "clip_weights": point.clip_weights,
        "calibration": rules.calibration,
        "correction": rules.correction,
        "multiplier": point.multiplier,
        "accelerator": point.accelerator,
        "table": point.table,
        "batch": point.cost.batch,
        "images": len(plan.test),
        "simulation": point.cost.simulation,
        "cost": digest(point.cost),
    }
    if isinstance(simulated, Simulated):
        row |= {key: getattr(simulated, key) for key in ("accuracy_float", "accuracy", "agreement")} | _register(simulated)
    if isinstance(priced, Priced):
        row |= {
            key: getattr(priced, key) for key in ("energy_pj", "cycles", "latency_ms", "cold_start_pj", "taps", "area_mm2")
        }
        parts = priced.energy_pj_by_component
        row |= {f"energy_{component}_pj": parts.get(component, 0.0) for component in get_args(Component)}
    elif isinstance(priced, Failed):
        row["error"] = priced.error
    return row


def _register(simulated: Simulated) -> dict[str, Any]:
    """What the run saw of the registers of all window layers."""
    windows = [layer for layer in simulated.trace.layers if layer.work]
    seen = [layer.observed for layer in windows if layer.observed]
    return {
        "accumulator_bits": max(layer.accumulator_bits or 0 for layer in windows),
        "accumulator_bits_needed": max(one.bits_needed for one in seen),
        "overflowed_share": sum(one.overflowed for one in seen) / sum(one.outputs for one in seen),
    }


def write_study(folder: Path, study: Study) -> None:
    """Write ``study.json``, which says what the folder's sweep is."""
    try:
        with write_atomically(folder / STUDY) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(study)))
    except OSError as error:
        raise SweepError(f"{folder}: cannot hold a sweep: {error.strerror}") from None


def read_study(folder: Path) -> Study:
    """The study that a folder's sweep was last begun with.

    Raises
    ------
    SweepError
        Where the folder holds none.
    """
    path = folder / STUDY
    if not os.path.lexists(path):
        raise SweepError(f"{folder}: no sweep was begun here ({STUDY}: No such file or directory)")
    with parsing(str(path), "not a sweep's study", SweepError):
        return msgspec.json.decode(read_file(path, MAX_STUDY_BYTES, SweepError), type=Study)


def write_results(folder: Path, rows: Sequence[Row]) -> tuple[Path, ...]:
    """Write ``results.csv`` and, where pyarrow is installed, ``results.parquet``; each whole or not at all."""
    try:
        with write_atomically(folder / "results.csv", "w") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(RESULT_COLUMNS)
            writer.writerows([_cell(row[column]) for column in RESULT_COLUMNS] for row in rows)
        if find_spec("pyarrow") is None:
            return (folder / "results.csv",)
        with write_atomically(folder / "results.parquet") as stream:
            _write_parquet(stream, rows)
    except OSError as error:
        raise SweepError(
            f"{folder}: results cannot be written: {error.strerror}; put it right, then run the same command"
        ) from None
    return folder / "results.csv", folder / "results.parquet"


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else cell(value)


def _write_parquet(stream: Any, rows: Sequence[Row]) -> None:
    import pyarrow
    from pyarrow import parquet

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(column, types[kind]) for column, kind in RESULT_COLUMNS.items()])
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], schema), stream)
