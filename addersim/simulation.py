"""Simulate: run a program on images, bit for bit, and compare it with the float network that it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.errors import DataError
from addersim.layers import Engine, Run
from addersim.network import INPUT, Images, Network
from addersim.program import Program
from addersim.trace import Observed, Trace, find_convention

__all__ = ["LayerError", "Simulation", "check_labels", "count", "simulate"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far one layer's fixed-point values are from the float network's.

    Attributes
    ----------
    name
        The layer in the program.
    relative_error
        Root of the mean square difference over the root of the mean square of the float values.
    """

    name: str
    relative_error: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a simulation found.

    Attributes
    ----------
    network
        Name of the network.
    images
        Number of images.
    accuracy_float, accuracy
        Share of images whose largest score is at the label: float network, program. None without labels; the first also
        without a float network. Equal largest scores count as the first of them, in both.
    agreement
        Share of images for which program and float network choose the same class.
    errors
        Relative error of each layer that stands for a float layer, in order.
    threshold
        Relative error from which a layer counts as departing from float.
    departure
        First of the errors beyond the threshold, or None.
    predictions
        The program's choices, int64, shape ``(images,)``.
    trace
        Operations, words, ranges and overflows, layer by layer.
    """

    network: str
    images: int
    accuracy_float: float | None
    accuracy: float | None
    agreement: float | None
    errors: tuple[LayerError, ...]
    threshold: float
    departure: LayerError | None
    predictions: npt.NDArray[np.int64]
    trace: Trace


def count(program: Program, convention: str = "hardware") -> Trace:
    """Facts of a program for one image, from its shapes and formats alone.

    Parameters
    ----------
    program
        Any program, calibrated or not.
    convention
        ``hardware`` or ``paper``, see `Trace`.
    """
    return program.trace(find_convention(convention))


def simulate(
    program: Program,
    images: Images,
    labels: npt.ArrayLike | None = None,
    network: Network | None = None,
    *,
    batch: int = 100,
    threads: int | None = None,
    engine: Engine = kernels,
    threshold: float = 0.1,
    progress: Callable[[int], None] | None = None,
    float_predictions: npt.ArrayLike | None = None,
) -> Simulation:
    """Run a program on images bit for bit.

    Parameters
    ----------
    program
        Calibrated program.
    images
        uint8 pixels or normalised float32, shape ``(images, channels, height, width)``.
    labels
        Class of each image, for the accuracies.
    network
        The float network, for its accuracy, the agreement and the layers' errors.
    batch
        Images that run together; does not change any result.
    threads
        Kernel threads; does not change any result.
    engine
        `addersim.kernels`, or `addersim.reference` for its slow twin.
    threshold
        Relative error from which a layer counts as departing from float.
    progress
        Called with the number of images done after each batch.
    float_predictions
        The float network's choice for each image, shape ``(images,)``, in place of `network`: many programs of one network
        then share one float run, ``network.run(images).argmax(axis=1)``. There are no errors of layers.

    Raises
    ------
    DataError
        For images or labels of the wrong number, shape, type or range.
    """
    if len(images) == 0:
        raise DataError(f"program {program.name}: no images to simulate")
    if network is not None and float_predictions is not None:
        raise DataError(f"program {program.name}: give the float network or its predictions, not both")
    classes = program.static_values()[program.layers[-1].name].words
    checked = None if labels is None else check_labels(labels, len(images), classes)
    floats = None if float_predictions is None else check_labels(float_predictions, len(images), classes, "float_predictions")
    run = _Run(program, network, engine)
    for start in range(0, len(images), batch):
        run.add(images[start : start + batch], threads)
        if progress:
            progress(min(start + batch, len(images)))
    return run.result(checked, threshold, floats)


def check_labels(labels: npt.ArrayLike, images: int, classes: int, what: str = "labels") -> npt.NDArray[np.int64]:
    """Labels as int64, one an image, each a class."""
    found = np.asarray(labels)
    if found.dtype.kind not in "iu" or found.shape != (images,):
        raise DataError(f"{what}: {found.dtype} of shape {found.shape}; expected {images} whole numbers, one an image")
    wrong = (found < 0) | (found >= classes)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(f"{what}: image {place} has label {found[place]}; allowed are 0..{classes - 1}")
    return found.astype(np.int64)


class _Run:
    """Sums over the batches of one simulation."""

    def __init__(self, program: Program, network: Network | None, engine: Engine):
        self.program, self.network = program, network
        self.prepared = program.prepared(engine, stream=True)
        self.scales = {name: value.scale for name, value in program.static_values().items()}
        self.observed: dict[str, Observed] = {}
        self.squares: dict[str, npt.NDArray[np.float64]] = {}
        self.choices: list[Array] = []
        self.float_choices: list[Array] = []

    def add(self, images: Images, threads: int | None) -> None:
        floats: dict[str, Array] = {}
        wanted = {layer.twin for layer in self.program.layers} | {INPUT}
        if self.network is not None:
            for name, value in self.network.values(images):
                if name in wanted:
                    floats[name] = value
                last = value
            self.float_choices.append(last.argmax(axis=1))
        twins = {INPUT: INPUT} | {layer.name: layer.twin for layer in self.program.layers}
        for name, result in self.prepared.runs(images, threads):
            if result.observed:
                self.observed[name] = merge(self.observed.get(name), result.observed)
            if (twin := twins[name]) in floats:
                expected = floats.pop(twin)
                difference = _values(result) * np.float32(self.scales[name]) - expected
                sums = np.array([np.square(difference, dtype=np.float64).sum(), np.square(expected, dtype=np.float64).sum()])
                self.squares[name] = self.squares.get(name, np.zeros(2)) + sums
        self.choices.append(_values(result).argmax(axis=1))

    def result(self, labels: Array | None, threshold: float, floats: Array | None) -> Simulation:
        chosen = np.concatenate(self.choices)
        if self.float_choices:
            floats = np.concatenate(self.float_choices)
        errors = tuple(
            LayerError(name, float(np.sqrt(wrong / right)) if right else float(wrong > 0))
            for name, (wrong, right) in self.squares.items()
        )
        return Simulation(
            network=self.program.name,
            images=len(chosen),
            accuracy_float=None if labels is None or floats is None else float((floats == labels).mean()),
            accuracy=None if labels is None else float((chosen == labels).mean()),
            agreement=None if floats is None else float((floats == chosen).mean()),
            errors=errors,
            threshold=threshold,
            departure=next((error for error in errors if error.relative_error > threshold), None),
            predictions=chosen,
            trace=self.program.trace("hardware", self.observed, len(chosen)),
        )


def _values(result: Run) -> Array:
    """Codes of a layer that did not stream: one that stands for a float layer, or the last."""
    assert result.values is not None
    return result.values


def merge(first: Observed | None, second: Observed) -> Observed:
    """What two batches saw, together."""
    if first is None:
        return second
    return Observed(
        minimum=min(first.minimum, second.minimum),
        maximum=max(first.maximum, second.maximum),
        overflowed=first.overflowed + second.overflowed,
        outputs=first.outputs + second.outputs,
        bits_needed=max(first.bits_needed, second.bits_needed),
    )
