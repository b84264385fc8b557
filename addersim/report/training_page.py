"""The pages of training: accuracy, loss and rate by epoch, and the recipe; of finetuning also its start and its formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from addersim.format_quantity import how_many
from addersim.processes.result_folders import MARKS, check_kind
from addersim.report.markup import Column, definitions, details, escape, number, percent, table, whole
from addersim.report.section import Page, Section
from addersim.report.style import QUIET, SERIES, VERMILION, dotted, finish_plane
from addersim.report.writing import write_page
from addersim.storage import write_rows

__all__ = ["Finetuned", "write_finetuning_page", "write_training_page"]

FILES = ("history.csv", "network.npz")
FINETUNED_FILES = ("history.csv", MARKS["finetuning"])
SPLITS = {"train": ("training images", SERIES[1]), "test": ("images held out", SERIES[0])}
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
    folder: str | Path,
    history: Sequence[Mapping[str, float]],
    recipe: Mapping[str, str],
    title: str,
    figures: str | Path | None = None,
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
    figures
        Folder for each figure as SVG and PNG too.
    """
    frame = pd.DataFrame(list(history))
    last, best = frame.iloc[-1], frame.loc[frame["test_accuracy"].idxmax()]
    lead = (
        f"{percent(last['test_accuracy'])} of the images held out are right after {how_many(last['epoch'], 'epochs')} "
        f"(the most, {percent(best['test_accuracy'])}, after {whole(best['epoch'])}), {percent(last['train_accuracy'])} of "
        f"the training images. It took {number(round(float(frame['seconds'].sum()), 1))} s."
    )
    panels = (
        ("Accuracy", _lines(frame, "accuracy", "accuracy, %", 100.0)),
        ("Loss", _lines(frame, "loss", "cross entropy", 1.0)),
    )
    text = "After each epoch; the accuracy on training images is that of the steps themselves, while weights still moved."
    parts = (
        Section("epochs", "By epoch", f"<p>{escape(text)}</p>", (panels,), _numbers(frame)),
        Section("rate", "Learning rate", "", ((("Rate", _rate(frame)),),)),
        Section("about", "What was run", definitions(recipe)),
    )
    return write_page(Page(title, f"<p class='lead'>{escape(lead)}</p>", parts, FILES), folder, "training run", figures)


class Finetuned(NamedTuple):
    """What finetuning gave, as plain rows.

    Attributes
    ----------
    name
        Of the network.
    history
        A row an epoch, as ``history.csv`` has them; epoch 0 is quantisation after training, and has only an accuracy.
    accuracy_float
        Of the float network that it started from, on the images held out.
    formats
        A row a layer: ``layer``, ``kind``, and ``weights``, ``before`` and ``after``, formats of its weights and of what
        comes out.
    """

    name: str
    history: Sequence[Mapping[str, float]]
    accuracy_float: float
    formats: Sequence[Mapping[str, str]]


def write_finetuning_page(
    folder: str | Path, found: Finetuned, about: Mapping[str, str], figures: str | Path | None = None
) -> Path:
    """Write the page of a finetuned program, and its tables ``history.csv`` and ``formats.csv`` beside it.

    Parameters
    ----------
    folder
        Where to.
    found
        What came out.
    about
        What was trained and how, by key.
    figures
        Folder for each figure as SVG and PNG too.
    """
    frame = pd.DataFrame(list(found.history))
    before, last = frame["test_accuracy"].iloc[0], frame["test_accuracy"].iloc[-1]
    lead = (
        f"{percent(last)} of the images held out are right on codes after {how_many(len(frame) - 1, 'epochs')}: "
        f"{_points(last - before)} quantisation alone, which gives {percent(before)}, and "
        f"{_points(last - found.accuracy_float)} float, {percent(found.accuracy_float)}."
    )
    accuracy = _lines(frame, "accuracy", "accuracy, %", 100.0)
    for name, value, color in (("in float", found.accuracy_float, QUIET), ("quantised, not trained", before, VERMILION)):
        accuracy.add_hline(y=100 * value, line={"color": color, "dash": "dot", "width": 1.5})
        dotted(accuracy, name, color)
    trained = frame.iloc[1:]
    panels = (("Accuracy", accuracy), ("Loss", _lines(trained, "loss", "cross entropy", 1.0)))
    text = (
        "After each epoch, the program that the simulator runs; the accuracy on training images is that of the steps "
        "themselves, while weights still moved. Epoch 0 is the network as quantisation alone gives it."
    )
    columns = {
        "layer": Column("layer"),
        "kind": Column("kind"),
        "weights": Column("weights"),
        "before": Column("output before"),
        "after": Column("output after"),
    }
    kept = "Widths stay as they were asked for; training moves the step that each code is worth."
    tables = details("Numbers: formats", table(pd.DataFrame(list(found.formats)), columns))
    parts = (
        Section("epochs", "By epoch", f"<p>{escape(text)}</p>", (panels,), _numbers(frame)),
        Section("formats", "Formats", f"<p>{escape(kept)}</p>", (), tables),
        Section("about", "What was run", definitions(about)),
    )
    check_kind(folder, "finetuning")
    for name, rows in zip(FINETUNED_FILES, (found.history, found.formats), strict=True):
        write_rows(Path(folder, name), rows)
    page = Page(f"{found.name}, trained on its codes", f"<p class='lead'>{escape(lead)}</p>", parts, FINETUNED_FILES)
    return write_page(page, folder, "finetuning", figures)


def _points(difference: float) -> str:
    """Points more or fewer than something.

    Examples
    --------
    >>> _points(0.0123), _points(-0.02)
    ('1.23 points more than', '2.00 points fewer than')
    """
    return f"{100 * abs(difference):.2f} points {'fewer' if difference < 0 else 'more'} than"


def _numbers(frame: pd.DataFrame) -> str:
    return details("Numbers: epochs", table(frame, {key: one for key, one in COLUMNS.items() if key in frame}))


def _lines(frame: pd.DataFrame, what: str, title: str, scale: float) -> go.Figure:
    figure = go.Figure()
    for split, (name, color) in SPLITS.items():
        if (key := f"{split}_{what}") in frame:
            _line(figure, frame, [scale * float(one) for one in frame[key]], name, color)
    return _by_epoch(finish_plane(figure, "epoch", title, height=300), frame)


def _rate(frame: pd.DataFrame) -> go.Figure:
    figure = go.Figure()
    _line(figure, frame, frame["rate"].tolist(), "rate", SERIES[2])
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
