"""Network: a trained network in float, as plain arrays. No torch needed to load, print or run one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from addersim.errors import NetworkError, needing_memory
from addersim.images import Images, ManyImages, Preprocessing, check_images, normalised
from addersim.kernels.batches import in_batches
from addersim.layers import AnyLayer, Shape, Window
from addersim.storage import load_record, save_record
from addersim.tabular import Listed
from addersim.totals import Totals, largest_live

__all__ = ["INPUT", "MISSING", "WEIGHTS", "Network", "check_order", "count_scores", "unread"]

INPUT = "input"
"""Name of the value that the images give."""
WEIGHTS, MISSING = "weights", "missing"
"""Key and value in the metadata of a network whose weights are not there: it can be counted and priced, not run."""

Node = TypeVar("Node")


class Network(Listed, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """A trained network: float layers in execution order.

    The last one gives a score for each class. A backbone, which ends in values of another shape or in several layers that
    nothing reads, can be counted and priced, not simulated.

    Attributes
    ----------
    name
        For tables and files.
    input_shape
        ``(channels, height, width)`` of an image, ``(channels, length)`` of a signal, or ``(features,)``.
    mean, std
        As in `Preprocessing`: the host turns a pixel of 0..255 into ``(pixel / 255 - mean) / std``.
    layers
        Each reads layers before it, or ``input``.
    classes
        Names of the scores, or empty.
    metadata
        Where the network comes from: free text by key; files hold it as ``about``.
    preprocessing_known
        False where nobody said how training prepared its images: mean and std are then a guess.
    """

    name: str
    input_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layers: tuple[AnyLayer, ...]
    classes: tuple[str, ...] = ()
    metadata: dict[str, str] = msgspec.field(default_factory=dict, name="about")
    preprocessing_known: bool = True

    def __post_init__(self) -> None:
        self.preprocessing.check(self.input_shape)
        check_order(self.layers)
        check_shared(f"network {self.name}", self.layers)
        shapes = self.shapes()
        if self.classes and len(self.classes) != (scores := count_scores(f"network {self.name}", self.layers, shapes)):
            raise NetworkError(f"network {self.name}: {len(self.classes)} class names for {scores} outputs")

    @property
    def about(self) -> dict[str, str]:
        """Former name of `metadata`."""
        return self.metadata

    @classmethod
    def lowered(
        cls,
        name: str,
        input_shape: Sequence[int],
        layers: tuple[AnyLayer, ...],
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        classes: Sequence[str],
        metadata: Mapping[str, str],
        preprocessing: Preprocessing | None = None,
    ) -> Network:
        """A network from what `lower` and `lower_onnx` were given: `preprocessing`, or mean and std, or nothing."""
        shape = tuple(int(size) for size in input_shape)
        given = preprocessing or Preprocessing.of(shape, mean, std)
        return cls(
            name=name,
            input_shape=shape,
            mean=given.mean,
            std=given.std,
            preprocessing_known=given.known,
            layers=layers,
            classes=tuple(classes),
            metadata=dict(metadata),
        )

    def parameters(self, layer: AnyLayer) -> int:
        """Number of trained values of a layer that no layer before it has."""
        if not isinstance(layer, Window) or layer.shared is None or layer.bias is None:
            return layer.parameters()
        owner = next(one for one in self.layers if one.name == layer.shared)
        bias = owner.bias if isinstance(owner, Window) else None
        return layer.parameters() - (layer.bias.size if bias is not None and np.array_equal(bias, layer.bias) else 0)

    def totals(self) -> Totals:
        """Taps, parameters and bytes, in float32, for one image."""
        words = {name: math.prod(shape) for name, shape in self.shapes().items()}
        place = {name: index for index, name in enumerate(words)}
        macs: dict[str, int] = {}
        for layer in self.layers:
            if isinstance(layer, Window):
                taps = words[layer.name] * layer.weights[0].size
                macs[layer.arithmetic] = macs.get(layer.arithmetic, 0) + taps
        parameters = sum(map(self.parameters, self.layers))
        live = largest_live(list(words.values()), [[place[name] for name in layer.inputs] for layer in self.layers])
        return Totals(macs, parameters, 4 * parameters, 4 * sum(words.values()), 4 * live)

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """Read a file that `save` wrote. Raises NetworkError for anything else; runs nothing."""
        return load_record(path, cls)

    def save(self, path: str | Path) -> None:
        """Write one .npz, whole or not at all."""
        save_record(path, self)

    @property
    def preprocessing(self) -> Preprocessing:
        """How the host prepares images."""
        return Preprocessing(mean=self.mean, std=self.std, known=self.preprocessing_known)

    def shapes(self) -> dict[str, Shape]:
        """Shape of every value, without the image axis."""
        found: dict[str, Shape] = {INPUT: self.input_shape}
        for layer in self.layers:
            found[layer.name] = layer.shape(*(found[name] for name in layer.inputs))
        return found

    @property
    def outputs(self) -> int:
        """Number of scores; NetworkError where the network gives something else."""
        return count_scores(f"network {self.name}", self.layers, self.shapes())

    def values(self, images: Images, threads: int | None = None) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Every value of a batch, ``input`` first, in execution order; arrays are dropped once no layer reads them.

        Parameters
        ----------
        images
            uint8 pixels or normalised float32, shape ``(images, *input_shape)``.
        threads
            Kernel threads; does not change any result.

        Raises
        ------
        NetworkError
            For a layer whose values are not finite: nothing after it would mean anything.
        """
        if self.metadata.get(WEIGHTS) == MISSING:
            raise NetworkError(f"network {self.name}: its weights are missing; it can be counted and priced, not run")
        check_images(images, self.input_shape, self.preprocessing, f"network {self.name}")
        start = normalised(images, self.preprocessing, self.input_shape, threads)
        for name, value in walk(self.layers, start, lambda layer, inputs: layer.run(*inputs, threads=threads)):
            if not np.isfinite((value.min(initial=0), value.max(initial=0))).all():  # half the time of asking each one
                what = "the image" if name == INPUT else f"layer {name}"
                why = "weights, or mean and std, are too large or too small"
                raise NetworkError(f"network {self.name}: {what} has values beyond float32 (3.4e38): {why}")
            yield name, value

    def run(self, images: ManyImages, batch: int = 64, threads: int | None = None) -> npt.NDArray[np.float32]:
        """Scores in float, shape ``(images, classes)``."""
        if self.metadata.get(WEIGHTS) == MISSING:
            raise NetworkError(f"network {self.name}: its weights are missing; it can be counted and priced, not run")
        check_images(images, self.input_shape, self.preprocessing, f"network {self.name}")
        scores = np.empty((len(images), self.outputs), np.float32)

        def run(part: slice, kernel_threads: int) -> None:
            for _, value in self.values(images[part], kernel_threads):
                last = value
            scores[part] = last

        for _ in in_batches(run, len(images), batch, threads):
            pass
        return scores

    def table(self) -> list[dict[str, Any]]:
        """One row a layer: name, kind, details, output shape and parameters."""
        shapes = self.shapes()
        return [
            {
                "layer": layer.name,
                "kind": layer.kind(),
                "details": layer.details(),
                "inputs": ", ".join(layer.inputs),
                "output": " x ".join(map(str, shapes[layer.name])),
                "parameters": self.parameters(layer),
            }
            for layer in self.layers
        ]

    def _title(self) -> str:
        return f"{self.name}: input {' x '.join(map(str, self.input_shape))}"


