"""design_grid: designs from one accelerator and lists of values for some of its fields."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import msgspec
from msgspec.structs import replace

from addersim.config import make_record
from addersim.errors import ConfigError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.load import load_accelerator
from addersim.inputs.limits import shown

__all__ = ["MOST_DESIGNS", "Grid", "design_grid", "flat_grid", "grid_points"]

Grid = Mapping[str, Sequence[Any]]
"""Values by field of an accelerator."""
MOST_DESIGNS = 10_000_000
"""Largest grid: a slip such as one field too many is told before it fills the memory."""


def design_grid(accelerator: Accelerator | str | os.PathLike[str], grid: Mapping[str, Any]) -> list[Accelerator]:
    """Every combination of values for some fields of an accelerator, in the order of `itertools.product`.

    Parameters
    ----------
    accelerator
        A record, a bundled name or a TOML file: all that the grid does not say.
    grid
        Lists of values by field, as ``array.rows`` or ``dram.bandwidth_gb_s``, or in tables as a TOML file holds them. ``*``
        is every memory of the first level: ``buffers.*.capacity_kib``. Fields joined by ``+`` have one value:
        ``array.rows+array.columns``.

    Raises
    ------
    ConfigError
        A field that there is not, a value that it cannot have, or an empty list.

    Examples
    --------
    >>> designs = design_grid("systolic-16x16", {"array.rows+array.columns": [8, 32], "dram.bandwidth_gb_s": [6, 12, 24]})
    >>> [(one.array.rows, one.array.columns, one.dram.bandwidth_gb_s) for one in designs[2:4]]
    [(8, 8, 24.0), (32, 32, 6.0)]
    """
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    lists = flat_grid(grid)
    plain = msgspec.to_builtins(machine)
    parts: dict[tuple[str, tuple[Any, ...]], Any] = {}
    heads = [tuple(dict.fromkeys(path.partition(".")[0] for path in field.split("+"))) for field in lists]
    tables = [(head, [at for at, of in enumerate(heads) if head in of]) for head in dict.fromkeys(itertools.chain(*heads))]
    designs = []
    for point in itertools.product(*(range(len(values)) for values in lists.values())):
        changed = {}
        for head, fields in tables:
            key = head, tuple([point[at] for at in fields])
            if key not in parts:
                chosen = {field: values[at] for at, (field, values) in zip(point, lists.items(), strict=True)}
                parts[key] = getattr(_with(plain, chosen, machine), head)
            changed[head] = parts[key]
        designs.append(replace(machine, **changed))
    return designs


def flat_grid(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Lists of values by field, from tables of any depth; a lone value is a list of one.

    Raises
    ------
    ConfigError
        An empty list, or more designs than `MOST_DESIGNS`.

    Examples
    --------
    >>> flat_grid({"array": {"rows": [8, 16]}, "clock_mhz": 500})
    {'array.rows': [8, 16], 'clock_mhz': [500]}
    """
    found = dict(_flat(grid, ""))
    for field, values in found.items():
        if not values:
            raise ConfigError(f"grid: {shown(field)}: found an empty list, needs at least one value")
    if (number := math.prod(map(len, found.values()))) > MOST_DESIGNS:
        raise ConfigError(f"grid: {number:,} designs; at most {MOST_DESIGNS:,}: leave out fields or values")
    return found


def grid_points(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the grid says of each design, in the order of `design_grid`."""
    lists = flat_grid(grid)
    return (dict(zip(lists, point, strict=True)) for point in itertools.product(*lists.values()))


def _flat(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, list[Any]]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, list(value) if isinstance(value, list | tuple | range) or hasattr(value, "tolist") else [value]


def _with(plain: Mapping[str, Any], chosen: Mapping[str, Any], machine: Accelerator) -> Accelerator:
    """An accelerator with some fields changed, checked as a file is."""
    values = deepcopy(dict(plain))
    for field, value in chosen.items():
        for path in field.split("+"):
            names = machine.buffers.memories() if ".*." in path else ("*",)
            for name in names:
                _set(values, path.replace("*", name).split("."), value.item() if hasattr(value, "item") else value)
    return make_record(values, Accelerator, "grid")


def _set(values: dict[str, Any], steps: Sequence[str], value: Any) -> None:
    *tables, last = steps
    for step in tables:
        values[step] = inner = values.get(step) or {}
        if not isinstance(inner, dict):
            raise ConfigError(f"grid: {shown('.'.join(steps))}: {shown(step)} is a value, no table")
        values = inner
    values[last] = value
