"""An energy table's file that grows: rows are written as they are found, and those of an earlier run stay."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from addersim.config import read_text, resolve_text
from addersim.hardware.gates.element_table import Row, rule_rows
from addersim.hardware.prices.csv_file import OPTIONAL, TABLE_COLUMNS, parse_table
from addersim.hardware.prices.row import OF_ELEMENTS, EnergyRow
from addersim.storage import write_rows

__all__ = ["COLUMNS", "GrowingTable"]

COLUMNS = (
    *("component", "op", "device", "bits", "capacity_kib", "energy_pj", "unit", "area_um2", "leakage_uw"),
    *OF_ELEMENTS,
    *("node_nm", "voltage_v", "temperature_k", "corner", "contains", "evidence", "rule", "source"),
)
assert set(COLUMNS) == {*TABLE_COLUMNS, *OPTIONAL}
_MEMORIES = ("sram", "register", "network", "wire", "dram")


@dataclass(slots=True)
class GrowingTable:
    """A table in the making.

    Attributes
    ----------
    path
        Its file.
    rows
        What an earlier run left in it.
    """

    path: Path
    rows: tuple[EnergyRow, ...]
    _memories: list[Row]
    _found: dict[tuple[str, ...], Row] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, memories: str | None) -> GrowingTable:
        """A table at a path, with what is there; `memories`: another table, whose memories, wires and DRAM it takes.

        Raises
        ------
        ConfigError
            There is something else at the path, or no such table.
        """
        rest: list[Row] = []
        if memories is not None:
            name, where, text = resolve_text(memories, "energy", ".csv", "energy table")
            parse_table(text, name, where)
            rest = [row for row in _read(text) if row["component"] in _MEMORIES]
        if not path.exists():
            return cls(path, (), rest)
        text = read_text(path)
        table = parse_table(text, path.stem, str(path))
        held = [row for row in _read(text) if row["rule"] == "exact" and row["component"] not in _MEMORIES]
        mine = cls(path, table.rows, rest or [row for row in _read(text) if row["component"] in _MEMORIES])
        mine._found = {_key(row): row for row in held}
        return mine

    def add(self, row: Row | None) -> None:
        """Write one row more; None: it is there already."""
        if row is not None:
            self._found[_key(row)] = row
            self._write([])

    def finish(self) -> None:
        """Write what holds between the rows too."""
        self._write(rule_rows(list(self._found.values())))

    def _write(self, rules: Sequence[Row]) -> None:
        rows = sorted([*self._found.values(), *rules], key=_order)
        write_rows(self.path, [{key: row.get(key, "") for key in COLUMNS} for row in [*rows, *self._memories]])


def _read(text: str) -> list[Row]:
    return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]


def _key(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(row.get(key, "")) for key in ("component", "op", "device", "bits"))


def _order(row: Mapping[str, object]) -> tuple[object, ...]:
    """Elements first, the usual style before others, exact rows by width before their rule."""
    component, op, device, bits = _key(row)
    places = ("pe", "layer", "integer")
    return places.index(component), op, device, ".." in bits, int(bits.partition("..")[0])
