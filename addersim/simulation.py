"""Simulate: run a program on images, bit for bit, and compare it with the float network that it came from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence, Set
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
from addersim.images import Images, ManyImages
from addersim.kernels.batches import in_batches, threads_of_call
from addersim.layers import Engine, Run, Value
from addersim.network import INPUT, Network
from addersim.program import SIGNED_INPUT, Prepared, Program
from addersim.tabular import Row, Tabular, layer_rows, percent
from addersim.trace import Observed, Trace, find_convention
from addersim.zeros import Zeros, count_zeros, summed_zeros

__all__ = ["LayerError", "Simulation", "check_labels", "count", "simulate"]

_LOG = logging.getLogger(__name__)

Array = npt.NDArray[Any]

LARGEST_WORDS = 1 << 23
"""Of one value of a batch."""
FEW_WORDS = 1 << 21
"""As many, and what becomes of them, stay in a core's cache, about."""
MANY_IMAGES = 100
"""From here on what a layer costs once a batch weighs little."""
MOST_IMAGES = 1000
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
    run = _Run.of(program, network, find_engine(engine, program.layers))
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
    return run.result(parts, checked, threshold, floats, pixels.dtype != np.float32)


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


@dataclass(frozen=True, slots=True)
class _Part:
    """What one batch showed: squares are of the differences from float and of the float values, shape ``(2, images)``."""

    observed: dict[str, Observed]
    zeros: dict[str, Zeros]
    squares: dict[str, npt.NDArray[np.float64]]
    choices: Array
    float_choices: Array | None
    clipped: int


class _Beside:
    """A float network that runs as far as the program beside it has come, so that few of its values wait for their twins."""

    def __init__(self, values: Iterator[tuple[str, Array]], wanted: Set[str | None]) -> None:
        self._values, self._wanted = values, wanted
        self._waiting: dict[str, Array] = {}
        self._last: Array

    def take(self, name: str | None) -> Array | None:
        """The value of a name, once; None where there is none."""
        while name is not None and name not in self._waiting and self._advance():
            pass
        return self._waiting.pop(name, None) if name is not None else None

    def last(self) -> Array:
        """The value of the last layer, after all others."""
        while self._advance():
            pass
        return self._last

    def _advance(self) -> bool:
        found = next(self._values, None)
        if found is None:
            return False
        name, self._last = found
        if name in self._wanted:
            self._waiting[name] = self._last
        return True


@dataclass(frozen=True, slots=True)
class _Run:
    """A program, ready to run beside its float network."""

    program: Program
    network: Network | None
    prepared: Prepared
    values: dict[str, Value]
    twins: dict[str, str | None]
    streamed: frozenset[str]

    @classmethod
    def of(cls, program: Program, network: Network | None, engine: Engine) -> _Run:
        twins = {INPUT: INPUT if program.input.bits > 1 else None} | {layer.name: layer.twin for layer in program.layers}
        values = program.static_values()
        return cls(program, network, program.prepared(engine, stream=True), values, twins, program.fused())

    def fitting_batch(self, threads: int) -> int:
        """Images of a batch: 100, more where they are small, and so few that a thread's values take some megabytes at most.

        Where layers run in chains, of few images at a time anyway, as many as what lies outside chains allows.
        """
        chained = self.network is None and self.prepared.parts is not None and threads == 1
        held = self.prepared.held() if chained else self.values.keys()
        words = max(self.values[name].words for name in held)
        wanted = MOST_IMAGES if chained else max(MANY_IMAGES, FEW_WORDS // words)
        return max(1, min(LARGEST_WORDS // words, wanted, MOST_IMAGES))

    def part(self, images: Images, threads: int) -> _Part:
        floats = None if self.network is None else _Beside(self.network.values(images, threads), set(self.twins.values()))
        observed: dict[str, Observed] = {}
        zeros: dict[str, Zeros] = {}
        squares: dict[str, npt.NDArray[np.float64]] = {}
        for name, result in (self.prepared.facts if floats is None else self.prepared.runs)(images, threads):
            if result.observed:
                observed[name] = result.observed
            if result.zeros is not None:
                zeros[name] = Zeros(*result.zeros)
            elif result.values is not None and name not in self.streamed:
                zeros[name] = count_zeros(result.values, self.values[name].zero_point)
            expected = None if floats is None else floats.take(self.twins[name])
            if expected is not None and result.values is not None:
                difference = self.values[name].decode(result.values) - expected
                squares[name] = np.array([_squares(difference), _squares(expected)])
        float_choices = None if floats is None else floats.last().argmax(axis=1)
        return _Part(
            observed, zeros, squares, _values(result).argmax(axis=1), float_choices, self.program.count_clipped(images)
        )

    def result(
        self, parts: Sequence[_Part], labels: Array | None, threshold: float, floats: Array | None, pixels: bool
    ) -> Simulation:
        chosen = np.concatenate([part.choices for part in parts])
        observed = {name: _together([part.observed[name] for part in parts]) for name in parts[0].observed}
        if self.network is not None:
            floats = np.concatenate([part.float_choices for part in parts])
        zeros = {name: summed_zeros([part.zeros[name] for part in parts]) for name in parts[0].zeros}
        squares = {name: np.hstack([part.squares[name] for part in parts]) for name in parts[0].squares}
        sums = {name: (math.fsum(wrong), math.fsum(right)) for name, (wrong, right) in squares.items()}
        errors = tuple(
            LayerError(name, math.sqrt(wrong / right) if right else float(wrong > 0)) for name, (wrong, right) in sums.items()
        )
        clipped = sum(part.clipped for part in parts) / (len(chosen) * self.values[INPUT].words)
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
            trace=self.program.trace("hardware", observed, len(chosen), zeros),
            preprocessing=str(self.program.preprocessing) if pixels else "float images, prepared before",
            input=" ".join(filter(None, (str(self.program.input), self.program.metadata.get(SIGNED_INPUT, "")))),
            input_clipped=clipped,
            warnings=_warnings(self.program, pixels, clipped),
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


def _values(result: Run) -> Array:
    """Codes of a layer that did not stream: one that stands for a float layer, or the last."""
    assert result.values is not None
    return result.values


def _squares(values: Array) -> npt.NDArray[np.float64]:
    """Sum of the squares of each image's values."""
    squared: npt.NDArray[np.float64] = np.square(values, dtype=np.float64).reshape(len(values), -1).sum(axis=1)
    return squared


def _together(found: Sequence[Observed]) -> Observed:
    """What several batches saw."""
    return Observed(
        minimum=min(one.minimum for one in found),
        maximum=max(one.maximum for one in found),
        overflowed=sum(one.overflowed for one in found),
        outputs=sum(one.outputs for one in found),
        bits_needed=max(one.bits_needed for one in found),
    )
