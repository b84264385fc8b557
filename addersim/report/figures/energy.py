"""Figures of energy: by component, by layer, by operation, by level and operand."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from addersim.format_quantity import ENERGY_UNITS, best_unit, compact
from addersim.report.figures.rows import colors_of, design_labels, of_network, stage_labels
from addersim.report.markup import escape
from addersim.report.style import OPERANDS, RESOURCES, beside, finish, short
from addersim.results.contrast import COMPONENTS

__all__ = ["energy_by_layer", "energy_by_level", "energy_by_network", "energy_by_part"]

SMALL = 0.001
"""Share of a network's energy up to which parts are drawn as one."""
LEVELS = ("register", "network", "buffer", "l2", "dram")


def energy_by_network(energy: pd.DataFrame) -> go.Figure:
    """Energy of one image, a bar a network, stacked by component."""
    sums = _by_component(energy, "network")
    totals = sums.sum(axis=1)
    size, unit = best_unit(totals.max(), ENERGY_UNITS)
    notes = [beside(row, f"{total / size:,.4g} {unit}") for row, total in enumerate(totals)]
    labels, rows = design_labels(list(sums.index))
    return finish(
        _stacked(sums / size, unit),
        labels,
        f"energy of one image, {unit}",
        mode="stack",
        rows=rows,
        limit=totals.max() / size,
        annotations=notes,
    )


def energy_by_layer(energy: pd.DataFrame, network: str) -> go.Figure:
    """Energy of one image in one network, a bar a stage, stacked by component. All networks share the axis."""
    largest = energy.groupby(["network", "stage"])["energy_pj"].sum().max()
    size, unit = best_unit(largest, ENERGY_UNITS)
    part = of_network(energy, network)
    figure = _stacked(_by_component(part, "stage") / size, unit)
    return finish(figure, stage_labels(part), f"energy of one image, {unit}", mode="stack", limit=largest / size)


def energy_by_part(energy: pd.DataFrame) -> go.Figure:
    """Energy of one image by what it is spent on, the largest first, networks side by side."""
    parts = (energy["component"].map(COMPONENTS) + " · " + energy["of"].str.replace("_", " ")).rename("part")
    sums = energy.groupby([parts, "network"], sort=False)["energy_pj"].sum().unstack(fill_value=0.0)
    large = (sums > SMALL * sums.sum()).any(axis=1)
    size, unit = best_unit(sums.to_numpy().max(), ENERGY_UNITS)
    order = sums[large].max(axis=1).sort_values(ascending=False, kind="stable").index
    table = sums.loc[order, list(energy["network"].unique())] / size
    if few := int((~large).sum()):
        table.loc["1 smaller part" if few == 1 else f"{few} smaller parts"] = sums[~large].sum() / size
    figure = go.Figure()
    colors = colors_of(energy)
    for network in table:
        figure.add_bar(
            name=escape(short(str(network), 40)),
            orientation="h",
            y=list(range(len(table))),
            x=table[network].tolist(),
            marker_color=colors[network],
            text=[compact(number) for number in table[network]],
            textposition="outside",
            cliponaxis=False,
            customdata=[escape(part) for part in table.index],
            hovertemplate=f"<b>%{{customdata}}</b><br>{escape(network)}: %{{x:,.4~g}} {unit}<extra></extra>",
        )
    rows = len(table) * (1 + 0.5 * (table.shape[1] - 1))
    labels = [escape(part) for part in table.index]
    return finish(figure, labels, f"energy of one image, {unit}", mode="group", rows=rows, right_px=56)


def energy_by_level(energy: pd.DataFrame, network: str) -> go.Figure:
    """Energy of moving words for one image of one network, a bar a level, stacked by operand. All networks share the axis."""
    moved = energy[energy["component"].isin(LEVELS)]
    sums = moved.groupby(["network", "component", "of"])["energy_pj"].sum()
    bars = sums.groupby(["network", "component"]).sum()
    levels = [level for level in LEVELS if level in bars.index.get_level_values("component")]
    size, unit = best_unit(bars.max(), ENERGY_UNITS)
    figure = go.Figure()
    for operand, color in OPERANDS.items():
        x = [sums.get((network, level, operand), 0.0) / size for level in levels]
        name = operand.replace("_", " ") + "s"
        if operand in set(moved["of"]):
            figure.add_bar(
                name=name,
                orientation="h",
                y=list(range(len(levels))),
                x=x,
                marker_color=color,
                customdata=[COMPONENTS[level] for level in levels],
                hovertemplate=f"<b>%{{customdata}}</b><br>{name}: %{{x:,.4~g}} {unit}<extra></extra>",
            )
    notes = [beside(row, f"{bars.get((network, level), 0.0) / size:,.4g} {unit}") for row, level in enumerate(levels)]
    return finish(
        figure,
        [COMPONENTS[level] for level in levels],
        f"energy of one image, {unit}",
        mode="stack",
        limit=bars.max() / size,
        annotations=notes,
    )


def _by_component(energy: pd.DataFrame, by: str) -> pd.DataFrame:
    """Energy in pJ, a row each of `by`, a column a component."""
    sums = energy.groupby([by, "component"], sort=False)["energy_pj"].sum().unstack(fill_value=0.0)
    return sums.loc[list(energy[by].unique()), [name for name in RESOURCES if name in sums]]


def _stacked(sums: pd.DataFrame, unit: str) -> go.Figure:
    figure = go.Figure()
    shares = sums.div(sums.sum(axis=1), axis=0).fillna(0.0) * 100
    for component in sums:
        title = COMPONENTS[str(component)]
        figure.add_bar(
            name=title,
            orientation="h",
            y=list(range(len(sums))),
            x=sums[component].tolist(),
            marker_color=RESOURCES[str(component)],
            customdata=[(escape(name), share) for name, share in shares[component].items()],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{title}: %{{x:,.4~g}} {unit}, %{{customdata[1]:.3~g}} %"
            "<extra></extra>",
        )
    return figure
