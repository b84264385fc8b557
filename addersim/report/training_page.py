"""The page of a training run: accuracy, loss and rate by epoch, and the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from addersim.report.document import render_document
from addersim.report.markup import Column, definitions, details, escape, number, percent, table, whole
from addersim.report.section import Section
from addersim.report.style import RESOURCES, finish_plane
from addersim.storage import write_atomically

__all__ = ["write_training_page"]

PAGE = "index.html"
FILES = ("history.csv", "network.npz")
SPLITS = {"train": ("training images", RESOURCES["dram"]), "test": ("images held out", RESOURCES["array"])}
COLUMNS = {
    "epoch": Column("epoch", whole),
    "rate": Column("rate", number),
    "train_loss": Column("training loss", number),
    "train_accuracy": Column("training accuracy", percent),
    "test_loss": Column("loss held out", number),
    "test_accuracy": Column("accuracy held out", percent),
    "seconds": Column("seconds", number),
}


def write_training_page(
    folder: str | Path, history: Sequence[Mapping[str, float]], recipe: Mapping[str, str], title: str
) -> Path:
    """Write the page of a run beside its files.

    Parameters
    ----------
    folder
        Of the run.
    history
        A row an epoch, as ``history.csv`` has them.
    recipe
        What was trained and how, by key.
    title
        Heading of the page.
    """
    frame = pd.DataFrame(list(history))
    last, best = frame.iloc[-1], frame.loc[frame["test_accuracy"].idxmax()]
    lead = (
        f"{percent(last['test_accuracy'])} of the images held out are right after {whole(last['epoch'])} epochs "
        f"(the most, {percent(best['test_accuracy'])}, after {whole(best['epoch'])}), {percent(last['train_accuracy'])} of "
        f"the training images. It took {number(round(float(frame['seconds'].sum()), 1))} s."
    )
    panels = (
        ("Accuracy", _lines(frame, "accuracy", "accuracy, %", 100.0)),
        ("Loss", _lines(frame, "loss", "cross entropy", 1.0)),
    )
    numbers = details("Numbers: epochs", table(frame, {key: one for key, one in COLUMNS.items() if key in frame}))
    text = "After each epoch; the accuracy on training images is that of the steps themselves, while weights still moved."
    parts = (
        Section("epochs", "By epoch", f"<p>{escape(text)}</p>", (panels,), numbers),
        Section("rate", "Learning rate", "", ((("Rate", _rate(frame)),),)),
        Section("about", "What was run", definitions(recipe)),
    )
    page = Path(folder, PAGE)
    with write_atomically(page, "w") as stream:
        stream.write(render_document(title, f"<p class='lead'>{escape(lead)}</p>", parts, FILES))
    return page


def _lines(frame: pd.DataFrame, what: str, title: str, scale: float) -> go.Figure:
    figure = go.Figure()
    for split, (name, color) in SPLITS.items():
        _line(figure, frame, [scale * float(one) for one in frame[f"{split}_{what}"]], name, color)
    return _by_epoch(finish_plane(figure, "epoch", title, height=300), frame)


def _rate(frame: pd.DataFrame) -> go.Figure:
    figure = go.Figure()
    _line(figure, frame, frame["rate"].tolist(), "rate", RESOURCES["buffer"])
    return _by_epoch(finish_plane(figure, "epoch", "rate", height=220), frame)


def _by_epoch(figure: go.Figure, frame: pd.DataFrame) -> go.Figure:
    """Marks at whole epochs only."""
    return figure.update_xaxes(dtick=max(1, -(-len(frame) // 10)), tick0=0)


def _line(figure: go.Figure, frame: pd.DataFrame, values: Sequence[float], name: str, color: str) -> None:
    figure.add_scatter(
        name=name,
        mode="lines+markers" if len(frame) <= 40 else "lines",
        x=frame["epoch"].tolist(),
        y=list(values),
        line={"color": color, "width": 2},
        marker={"color": color, "symbol": "circle", "size": 6},
        hovertemplate=f"epoch %{{x}}<br>{name}: %{{y:.4~g}}<extra></extra>",
    )
