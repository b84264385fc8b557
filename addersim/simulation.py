"""Simulate: run a program on images, bit for bit, and compare it with the float network that it came from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.datasets.records import Images as ImageSet
from addersim.datasets.records import pixels_and_labels
from addersim.engines import find_engine
from addersim.errors import DataError, check_kind
from addersim.format_quantity import how_many
from addersim.images import ManyImages
from addersim.kernels.batches import in_batches, threads_of_call
from addersim.layers import Engine
from addersim.network import INPUT, Network
from addersim.program import SIGNED_INPUT, Program
from addersim.simulated_batches import Part, RunBeside
from addersim.tabular import Row, Tabular, layer_rows, percent
from addersim.trace import Observed, Trace, find_convention
from addersim.zeros import summed_zeros

__all__ = ["LayerError", "Simulation", "check_labels", "count", "simulate"]

_LOG = logging.getLogger(__name__)

Array = npt.NDArray[Any]

MUCH_CLIPPED = 0.01
"""Share of input values beyond the calibrated range from which a result is doubtful."""


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


@dataclass(frozen=True, slots=True, repr=False)
class Simulation(Tabular):
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
    preprocessing
        How the images were prepared, in words.
    input
        Format of the input's codes.
    input_clipped
        Share of the images' values beyond that format: they saturated.
    warnings
        What makes these figures doubtful, a line each.

    Examples
    --------
    >>> from addersim import load_images, load_network, quantize
    >>> network, images = load_network("lenet5-adder"), load_images("fashion-mnist-2000", limit=50)
    >>> found = simulate(quantize(network, images.pixels), images.pixels, images.labels, network)
    >>> found
    <Simulation lenet5-adder, 50 images, bit for bit: accuracy 88.00 %, float 88.00 %, agreement 100.00 %, overflows 6>
    >>> print(found)  # doctest: +ELLIPSIS
    lenet5-adder, 50 images, bit for bit
    layer       kind      minimum  maximum  overflowed  bits needed     error
    ...
    accuracy 88.00 %, float 88.00 %, agreement 100.00 %, overflows 6
    >>> found.to_dict()["accuracy"] == found.accuracy, len(found.to_frame()) == len(found.trace.layers)
    (True, True)
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
    preprocessing: str = ""
    input: str = ""
    input_clipped: float = 0.0
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([Tabular.__str__(self), *(f"warning: {one}" for one in self.warnings)])

    def to_dict(self) -> Row:
        """Plain values, ready for JSON, without the choice for each image."""
        accuracies = ("network", "images", "accuracy_float", "accuracy", "agreement", "threshold")
        plain = (*accuracies, "preprocessing", "input", "input_clipped", "warnings")
        errors = {error.name: error.relative_error for error in self.errors}
        facts = ("name", "kind", "datapath", "output_format", "accumulator_bits")
        return {key: getattr(self, key) for key in plain} | {
            "departure": self.departure and asdict(self.departure),
            "layers": [
                {key: getattr(layer, key) for key in facts}
                | {"observed": layer.observed and asdict(layer.observed), "relative_error": errors.get(layer.name)}
                | {"input_zeros": [one.share for one in layer.zeros], "zero_taps": layer.zero_taps}
                for layer in self.trace.layers
            ],
        }

    def to_rows(self) -> list[Row]:
        """One row a layer; what was observed in columns of its own, None where nothing was."""
        rows = layer_rows(self.to_dict(), ("network", "images"))
        for row, layer in zip(rows, self.trace.layers, strict=True):
            row |= {one.name: layer.observed and getattr(layer.observed, one.name) for one in fields(Observed)}
        return rows

    def _title(self) -> str:
        return f"{self.network}, {how_many(self.images, 'images')}, bit for bit"

    def _figures(self) -> dict[str, str]:
        shares = {"accuracy": self.accuracy, "float": self.accuracy_float, "agreement": self.agreement}
        overflowed = sum(layer.observed.overflowed for layer in self.trace.layers if layer.observed)
        return {name: percent(one) for name, one in shares.items() if one is not None} | {"overflows": f"{overflowed:,}"}

    def _lines(self) -> list[Row]:
        return [
            {
                "layer": row["layer"],
                "kind": row["datapath"] or row["kind"],
                **{key.replace("_", " "): row[key] for key in ("minimum", "maximum", "overflowed", "bits_needed")},
                "error": row["relative_error"],
            }
            for row in self.to_rows()
        ]


def count(program: Program, convention: str = "hardware") -> Trace:
    """Facts of a program for one image, from its shapes and formats alone.

    Parameters
    ----------
    program
        Any program, calibrated or not.
    convention
        ``hardware`` or ``paper``, see `Trace`.
    """
    check_kind(program, Program, "count: program", "addersim.quantize(network, None) makes one that can be counted")
    return program.trace(find_convention(convention))


def simulate(
    program: Program,
    images: ManyImages | ImageSet,
    labels: npt.ArrayLike | None = None,
    network: Network | None = None,
    *,
    batch: int | None = None,
    threads: int | None = None,
    engine: str | Engine = kernels,
    threshold: float = 0.1,
    progress: Callable[[int], None] | None = None,
    float_predictions: npt.ArrayLike | None = None,
    multiplier: MultiplierTable | None = None,
    rounding: str | None = None,
) -> Simulation:
    """Run a program on images bit for bit.

    Parameters
    ----------
    program
        Calibrated program.
    images
        uint8 pixels or normalised float32, shape ``(images, channels, height, width)``; for a program that takes codes, those
        or the real values that they stand for; or `addersim.Images`, as `load_images` gives them, whose labels are then taken.
    labels
        Class of each image, for the accuracies.
    network
        The float network, for its accuracy, the agreement and the layers' errors.
    batch
        Images that run together in one thread; None takes up to 1000, as far as their values fit some megabytes. Does not
        change any result.
    threads
        How many; None takes what OpenMP would. Does not change any result.
    engine
        What runs the layers: ``kernels``, ``reference`` (its slow twin) or ``rtl`` (window layers in the package's Verilog,
        compiled), or a module with their functions. Does not change any result.
    threshold
        Relative error from which a layer counts as departing from float.
    progress
        Called with the number of images done after each batch.
    float_predictions
        The float network's choice for each image, shape ``(images,)``, in place of `network`: many programs of one network
        then share one float run, ``network.run(images).argmax(axis=1)``. There are no errors of layers.
    multiplier
        Multiplies in all multiplying window layers, as `Program.with_multiplier` says, which also takes single layers.
    rounding
        Name of the requantisation rule by which sums become codes, as `Program.with_rounding` says; None: the program's own.

    Raises
    ------
    DataError
        For images or labels of the wrong number, shape, type or range.
    NetworkError
        For a program that gives no scores, or layers that a multiplier cannot take.
    """
    check_kind(program, Program, "simulate: program")
    pixels, labels = pixels_and_labels(images, labels)
    if len(pixels) == 0:
        raise DataError(f"program {program.name}: no images to simulate")
    if multiplier is not None:
        program = program.with_multiplier(multiplier)
    if rounding is not None:
        program = program.with_rounding(rounding)
    if network is not None and float_predictions is not None:
        raise DataError(f"program {program.name}: give the float network or its predictions, not both")
    classes = program.outputs
    checked = None if labels is None else check_labels(labels, len(pixels), classes)
    floats = None if float_predictions is None else check_labels(float_predictions, len(pixels), classes, "float_predictions")
    run = RunBeside.of(program, network, find_engine(engine, program.layers))
    together = run.fitting_batch(threads_of_call(len(pixels), threads)) if batch is None else batch
    _LOG.info(
        "simulate: %s on %s, batches of %d%s",
        program.name,
        how_many(len(pixels), "images"),
        together,
        "" if network is None else ", beside float",
    )
    parts = []
    for done, part in in_batches(lambda part, share: run.part(pixels[part], share), len(pixels), together, threads):
        parts.append(part)
        if progress:
            progress(done)
    return _result(run, parts, checked, threshold, floats, pixels.dtype != np.float32)


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


def _result(
    run: RunBeside, parts: Sequence[Part], labels: Array | None, threshold: float, floats: Array | None, pixels: bool
) -> Simulation:
    """What all batches showed together."""
    chosen = np.concatenate([part.choices for part in parts])
    observed = {name: _together([part.observed[name] for part in parts]) for name in parts[0].observed}
    if run.network is not None:
        floats = np.concatenate([part.float_choices for part in parts])
    zeros = {name: summed_zeros([part.zeros[name] for part in parts]) for name in parts[0].zeros}
    squares = {name: np.hstack([part.squares[name] for part in parts]) for name in parts[0].squares}
    sums = {name: (math.fsum(wrong), math.fsum(right)) for name, (wrong, right) in squares.items()}
    errors = tuple(
        LayerError(name, math.sqrt(wrong / right) if right else float(wrong > 0)) for name, (wrong, right) in sums.items()
    )
    clipped = sum(part.clipped for part in parts) / (len(chosen) * run.values[INPUT].words)
    return Simulation(
        network=run.program.name,
        images=len(chosen),
        accuracy_float=None if labels is None or floats is None else float((floats == labels).mean()),
        accuracy=None if labels is None else float((chosen == labels).mean()),
        agreement=None if floats is None else float((floats == chosen).mean()),
        errors=errors,
        threshold=threshold,
        departure=next((error for error in errors if error.relative_error > threshold), None),
        predictions=chosen,
        trace=run.program.trace("hardware", observed, len(chosen), zeros),
        preprocessing=str(run.program.preprocessing) if pixels else "float images, prepared before",
        input=" ".join(filter(None, (str(run.program.input), run.program.metadata.get(SIGNED_INPUT, "")))),
        input_clipped=clipped,
        warnings=_warnings(run.program, pixels, clipped),
    )


def _warnings(program: Program, pixels: bool, clipped: float) -> tuple[str, ...]:
    found = []
    if pixels and not program.preprocessing.known:
        told = (
            "preprocessing of the images is not known: accuracy may be wrong; lower with --mean and --std as in training "
            "(pixels / 255 alone: --mean 0 --std 1)"
        )
        found.append(told)
    if clipped > MUCH_CLIPPED:
        found.append(
            f"{100 * clipped:.1f} % of the input values lie beyond the input's format {program.input} and were clipped: "
            "calibrate on images like these"
        )
    return tuple(found)


def _together(found: Sequence[Observed]) -> Observed:
    """What several batches saw."""
    return Observed(
        minimum=min(one.minimum for one in found),
        maximum=max(one.maximum for one in found),
        overflowed=sum(one.overflowed for one in found),
        outputs=sum(one.outputs for one in found),
        bits_needed=max(one.bits_needed for one in found),
    )
