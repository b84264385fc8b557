"""Points of a sweep: what tells them apart, in words and colours, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from addersim.arithmetic.fixed import Accumulator
from addersim.report.markup import percent
from addersim.report.style import network_colors

__all__ = ["AXES", "Points", "plain_bits"]

AXES: Mapping[str, str] = MappingProxyType(
    {
        "network": "network",
        "weight_bits": "weight bits",
        "activation_bits": "activation bits",
        "accumulator": "accumulator",
        "circuit": "circuit",
        "clip_weights": "weights clipped",
        "calibration": "calibration",
        "correction": "correction",
        "multiplier": "multiplier",
        "accelerator": "accelerator",
        "table": "energy table",
        "batch": "batch",
    }
)
"""Columns that place a point, and their names for people."""
WIDTHS = ("weight_bits", "activation_bits")


@dataclass(frozen=True, slots=True)
class Points:
    """A sweep's results, ready to be told and drawn.

    Attributes
    ----------
    frame
        As from `sweep_frame`, and ``point``, the number of each row, ``series``, the network with its circuit where several
        were swept, and ``loss_points``, how far accuracy lies below the float network's, in points of a hundred.
    done
        Those with accuracy and energy, as plain floats.
    axes
        Keys of `AXES` on which the points differ.
    """

    frame: pd.DataFrame
    done: pd.DataFrame
    axes: tuple[str, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Points:
        """What a frame of `sweep_frame` says."""
        axes = tuple(axis for axis in AXES if frame[axis].replace("", pd.NA).nunique() > 1)
        circuits = frame["circuit"].where(frame["circuit"] != "", pd.NA)
        several = frame.assign(circuit=circuits).groupby("network")["circuit"].transform("nunique") > 1
        series = frame["network"].where(~several, frame["network"] + ", " + circuits.fillna(""))
        loss = (100 * (frame["accuracy_float"] - frame["accuracy"])).astype("Float64").round(9)
        everything = frame.assign(point=range(len(frame)), series=series, loss_points=loss)
        known = everything[everything["energy_pj"].notna() & everything["accuracy"].notna()]
        numbers = [name for name in known if name.endswith("_pj") or name in _FLOATS]
        return cls(everything, known.astype(dict.fromkeys(numbers, "float64")), axes)

    def fewer(self, most: int) -> Points:
        """At most `most` points: the Pareto-optimal points first, then others at even distances in the study's order."""
        if len(self.frame) <= most:
            return self
        first = self.frame[self.frame["pareto"]].head(most)
        others = self.frame.drop(first.index)
        step = -(-len(others) // max(most - len(first), 1))
        kept = pd.concat([first, others.iloc[::step]]).head(most).sort_index()
        return Points(kept, self.done.loc[self.done.index.intersection(kept.index)], self.axes)

    @property
    def failed(self) -> pd.DataFrame:
        """Points that have an error instead."""
        return self.frame[self.frame["error"] != ""]

    @property
    def waiting(self) -> int:
        """Points that are still to be done."""
        return len(self.frame) - len(self.done) - len(self.failed)

    @property
    def together(self) -> bool:
        """Whether weights and activations have the same width at every point."""
        return bool((self.frame["weight_bits"] == self.frame["activation_bits"]).all())

    @property
    def series(self) -> dict[str, str]:
        """Colour of each series, in order."""
        first = self.frame.drop_duplicates("series")
        return network_colors(dict(zip(first["series"], first["arithmetic"], strict=True)))

    def words(self, row: Mapping[str, Any], *, without: Sequence[str] = ()) -> str:
        """A point in words: its network, widths, and whatever else differs in this sweep."""
        parts = [] if "network" in without else [str(row["network"])]
        if not set(WIDTHS) <= set(without):
            parts.append(plain_bits(int(row["weight_bits"]), int(row["activation_bits"])))
        if "accumulator" in self.axes and "accumulator" not in without:
            parts.append(register(row["accumulator"]))
        if "circuit" in self.axes and row["circuit"]:
            parts.append(f"circuit {row['circuit']}")
        if "clip_weights" in self.axes and not pd.isna(row["clip_weights"]):
            parts.append("weights clipped" if row["clip_weights"] else "weights not clipped")
        parts += [f"{AXES[axis]} {row[axis]}" for axis in ("calibration", "correction") if axis in self.axes]
        if "multiplier" in self.axes and row["multiplier"]:
            parts.append(f"multiplier {row['multiplier']}")
        if "accelerator" in self.axes and "accelerator" not in without:
            parts.append(f"on {row['accelerator']}")
        if "batch" in self.axes:
            parts.append(f"batch of {row['batch']}")
        if "table" in self.axes and "table" not in without:
            parts.append(f"prices of {row['table']}")
        return ", ".join(parts)

    def floats(self) -> dict[str, float]:
        """Accuracy of each float network."""
        known = self.frame[self.frame["accuracy_float"].notna()].drop_duplicates("network")
        return {str(name): float(value) for name, value in zip(known["network"], known["accuracy_float"], strict=True)}


_FLOATS = ("accuracy", "accuracy_float", "agreement", "loss_points", "latency_ms", "overflowed_share")


def plain_bits(weights: int, activations: int) -> str:
    """Widths in words.

    Examples
    --------
    >>> plain_bits(4, 4), plain_bits(3, 6)
    ('4 bits', 'weights of 3 and activations of 6 bits')
    """
    return f"{weights} bits" if weights == activations else f"weights of {weights} and activations of {activations} bits"


def register(text: str) -> str:
    """An accumulator in words.

    Examples
    --------
    >>> register("12:saturate"), register("exact")
    ('12-bit register that saturates', 'exact registers')
    """
    found = Accumulator.parse(text)
    if found.bits is None:
        return "exact registers"
    how = {"exact": "is exact", "wrap": "wraps", "saturate": "saturates"}[found.overflow]
    return f"{found.bits}-bit register that {how}"


def accuracy_words(row: Mapping[str, Any]) -> str:
    """Accuracy with what is lost against float."""
    loss = float(row["loss_points"])
    return f"{percent(float(row['accuracy']))}, {abs(loss):.2f} points {'below' if loss >= 0 else 'above'} float"
