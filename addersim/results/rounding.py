"""Two requantisation rules on one program and the same images: where their codes part, and what that does to the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.datasets.records import Images as ImageSet
from addersim.datasets.records import pixels_and_labels
from addersim.errors import DataError, check_kind
from addersim.format_quantity import how_many
from addersim.images import ManyImages
from addersim.kernels.batches import in_batches
from addersim.program import Program
from addersim.simulation import check_labels
from addersim.tabular import Row, Tabular, percent

__all__ = ["LayerDifference", "RoundingComparison", "compare_rounding"]

Array = npt.NDArray[Any]

TOGETHER = 32
"""Images of a batch: all values of all layers are held, twice."""


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """How the codes, or sums, of one layer differ between two rules.

    Attributes
    ----------
    name, kind
        The layer.
    codes, differing, largest
        How many there are over all images, how many differ, and by how much at most.
    images
        On how many images any does.
    """

    name: str
    kind: str
    codes: int
    differing: int
    largest: int
    images: int


@dataclass(frozen=True, slots=True, repr=False)
class RoundingComparison(Tabular):
    """What `compare_rounding` found.

    Attributes
    ----------
    network, images
        Name of the network and number of images.
    rules
        The two.
    layers
        Differences of all layers, in order.
    first
        The first layer that differs; None where none does.
    agreement
        Share of images for which both choose the same class.
    accuracies
        Under each rule; None without labels.
    """

    network: str
    images: int
    rules: tuple[str, str]
    layers: tuple[LayerDifference, ...]
    first: LayerDifference | None
    agreement: float
    accuracies: tuple[float, float] | None

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        return asdict(self)

    def to_rows(self) -> list[Row]:
        """One row a layer."""
        shared = {"network": self.network, "first_rule": self.rules[0], "second_rule": self.rules[1], "of_images": self.images}
        return [shared | asdict(layer) for layer in self.layers]

    def in_words(self) -> str:
        """The first layer that differs, by how much, and on how many images."""
        if self.first is None:
            return f"none: {how_many(sum(layer.codes for layer in self.layers), 'codes')} are equal"
        first = self.first
        codes = f"{first.differing:,} of {first.codes:,} codes, by at most {first.largest:,}"
        return f"{first.name}: {codes}, on {first.images:,} of {how_many(self.images, 'images')}"

    def _title(self) -> str:
        return f"{self.network}, {how_many(self.images, 'images')}: {self.rules[0]} beside {self.rules[1]}"

    def figures(self) -> dict[str, str]:
        """The first layer that differs, and what the rules do to the answers, in words."""
        found = {"first difference": self.in_words(), "agreement": percent(self.agreement)}
        if self.accuracies is not None:
            found["accuracy"] = ", ".join(
                f"{rule} {percent(one)}" for rule, one in zip(self.rules, self.accuracies, strict=True)
            )
        return found

    def _figures(self) -> dict[str, str]:
        return self.figures()

    def lines(self) -> list[Row]:
        """One row a layer, for people."""
        kept = ("kind", "codes", "differing", "largest", "images")
        return [{"layer": layer.name} | {key: getattr(layer, key) for key in kept} for layer in self.layers]

    def _lines(self) -> list[Row]:
        return self.lines()


def compare_rounding(
    program: Program,
    images: ManyImages | ImageSet,
    first: str,
    second: str,
    labels: npt.ArrayLike | None = None,
    *,
    threads: int | None = None,
) -> RoundingComparison:
    """Run a program under two requantisation rules, and compare what every layer gives, code by code.

    Parameters
    ----------
    program
        Calibrated program.
    images, labels, threads
        As in `addersim.simulate`.
    first, second
        Names in `addersim.arithmetic.requantisation.RULES`.

    Raises
    ------
    FormatError, NetworkError, DataError
        For names that are no rules, layers that cannot run under one, and images or labels that do not fit.
    """
    check_kind(program, Program, "compare_rounding: program")
    pixels, labels = pixels_and_labels(images, labels)
    if len(pixels) == 0:
        raise DataError(f"program {program.name}: no images to compare on")
    known = None if labels is None else check_labels(labels, len(pixels), program.outputs)
    both = [program.with_rounding(rule).prepared() for rule in (first, second)]
    parts: list[tuple[Array, tuple[Array, Array]]] = []

    def part(chosen: slice, share: int) -> tuple[Array, tuple[Array, Array]]:
        rows, together = [], pixels[chosen]
        for (_, one), (_, other) in zip(*(prepared.runs(together, share) for prepared in both), strict=True):
            rows.append(_difference(one.values, other.values))
            last = _choices(one.values), _choices(other.values)
        return np.array(rows), last

    for _, found in in_batches(part, len(pixels), TOGETHER, threads):
        parts.append(found)
    choices = [np.concatenate([last[rule] for _, last in parts]) for rule in range(2)]
    layers = _layers(program, [rows[1:] for rows, _ in parts])
    return RoundingComparison(
        network=program.name,
        images=len(pixels),
        rules=(first, second),
        layers=layers,
        first=next((layer for layer in layers if layer.differing), None),
        agreement=float((choices[0] == choices[1]).mean()),
        accuracies=None if known is None else (float((choices[0] == known).mean()), float((choices[1] == known).mean())),
    )


def _difference(one: Array | None, other: Array | None) -> tuple[int, int, int, int]:
    """Codes, how many differ, by how much at most, and on how many images."""
    assert one is not None
    assert other is not None
    apart = np.abs(one.astype(np.int64) - other).reshape(len(one), -1)
    return apart.size, int(np.count_nonzero(apart)), int(apart.max(initial=0)), int(apart.any(axis=1).sum())


def _choices(values: Array | None) -> Array:
    assert values is not None
    chosen: Array = values.reshape(len(values), -1).argmax(axis=1)
    return chosen


def _layers(program: Program, parts: Sequence[Array]) -> tuple[LayerDifference, ...]:
    """Of all batches together."""
    found = np.array(parts)
    sums, largest = found.sum(axis=0), found[:, :, 2].max(axis=0)
    return tuple(
        LayerDifference(layer.name, layer.kind(), int(codes), int(differing), int(most), int(images))
        for layer, (codes, differing, _, images), most in zip(program.layers, sums, largest, strict=True)
    )
