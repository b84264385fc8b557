"""Sections on designs as wholes: the range over energy tables, and area."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.hardware.area import NOT_COUNTED
from addersim.report import figures
from addersim.report.frames import Frames
from addersim.report.markup import Column, details, escape, table, thousandths, whole
from addersim.report.section import Panel, Section, network_table, present
from addersim.results.comparison import compare
from addersim.results.contrast import COMPONENTS
from addersim.results.result import Result

__all__ = ["area", "tables"]


def tables(results: Sequence[Result], frames: Frames) -> Section | None:
    """How much of an energy, and of a ratio, is the table's."""
    listed = frames.tables[frames.tables["energy_pj"] > 0]
    if listed["table"].nunique() < 2:
        return None
    text = (
        "The same facts under every energy table that can price them. Tables differ in node and supply as well as in what "
        "they measured: the range is one of published opinion, not the error of one measurement. At the right: the highest "
        "over the lowest. Ratios of designs under one table are steadier than energies."
    )
    panels: list[Panel] = [("Energy under every table", figures.energy_by_table(listed))]
    contrasts = [one for one in compare(results).contrasts if one.energy_ratio and len(one.ratio_by_table()) > 1]
    if contrasts:
        panels.append(("Ratio under every table", figures.ratio_by_table(contrasts)))
    names = present(listed, results)
    wide = listed.assign(energy_pj=listed["energy_pj"] / 1e3).pivot(index="table", columns="network", values="energy_pj")[
        names
    ]
    columns = {"table": Column("energy table")} | {name: Column(f"{name}, nJ", thousandths) for name in names}
    for contrast in contrasts:
        key = f"{contrast.result.name}\0ratio"
        wide[key] = wide.index.map(contrast.ratio_by_table())
        columns[key] = Column(f"{contrast.result.name} / {contrast.first.name}", thousandths)
    refused = {name: why for result in results if result.spread for name, why in result.spread.refused.items()}
    notes = "".join(f"<p class='note'>{escape(name)}: {escape(why)}</p>" for name, why in refused.items())
    numbers = details("Numbers: energy of one image by energy table", table(wide.reset_index(), columns) + notes)
    return Section("tables", "How much is the table's", f"<p>{escape(text)}</p>", (tuple(panels),), numbers)


def area(results: Sequence[Result], frames: Frames) -> Section | None:
    """Area of each design by unit and circuit."""
    known = [result for result in results if result.area and result.area.parts]
    if not known:
        return None
    first = known[0].area
    assert first is not None
    missing = dict.fromkeys(what for result in known if result.area for what in (*result.area.missing, *NOT_COUNTED))
    text = (
        f"Of an accelerator that is made for its network, by the energy table {first.table} at {first.node_nm:g} nm: the "
        f"circuits of every processing element and lane as wide as the widest layer needs, and the memories. "
        f"Not counted: {', '.join(missing)}."
    )
    columns = {
        "unit": Column("unit"),
        "what": Column("what"),
        "number": Column("number", whole),
        "area_um2": Column("area, µm²", thousandths),
        "rule": Column("rule"),
        "source": Column("source"),
    }
    parts = frames.areas.assign(unit=frames.areas["unit"].map(COMPONENTS))
    numbers = "".join(network_table(parts, result.name, columns, totals=("area_um2",)) for result in known)
    panel = ("By unit", figures.area_by_unit(frames.areas))
    return Section(
        "area",
        "Area",
        f"<p>{escape(text)}</p>",
        ((panel,),),
        details("Numbers: area, rules and sources", numbers, "numbers-area"),
    )
