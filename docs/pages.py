"""The pages that are made from the package's own records and data: nothing in them is written twice.

    python docs/pages.py    # writes them beside this file; a test fails where one is not up to date

docs/accelerator-file.md and docs/claims.md are made likewise, each by the module that owns its records.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import addersim
from addersim import EnergyTable, load_accelerator, load_energy_table
from addersim.errors import PriceError
from addersim.hardware import file_keys
from addersim.hardware.load import accelerator_names
from addersim.hardware.prices.csv_file import table_names
from addersim.storage import write_atomically

__all__ = ["PAGES", "accelerators", "api", "energy_tables", "glossary"]

HERE = Path(__file__).parent
DATA = files("addersim") / "data"
WIDTHS = (4, 8, 16, 32)
CAPACITIES_KIB = (8, 64, 512)
WORD_BITS = 64
BAR = r"\|"  # within a cell


def glossary() -> str:
    """Every column and term, by group."""
    groups: dict[str, list[str]] = {}
    for term, entry in tomllib.loads((DATA / "glossary.toml").read_text("utf-8")).items():
        groups.setdefault(entry["group"], []).append(_row(_named(term, entry), entry["meaning"], *_told(entry)))
    return (
        "\n".join(["# Glossary", "", "Every column of every table and file, and the words of the field.", *_groups(groups)])
        + "\n"
    )


def _named(term: str, entry: dict[str, object]) -> str:
    also = entry.get("also", ())
    assert isinstance(also, list | tuple)
    return f"**{term}**" + (f"<br>{', '.join(f'`{one}`' for one in also)}" if also else "")


def _told(entry: dict[str, object]) -> tuple[str, str]:
    where = entry["where"]
    assert isinstance(where, list)
    return str(entry.get("unit", "")), ", ".join(f"`{one}`" for one in where)


def _groups(groups: dict[str, list[str]]) -> Iterator[str]:
    for name, rows in groups.items():
        yield from (
            "",
            f"## {name.capitalize()}",
            "",
            _row("term", "meaning", "unit", "appears in"),
            "|---|---|---|---|",
            *rows,
        )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def accelerators() -> str:
    """The bundled accelerators as files, whose comments say where each number is from."""
    parts = [
        "# Bundled accelerators",
        "Each is a file of `addersim/data/accelerators`, whose keys [the accelerator file](accelerator-file.md) explains. "
        "`addersim list accelerators` lists them, `--accelerator NAME` uses one.",
    ]
    for name in accelerator_names():
        text = (DATA / "accelerators" / f"{name}.toml").read_text("utf-8").strip()
        parts += [f"## {name}", f"{load_accelerator(name).about}.", f"```toml\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def energy_tables() -> str:
    """What each bundled energy table says of the usual sizes, and its sources."""
    parts = [
        "# Bundled energy tables",
        "Each is a file of `addersim/data/energy`, a source a row; `addersim list tables` lists them, `--table NAME` uses "
        "one, `--table all` shows how much of an answer is the table's. Below: energy at usual sizes, in pJ; what the table "
        "has no row for stays empty, and a design that needs it is refused.",
    ]
    for name in table_names():
        table = load_energy_table(name)
        parts += [f"## {name}", _circumstances(table), _operations(table), _memories(table), _sources(table)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _circumstances(table: EnergyTable) -> str:
    nodes = " and ".join(dict.fromkeys(f"{row.node_nm:g} nm" for row in table.rows))
    volts = " and ".join(dict.fromkeys(f"{row.voltage_v:g} V" for row in table.rows if row.voltage_v))
    devices = ", ".join(dict.fromkeys(row.device for row in table.rows if row.device and row.component != "pe"))
    return f"{nodes}{f', {volts}' if volts else ''}; {len(table.rows)} rows{f'; transistors {devices}' if devices else ''}."


def _operations(table: EnergyTable) -> str:
    keys = dict.fromkeys((row.component, row.op) for row in table.rows if row.component in ("integer", "float"))
    rows = [_row(f"{kind} {op}", *(_price(table, kind, op, bits) for bits in WIDTHS)) for kind, op in keys]
    head = _row("operation", *(f"{bits} bits" for bits in WIDTHS))
    return "\n".join([head, f"|---{'|---:' * len(WIDTHS)}|", *rows])


def _price(table: EnergyTable, kind: str, op: str, bits: int) -> str:
    try:
        found = table.explain(op, bits, kind)
    except PriceError:
        return ""
    return f"{found.energy_pj:.4g}" + ("" if found.rule == "exact" else f" ({found.rule.split()[0]})")


def _memories(table: EnergyTable) -> str:
    found = {}
    for capacity in CAPACITIES_KIB:
        try:
            found[capacity] = f"{table.sram(capacity, WORD_BITS).energy_pj:.4g}"
        except PriceError:
            continue
    rows = [
        _row(f"on-chip memory of {capacity} KiB, a word of {WORD_BITS} bits read", text) for capacity, text in found.items()
    ]
    rows += [
        _row(f"{row.component} {row.op}, {'a bit' if row.per_bit else f'a word of {row}'}", f"{row.energy_pj:.4g}")
        for row in table.rows
        if row.component in ("register", "network", "dram") and row.energy_pj is not None
    ]
    return "\n".join([_row("memory", "pJ"), "|---|---:|", *rows]) if rows else ""


def _sources(table: EnergyTable) -> str:
    listed = dict.fromkeys(row.source for row in table.rows)
    shown = "\n".join(f"- {_plain(one)}" for one in listed)
    return f'??? note "Sources ({len(listed)})"\n\n' + "\n".join(f"    {line}" for line in shown.splitlines())


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_")


def api() -> str:
    """Every public name, under the package that it stands in; mkdocstrings reads the docstrings."""
    groups: dict[str, list[str]] = {}
    for name in addersim.__all__:
        module, there = addersim._PLACES.get(name, ("", ""))
        if not module or name == "nn":
            continue
        part = module.removeprefix("addersim.").split(".")[0]
        entry = f"::: {module}.{there}\n    options:\n      heading_level: 3\n      show_root_full_path: false\n"
        groups.setdefault(part, []).append(entry)
    head = [
        "# API reference",
        "`import addersim` gives every name below; each loads its module when it is first used.",
    ]
    return "\n\n".join([*head, *(f"## {part}\n\n" + "\n".join(entries) for part, entries in sorted(groups.items()))])


PAGES = {
    "glossary.md": glossary,
    "accelerators.md": accelerators,
    "energy-tables.md": energy_tables,
    "api.md": api,
    "accelerator-file.md": file_keys.page,
}


def main() -> None:
    """Write all."""
    for name, make in PAGES.items():
        with write_atomically(HERE / name, "w") as file:
            file.write(make())


if __name__ == "__main__":
    main()
