"""Findings of a sweep in sentences: how few bits, how narrow a register, what is cheapest, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from addersim.arithmetic.fixed import Accumulator
from addersim.format_quantity import ENERGY_UNITS, quantity
from addersim.report.markup import percent, whole
from addersim.report.sweep.points import Points, plain_bits

__all__ = ["NEAR", "cheapest", "fewest_bits", "findings", "missing"]

NEAR = {0.5: "half a point", 1.0: "one point"}
"""Losses against float that count as none, in points of a hundred. Chosen: those that the field usually grants."""
_ALLOWED = max(NEAR)


def findings(points: Points) -> list[str]:
    """What a sweep says, the answer first, as plain text."""
    if points.done.empty:
        return ["No point has a result."]
    return [_headline(points), *_widths(points), *_registers(points), *_rivals(points), _precision(points)]


def missing(points: Points) -> list[str]:
    """What is not there: points that failed or were not done yet."""
    found = []
    if points.waiting:
        rest = f"{whole(points.waiting)} of {whole(len(points.frame))} points are not done"
        found.append(f"This sweep is not finished: {rest}; the same command goes on where it was.")
    if len(points.failed):
        found.append(f"{whole(len(points.failed))} of {whole(len(points.frame))} points failed; the last section says why.")
    return found


def within(rows: pd.DataFrame, loss_points: float) -> pd.DataFrame:
    """Rows within `loss_points` of the float accuracy, without those whose sums wrapped, which is luck."""
    lucky = rows["accumulator"].str.endswith("wrap") & (rows["overflowed_share"] > 0)
    return rows[(rows["loss_points"] <= loss_points) & ~lucky]


def fewest_bits(rows: pd.DataFrame, loss_points: float) -> pd.Series | None:
    """The point with the fewest bits, of those the cheapest, within `loss_points` of the float accuracy, or None."""
    near = within(rows, loss_points)
    if near.empty:
        return None
    order = near.assign(sum_bits=near["weight_bits"] + near["activation_bits"]).sort_values(["sum_bits", "energy_pj", "point"])
    return order.iloc[0]


def cheapest(rows: pd.DataFrame, loss_points: float = _ALLOWED) -> pd.Series | None:
    """The point of least energy within `loss_points` of the float accuracy, the most accurate of equals; or None."""
    near = within(rows, loss_points)
    if near.empty:
        return None
    return near.sort_values(["energy_pj", "accuracy", "point"], ascending=[True, False, True]).iloc[0]


def _networks(points: Points) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, rows in points.done.groupby("network", sort=False):
        yield str(name), rows


def _headline(points: Points) -> str:
    """The widths that do, if they were swept, and the cheapest point."""
    one_table = points.done[points.done["table"] == points.done["table"].iloc[0]]
    best = cheapest(one_table)
    if best is None:
        return f"No point comes within {NEAR[_ALLOWED]} of float."
    answer = ""
    if "weight_bits" in points.axes or "activation_bits" in points.axes:
        found = ((name, fewest_bits(rows, _ALLOWED)) for name, rows in _networks(points))
        parts = [
            f"{plain_bits(row['weight_bits'], row['activation_bits'])} for {name}" for name, row in found if row is not None
        ]
        widths = " and ".join(parts)
        answer = f"{widths[:1].upper()}{widths[1:]} keep accuracy within {NEAR[_ALLOWED]} of float. "
    words = points.words(best, without=("table",))
    energy = quantity(float(best["energy_pj"]), ENERGY_UNITS)
    loss = float(best["loss_points"])
    lost = f"{loss:.2f} points below float" if loss > 0 else "nothing lost"
    which = "that does" if answer else f"within {NEAR[_ALLOWED]} of float"
    return f"{answer}The cheapest point {which} is {words}: {energy} an image at {percent(best['accuracy'])}, {lost}."


def _widths(points: Points) -> Iterator[str]:
    """Fewest bits of each network for each loss that is granted."""
    if "weight_bits" not in points.axes and "activation_bits" not in points.axes:
        return
    for name, rows in _networks(points):
        parts = []
        for loss, words in NEAR.items():
            best = fewest_bits(rows, loss)
            if best is None:
                parts.append(f"no point within {words}")
            else:
                bits = plain_bits(best["weight_bits"], best["activation_bits"])
                parts.append(f"within {words} with {bits} ({percent(best['accuracy'])})")
        yield f"{name}: {percent(points.floats()[name])} in float; {', '.join(parts)}."


def _registers(points: Points) -> Iterator[str]:
    """Narrowest register of each overflow that keeps accuracy, and what the sums need."""
    if "accumulator" not in points.axes:
        return
    for name, rows in _networks(points):
        parsed = rows["accumulator"].map(Accumulator.parse)
        limited = rows.assign(
            bits=[one.bits or 0 for one in parsed],
            overflow=[one.overflow for one in parsed],
        ).query("bits > 0")
        widest = (
            limited["weight_bits"] + limited["activation_bits"] == (limited["weight_bits"] + limited["activation_bits"]).max()
        )
        limited = limited[widest]
        parts = []
        for overflow, mine in limited.groupby("overflow", sort=False):
            failing = mine.drop(within(mine, _ALLOWED).index)
            near = mine[mine["bits"] > failing["bits"].max()] if len(failing) else mine
            verb = {"saturate": "saturate", "wrap": "wrap", "exact": "are exact"}[str(overflow)]
            parts.append(f"registers that {verb} do from {near['bits'].min()} bits" if len(near) else f"none that {verb} do")
        if parts:
            bits = plain_bits(limited["weight_bits"].iloc[0], limited["activation_bits"].iloc[0])
            needed = int(limited["accumulator_bits_needed"].max())
            end = f"sums of these images need {needed} bits"
            yield f"{name} at {bits}, within {NEAR[_ALLOWED]} of float: {', '.join(parts)}; {end}."


def _rivals(points: Points) -> Iterator[str]:
    """The cheapest point of each series under each table, against the cheapest of all."""
    tables = points.done["table"].unique()
    for table in tables:
        rows = points.done[points.done["table"] == table]
        found = [(str(name), cheapest(mine)) for name, mine in rows.groupby("series", sort=False)]
        ranked = sorted((row for _, row in found if row is not None), key=lambda row: (row["energy_pj"], row["point"]))
        if len(ranked) < 2:
            continue
        least = float(ranked[0]["energy_pj"])
        parts = []
        for row in ranked:
            energy, array = float(row["energy_pj"]), float(row["energy_array_pj"])
            ratio = f"{energy / least:.3g}"
            times = "" if row is ranked[0] else ", as much" if ratio == "1" else f", {ratio} times"
            words = points.words(row, without=("table", "accumulator"))
            parts.append(f"{words}: {quantity(energy, ENERGY_UNITS)}{times} (array {quantity(array, ENERGY_UNITS)})")
        under = f" under {table}" if len(tables) > 1 else ""
        yield f"Least energy of an image within {NEAR[_ALLOWED]} of float{under}: {'; '.join(parts)}."


def _precision(points: Points) -> str:
    """How far accuracies on this number of images can be trusted."""
    rows = points.done
    images, share = int(rows["images"].min()), float(rows["accuracy"].max())
    error = 100 * math.sqrt(share * (1 - share) / images)
    return (
        f"Every accuracy is that of the same {whole(images)} test images, run bit for bit; as an estimate for other images "
        f"it has a standard error of {error:.2g} points at {percent(share)}."
    )
