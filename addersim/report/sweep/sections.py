"""Sections of a sweep's page. Each stands only where the axes that it is about were swept."""

from __future__ import annotations

import pandas as pd

from addersim.arithmetic.fixed import Accumulator
from addersim.format_quantity import how_many
from addersim.report.markup import Column, details, escape, link, number, percent, table, whole
from addersim.report.section import Panel, Section
from addersim.report.sweep import figures
from addersim.report.sweep.findings import cheapest
from addersim.report.sweep.points import AXES, Points

__all__ = ["sweep_sections"]

MOST_DESIGNS = 24
"""Bars that one figure can carry; of more designs, the cheapest are drawn."""


def sweep_sections(points: Points, scan: pd.DataFrame | None) -> list[Section]:
    """All sections that have something to say, in reading order."""
    found = [_failures(points)] if points.done.empty else [*_questions(points, scan), _point(), _failures(points)]
    return [part for part in (*found, _all(points)) if part is not None]


def _questions(points: Points, scan: pd.DataFrame | None) -> list[Section | None]:
    return [_front(points), _bits(points), _widths(points), _registers(points), _energy(points), _sensitivity(scan)]


def _front(points: Points) -> Section:
    text = (
        "Accuracy in fixed point against energy of one image. Filled: Pareto-optimal, no other point takes less energy and "
        "is as accurate, or is more accurate for as much. A click on a point opens its report below."
    )
    rows: list[tuple[Panel, ...]] = []
    lost = points.done["loss_points"].max() > figures.CLOSE_POINTS
    for name in points.done["table"].unique():
        under = f", prices of {name}" if "table" in points.axes else ""
        panels: list[Panel] = [(f"All points{under}", figures.front(points, name))]
        if lost:
            nearer = f"Nearer: within {figures.CLOSE_POINTS:g} points of the best float network{under}"
            panels.insert(0, (nearer, figures.front(points, name, close=True)))
        rows.append(tuple(panels))
    if {"accelerator", "batch"} & set(points.axes):
        name = points.done["table"].iloc[0]
        close = bool(lost)
        rows.append((("Accuracy against latency of a batch", figures.front(points, name, "latency_ms", close=close)),))
    return Section("front", "Accuracy against energy", f"<p>{escape(text)}</p>", tuple(rows))


def _bits(points: Points) -> Section | None:
    if not points.together or "weight_bits" not in points.axes:
        return None
    others = [AXES[axis] for axis in points.axes if axis not in ("network", "weight_bits", "activation_bits")]
    text = "Weights and activations at one width in every layer that was given none of its own; nothing retrained."
    if others:
        text += f" Of points that differ in {', '.join(others)}: the most accurate, and the least energy."
    panels = (
        ("Accuracy", figures.accuracy_by_bits(points)),
        ("Points lost against float", figures.accuracy_by_bits(points, close=True)),
    )
    energy = (("Energy", figures.energy_by_bits(points)),)
    return Section("bits", "How few bits", f"<p>{escape(text)}</p>", (panels, energy))


def _widths(points: Points) -> Section | None:
    if points.together or not {"weight_bits", "activation_bits"} <= set(points.axes):
        return None
    text = (
        "Accuracy in per cent, the best of the other axes. Bold: within one point of float. Darkest: at float or above; "
        "palest: ten points below, or more."
    )
    networks = points.done["network"].unique()
    rows = (tuple((str(name), figures.widths(points, str(name))) for name in networks),)
    return Section("widths", "Weight bits and activation bits", f"<p>{escape(text)}</p>", rows)


def _registers(points: Points) -> Section | None:
    limited = points.done[points.done["accumulator"].map(lambda text: Accumulator.parse(text).bits is not None)]
    if limited["accumulator"].nunique() < 2:
        return None
    text = (
        "Every accumulator of the network at one width. Where all sums of a layer lie beyond it by the same multiple of its "
        "range, wrapping moves them alike and keeps their order: accuracy can return below the width that fits, by luck that "
        "other images need not share; the answers above count no point whose sums wrapped. The dashed line is the width "
        "that all sums of these images need."
    )
    names = limited["network"].unique()
    rows = (tuple((str(name), figures.accuracy_by_register(points, str(name))) for name in names),)
    return Section("registers", "How narrow a register", f"<p>{escape(text)}</p>", rows)