def walk(layers: Sequence[Node], start: Any, run: Any) -> Iterator[tuple[str, Any]]:
    """Run layers in order and yield each value; a value is kept only until its last reader has run."""
    last_reader: dict[str, str] = {name: layer.name for layer in layers for name in layer.inputs}  # type: ignore[attr-defined]
    alive = {INPUT: start}
    yield INPUT, start
    for layer in layers:
        name, inputs = layer.name, layer.inputs  # type: ignore[attr-defined]
        with needing_memory(f"layer {name}"):
            value = run(layer, [alive[one] for one in inputs])
        for one in set(inputs):
            if last_reader[one] == name:
                del alive[one]
        if name in last_reader:
            alive[name] = value
        yield name, value


def check_order(layers: Sequence[Any]) -> None:
    """Refuse an empty list, names that are taken, and layers that read what is not there yet."""
    if not layers:
        raise NetworkError("a network needs at least one layer")
    known = {INPUT}
    for layer in layers:
        if layer.name in known or not layer.name:
            raise NetworkError(f"layer name {layer.name!r} is taken or empty; names are unique, and {INPUT!r} is the image")
        for name in layer.inputs:
            if name not in known:
                raise NetworkError(f"layer {layer.name}: reads {name!r}, which no layer before it gives")
        known.add(layer.name)


def check_shared(where: str, layers: Sequence[Any]) -> None:
    """Refuse a window that shares the weights of no window before it, or other weights."""
    known: dict[str, Any] = {}
    for layer in layers:
        if (name := getattr(layer, "shared", None)) is not None:
            owner = known.get(name)
            if owner is None or not (owner.weights is layer.weights or np.array_equal(owner.weights, layer.weights)):
                raise NetworkError(f"{where}: layer {layer.name} shares the weights of {name!r}, which no layer before it has")
        if hasattr(layer, "weights"):
            known[layer.name] = layer


def unread(layers: Sequence[Any]) -> tuple[str, ...]:
    """Names of layers that no other layer reads; the last is always among them."""
    read = {name for layer in layers for name in layer.inputs}
    return tuple(layer.name for layer in layers if layer.name not in read)


def count_scores(where: str, layers: Sequence[Any], shapes: Mapping[str, Shape]) -> int:
    """Number of scores that layers end in; refused is any other output, and more than one."""
    ends = unread(layers)
    if len(ends) == 1 and len(shapes[ends[0]]) == 1:
        return shapes[ends[0]][0]
    found = (
        f"it has {len(ends)} outputs ({', '.join(ends[:5])})" if len(ends) > 1 else f"its output has shape {shapes[ends[0]]}"
    )
    raise NetworkError(
        f"{where}: {found}; scores have shape (classes,): a network without them can be counted and priced, not simulated"
    )
