"""The page of a search: what every assignment took and lost, the widths that were found, and which layers need bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from addersim.format_quantity import ENERGY_UNITS, best_unit, how_many, quantity
from addersim.report.markup import Column, definitions, details, escape, number, percent, table, whole
from addersim.report.section import Page, Section
from addersim.report.style import QUIET, SERIES, VERMILION, dotted, finish, finish_plane, label, labels_apart
from addersim.report.sweep.figures import sensitivity
from addersim.report.writing import write_page

__all__ = ["SearchRows", "write_search_page"]

FILES = ("formats.toml", "trials.csv", "scan.csv")
OPERANDS = {"weight_bits": ("weights", SERIES[2]), "activation_bits": ("inputs", SERIES[0])}


class SearchRows(NamedTuple):
    """What a search found, as plain rows.

    Attributes
    ----------
    name
        Of the network.
    best
        Accuracy, points lost, agreement and energy in pJ of what was chosen.
    trials, uniform
        The same of every assignment that was tried; and of one width everywhere, by ``bits``.
    widths
        ``layer``, ``weight_bits`` and ``activation_bits`` of what was chosen.
    scan
        ``layer``, ``operand`` and ``bits`` of each layer alone, and what it lost.
    floor_points, accuracy_float, images
        Points that may be lost, accuracy in float, and the number of images that measured.
    """

    name: str
    best: Mapping[str, float]
    trials: Sequence[Mapping[str, float]]
    uniform: Sequence[Mapping[str, float]]
    widths: Sequence[Mapping[str, Any]]
    scan: Sequence[Mapping[str, Any]]
    floor_points: float
    accuracy_float: float
    images: int


def write_search_page(
    folder: str | Path, rows: SearchRows, about: Mapping[str, str], figures: str | Path | None = None
) -> Path:
    """Write the page beside a search's files; it needs no other file and no network."""
    parts = [_found(rows), _widths(rows), *_needs(rows), Section("about", "What was run", definitions(about))]
    page = Page(f"Bit widths of {rows.name}", f"<p class='lead'>{escape(_lead(rows))}</p>", parts, FILES)
    return write_page(page, folder, "search", figures)


def _lead(rows: SearchRows) -> str:
    widest = max(rows.uniform, key=lambda one: one["bits"])
    saved = 1 - rows.best["energy_pj"] / widest["energy_pj"]
    loss = rows.best["loss_points"]
    change = f"gain {-loss:.2f} points" if loss < 0 else f"lose {loss:.2f} points (at most {rows.floor_points:g})"
    return (
        f"Widths a layer that take {quantity(rows.best['energy_pj'], ENERGY_UNITS)} an image and {change}: "
        f"{percent(saved)} less energy than "
        f"{whole(widest['bits'])} bits everywhere. {percent(rows.best['accuracy'])} of {whole(rows.images)} training images "
        f"that calibrated nothing are right, {percent(rows.accuracy_float)} in float."
    )


def _found(rows: SearchRows) -> Section:
    text = "Every assignment that was tried, beside one width everywhere. What lies below the dotted line loses too much."
    columns = {
        "accuracy": Column("accuracy", percent),
        "loss_points": Column("points lost", number),
        "agreement": Column("agreement", percent),
        "energy_nj": Column("energy, nJ", number),
    }
    tried = pd.DataFrame(rows.trials).assign(trial=range(len(rows.trials)))
    even = pd.DataFrame(rows.uniform)
    tables = "".join(
        table(frame.assign(energy_nj=frame["energy_pj"] / 1e3), {key: Column(key, whole)} | columns, caption)
        for frame, key, caption in ((tried, "trial", "trials"), (even, "bits", "one width everywhere"))
    )
    panel = (("Accuracy against energy", _plane(rows)),)
    return Section("found", "What was tried", f"<p>{escape(text)}</p>", (panel,), details("Numbers: what was tried", tables))


def _plane(rows: SearchRows) -> go.Figure:
    energies = [one["energy_pj"] for one in (*rows.trials, *rows.uniform)]
    size, unit = best_unit(max(energies), ENERGY_UNITS)
    figure = go.Figure()
    even = sorted(rows.uniform, key=lambda one: one["bits"])
    kinds = (
        ("tried", rows.trials, QUIET, "circle", [f"trial {place}" for place in range(len(rows.trials))]),
        ("one width everywhere", even, SERIES[1], "square", [f"{one['bits']:g} bits" for one in even]),
        ("chosen", [rows.best], SERIES[0], "star", ["chosen"]),
    )
    for name, points, color, symbol, texts in kinds:
        figure.add_scatter(
            name=name,
            mode="markers+text" if name == "one width everywhere" else "markers",
            x=[one["energy_pj"] / size for one in points],
            y=[100 * one["accuracy"] for one in points],
            text=texts,
            textposition="top center",
            textfont={"size": 10, "color": QUIET},
            marker={"color": color, "symbol": symbol, "size": 14 if name == "chosen" else 9},
            customdata=[[text, one["loss_points"]] for text, one in zip(texts, points, strict=True)],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{x:,.4~g}} {unit}, %{{y:.2f}} %, %{{customdata[1]:.2f}} points lost"
            "<extra></extra>",
        )
    floor = 100 * rows.accuracy_float - rows.floor_points
    figure.add_hline(y=floor, line={"color": VERMILION, "dash": "dot", "width": 1.5})
    dotted(figure, f"{how_many(rows.floor_points, 'points')} below float", VERMILION)
    return finish_plane(figure, f"energy of one image, {unit}", "accuracy, %")


def _widths(rows: SearchRows) -> Section:
    layers = [str(one["layer"]) for one in rows.widths]
    figure = go.Figure()
    for key, (name, color) in OPERANDS.items():
        figure.add_bar(
            name=name,
            orientation="h",
            y=list(range(len(layers))),
            x=[one[key] for one in rows.widths],
            marker_color=color,
            customdata=[escape(layer) for layer in layers],
            hovertemplate=f"<b>%{{customdata}}</b><br>{name}: %{{x}} bits<extra></extra>",
        )
    labels = [label(name) for name in labels_apart(layers)]
    finish(figure, labels, "bits", mode="group", rows=1.5 * len(layers))
    columns = {"layer": Column("layer")} | {key: Column(f"bits of {name}", whole) for key, (name, _) in OPERANDS.items()}
    numbers = details("Numbers: widths", table(pd.DataFrame(rows.widths), columns))
    text = "Widths of each layer's weights and inputs, as formats.toml has them for addersim simulate --formats."
    return Section("widths", "What was found", f"<p>{escape(text)}</p>", ((("Bits by layer", figure),),), numbers)


def _needs(rows: SearchRows) -> list[Section]:
    scan = pd.DataFrame(rows.scan)
    if scan.empty:
        return []
    text = "One layer at a time narrower, all else at the widest: how many predictions change."
    if scan["agreement"].min() == 1:
        text = f"{text} None does, down to {how_many(scan['bits'].min(), 'bits')}."
        return [Section("sensitivity", "Which layers need bits", f"<p>{escape(text)}</p>", ())]
    panels = tuple((f"{name.capitalize()}", sensitivity(scan, key)) for key, (name, _) in OPERANDS.items())
    return [Section("sensitivity", "Which layers need bits", f"<p>{escape(text)}</p>", (panels,))]