def _energy(points: Points) -> Section | None:
    """The cheapest point of each design that keeps accuracy."""
    keys = [key for key in ("series", "accelerator", "table", "batch") if points.done[key].nunique() > 1]
    if not keys:
        return None
    found = [cheapest(rows) for _, rows in points.done.groupby(keys, sort=False)]
    known = [row for row in found if row is not None]
    if len(known) < 2:
        return None
    rows = points.done.loc[[row.name for row in known]].sort_values(["energy_pj", "point"]).head(MOST_DESIGNS)
    text = (
        "Of each design the cheapest point within one point of its float network. What the array saves is a small part of "
        "what the system takes where memory dominates: compare the two figures."
    )
    panels = (
        ("All that is priced, by component", figures.energy_by_design(points, rows)),
        ("The array alone", figures.energy_by_design(points, rows, array=True)),
    )
    return Section("energy", "What it costs", f"<p>{escape(text)}</p>", (panels,))


def _sensitivity(scan: pd.DataFrame | None) -> Section | None:
    if scan is None or scan.empty:
        return None
    text = (
        "One layer at a time narrower, in its weights or in its input, all else at the widest: how many predictions change. "
        "From scan.csv of a search, which lies in this folder."
    )
    names = {"weight_bits": "Weights", "activation_bits": "Inputs"}
    panels = tuple((name, figures.sensitivity(scan, key)) for key, name in names.items() if (scan["operand"] == key).any())
    return Section("sensitivity", "Which layers need bits", f"<p>{escape(text)}</p>", (panels,))


def _point() -> Section:
    text = "The point that was clicked; at first the cheapest within one point of float."
    return Section("point", "A point's report", f"<p>{escape(text)}</p><div id='chosen'></div>")


def _failures(points: Points) -> Section | None:
    failed = points.failed
    if failed.empty:
        return None
    named = failed.assign(name=[points.words(row) for _, row in failed.iterrows()])
    text = "These points have no result; --retry does them once more."
    tables = table(named, {"name": Column("point"), "error": Column("error")})
    return Section("failed", "Failed points", f"<p>{escape(text)}</p>", (), tables)


def _all(points: Points) -> Section:
    frame = points.frame
    frame = frame.assign(
        name=[points.words(row) for _, row in frame.iterrows()],
        href=[f"#point-{place}" for place in frame["point"]],
        mark=["failed" if error else "waits" if pd.isna(energy) else "*" if best else ""
              for error, energy, best in zip(frame["error"], frame["energy_pj"], frame["pareto"], strict=True)],
        energy_nj=frame["energy_pj"].astype("Float64") / 1e3,
        array_nj=frame["energy_array_pj"].astype("Float64") / 1e3,
        cold_nj=frame.get("cold_start_pj", pd.Series(pd.NA, frame.index)).astype("Float64") / 1e3,
    )  # fmt: skip
    shown = frame.astype(dict.fromkeys(_NUMBERS, "float64"))
    columns = {
        "name": Column("point", link="href"),
        "accuracy": Column("accuracy", percent),
        "accuracy_float": Column("float", percent),
        "loss_points": Column("points lost", _decimals),
        "energy_nj": Column("energy, nJ", number),
        "array_nj": Column("array, nJ", number),
        "cycles": Column("cycles", _whole),
        "latency_ms": Column("latency, ms", number),
        "cold_nj": Column("cold start, nJ", number),
        "area_mm2": Column("area, mm2", number),
        "accumulator_bits": Column("register bits", _whole),
        "accumulator_bits_needed": Column("needed", _whole),
        "overflowed_share": Column("sums beyond", _share),
        "mark": Column(""),
    }
    numbers = table(shown, columns)
    note = "<p>* Pareto-optimal. Energies are those of one image, latency that of the batch; a cold start is paid once. "
    note += f"All columns: {link('results.csv', 'results.csv')}.</p>"
    return Section("points", "All points", note, (), details(f"Numbers: {how_many(len(frame), 'points')}", numbers))


_NUMBERS = (
    "accuracy",
    "accuracy_float",
    "loss_points",
    "energy_nj",
    "array_nj",
    "cycles",
    "latency_ms",
    "cold_nj",
    "area_mm2",
    "accumulator_bits",
    "accumulator_bits_needed",
    "overflowed_share",
)


def _whole(value: float) -> str:
    return "" if pd.isna(value) else whole(value)


def _decimals(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _share(value: float) -> str:
    return "" if pd.isna(value) else f"{100 * value:.3g}\u00a0%" if value else "0"
