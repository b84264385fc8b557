"""Rows: what figures of several networks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import pandas as pd

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.report.frames import kinds
from addersim.report.style import LABEL_CHARACTERS, label, labels_apart, network_colors, short

__all__ = ["colors_of", "design_labels", "of_network", "stage_labels"]

LINE_ROWS = 0.6
"""Height that each further line of a name takes, in rows."""


def of_network(frame: pd.DataFrame, network: str) -> pd.DataFrame:
    return frame[frame["network"] == network]


def stage_labels(frame: pd.DataFrame) -> list[str]:
    """Names of one network's stages, with the circuit or kind of the first layer."""
    first = frame.assign(kind=kinds(frame)).drop_duplicates("stage")
    return [label(stage, kind) for stage, kind in zip(labels_apart(first["stage"].tolist()), first["kind"], strict=True)]


def colors_of(frame: pd.DataFrame) -> dict[str, str]:
    """Colour of each network of a table that has datapaths."""
    known = frame[frame["datapath"] != ""].groupby("network", sort=False)["datapath"].unique()
    lanes = {name: sorted({DATAPATHS[one].arithmetic.name for one in found}) for name, found in known.items()}
    return network_colors({name: "+".join(lanes.get(name, ())) for name in frame["network"].unique()})


def _lines(name: str) -> list[str]:
    """A name of words, as many on a line as there is room for."""
    return wrap(name, LABEL_CHARACTERS, break_long_words=False, break_on_hyphens=False) or [name]


def design_labels(names: Sequence[str]) -> tuple[list[str], float]:
    """Names of designs, one part a line, for the left of a figure; and the height that these need, in rows."""
    parts = [[line for part in name.split(", ") for line in _lines(part)] for name in names]
    lines = max(map(len, parts), default=1)
    return ["<br>".join(label(short(part)) for part in one) for one in parts], len(names) * (1 + LINE_ROWS * (lines - 1))
