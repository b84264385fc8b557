"""Modules: stages of a large network in groups by the modules that their names tell, so that a figure stays legible."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

__all__ = ["MOST_ROWS", "by_module", "large", "module_names"]

MOST_ROWS = 40
"""Rows of a figure that are taken in at a glance; of more, modules are drawn first. Chosen."""


def module_names(names: Sequence[str], most: int = MOST_ROWS) -> dict[str, str]:
    """The module of each name, told by as many of its parts as leave at most so many modules.

    Examples
    --------
    >>> module_names(["a.0.x", "a.0.y", "a.1.x", "b"], most=3)
    {'a.0.x': 'a.0', 'a.0.y': 'a.0', 'a.1.x': 'a.1', 'b': 'b'}
    """
    deepest = max((name.count(".") for name in names), default=0) + 1
    for depth in range(deepest, 0, -1):
        found = {name: ".".join(name.split(".")[:depth]) for name in names}
        if len(set(found.values())) <= most:
            return found
    return {name: name.split(".")[0] for name in names}


def by_module(frame: pd.DataFrame, most: int = MOST_ROWS) -> pd.DataFrame:
    """A table whose stages are modules, of networks that have more stages than are legible; others as they are."""
    parts = []
    for network, part in frame.groupby("network", sort=False):
        stages = part["stage"].unique().tolist()
        known = module_names(stages, most) if len(stages) > most else {}
        found = part.assign(stage=[known.get(stage, stage) for stage in part["stage"]])
        counts = found.assign(whole=part["stage"]).groupby("stage")["whole"].nunique() if known else {}
        several = {stage for stage, number in dict(counts).items() if number > 1}
        if several and "kind" in found:
            alike = found["stage"].isin(several)
            found = found.assign(kind=found["kind"].mask(alike, ""), datapath=found["datapath"].mask(alike, ""))
        parts.append(found.assign(network=network))
    return pd.concat(parts) if parts else frame


def large(frame: pd.DataFrame, network: str, most: int = MOST_ROWS) -> bool:
    """Whether a network has more stages than are legible, and modules to draw in their place."""
    stages = frame[(frame["network"] == network) & (frame["stage"] != "")]["stage"].unique().tolist()
    return len(stages) > most and len(set(module_names(stages, most).values())) < len(stages)
