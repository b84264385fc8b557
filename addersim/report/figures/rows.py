"""Rows: what figures of several networks have in common."""

from __future__ import annotations

import pandas as pd

from addersim.report.frames import kinds
from addersim.report.style import label

__all__ = ["of_network", "stage_labels"]


def of_network(frame: pd.DataFrame, network: str) -> pd.DataFrame:
    return frame[frame["network"] == network]


def stage_labels(frame: pd.DataFrame) -> list[str]:
    """Names of one network's stages, with the circuit or kind of the first layer."""
    first = frame.assign(kind=kinds(frame)).drop_duplicates("stage")
    return [label(stage, kind) for stage, kind in zip(first["stage"], first["kind"], strict=True)]
