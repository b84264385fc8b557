"""Program: a quantised network. Integer layers, every format explicit; it runs bit for bit as hardware would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat, Rounding
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import RequantisationRule, requantisation_rule
from addersim.errors import DataError, NetworkError, QuantizationError
from addersim.images import Images, Preprocessing, channels_last, check_images, look_up
from addersim.layers import (
    AnyIntegerLayer,
    Engine,
    IntegerWindow,
    Run,
    Shape,
    Value,
)
from addersim.network import INPUT, check_order, check_shared, count_scores
from addersim.steps import Prepared, chains_of, steps_of
from addersim.storage import load_record, save_record
from addersim.tabular import Listed
from addersim.trace import Convention, LayerTrace, Observed, Trace
from addersim.zeros import Zeros

__all__ = ["SIGNED_INPUT", "Prepared", "Program", "image_encoder"]

_NOTHING = OpCounts()

SIGNED_INPUT = "input sign"
"""Key in `Program.metadata` of why the input is signed, where pixels alone would not make it so."""

STREAMED_BY = frozenset(
    {"affine", "rescale", "relu", "add", "rescaled_add", "rescaled_product", "product", "clip", "table", "thresholds"}
)
"""Kinds that take each word of the layer before them as it comes, so that it need not be stored when they alone read it."""


def _codes_of(held: FixedFormat, images: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """Codes as they were given, which are codes of a format."""
    if images.size and not held.minimum <= (low := int(images.min())) <= (high := int(images.max())) <= held.maximum:
        raise DataError(f"{where}: images hold codes {low}..{high}; {held} has codes of {held.minimum}..{held.maximum}")
    return images


def _in_words(values: Mapping[str, Value]) -> dict[str, str]:
    """Formats as printed, those of one width and scale once."""
    known: dict[tuple[Any, ...], str] = {}
    for value in values.values():
        if value[1:] not in known:
            known[value[1:]] = str(value)
    return {name: known[value[1:]] for name, value in values.items()}


def image_encoder(
    held: FixedFormat,
    rounding: Rounding,
    shape: Shape,
    preprocessing: Preprocessing,
    where: str,
    engine: Engine = kernels,
    rule: RequantisationRule | None = None,
) -> Callable[[Images, int | None], npt.NDArray[Any]]:
    """A function of images and threads: their codes in a format, channels last; `where` names who asks, for errors.

    A rule of a framework that computes in float32 says how its images become codes.
    """
    of_reals = partial(held.encode, rounding=held.rounding_for(rounding))
    if rule is not None and rule.is_float:
        of_reals = partial(rule.encode, output=held)
    levels = of_reals(preprocessing.levels(shape))

    def encode(images: Images, threads: int | None) -> npt.NDArray[Any]:
        check_images(images, shape, preprocessing, where)
        if images.dtype == np.float32:
            return of_reals(channels_last(images))
        if preprocessing.codes:
            return _codes_of(held, channels_last(images), where)
        return look_up(images, levels, threads, engine.look_up)

    return encode


class Program(Listed, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False, dict=True):
    """A network on integer codes.

    Attributes
    ----------
    name, input_shape, mean, std, classes, metadata, preprocessing_known
        As in `Network`. The host normalises the image and rounds it into `input`; this is not billed.
    input
        Format of the image's codes.
    rounding
        How the host rounds the image.
    layers
        In execution order; formats of neighbours agree, which is checked.
    calibrated
        False for a program that was made without images: it can be counted, not simulated.
    takes_codes
        Whether images come as codes of `input`, of its own type, or as the real values that they stand for: the program was
        quantised elsewhere, and what prepares its images is not part of it.
    """

    name: str
    input_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: FixedFormat
    rounding: Rounding
    layers: tuple[AnyIntegerLayer, ...]
    classes: tuple[str, ...] = ()
    metadata: dict[str, str] = msgspec.field(default_factory=dict, name="about")
    calibrated: bool = True
    preprocessing_known: bool = True
    takes_codes: bool = False

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse a program whose layers do not fit each other: names, shapes, formats, shared scales, exact accumulators."""
        self.preprocessing.check(self.input_shape)
        check_order(self.layers)
        check_shared(f"program {self.name}", self.layers)
        values = self.static_values()
        if self.classes and len(self.classes) != (scores := self._scores(values)):
            raise NetworkError(f"program {self.name}: {len(self.classes)} class names for {scores} outputs")

    @property
    def about(self) -> dict[str, str]:
        """Former name of `metadata`."""
        return self.metadata

    @property
    def preprocessing(self) -> Preprocessing:
        """How the host prepares images."""
        codes = self.input.dtype.name if self.takes_codes else ""
        return Preprocessing(mean=self.mean, std=self.std, known=self.preprocessing_known, codes=codes)

    @property
    def outputs(self) -> int:
        """Number of scores; NetworkError where the program gives something else."""
        return self._scores(self.static_values())

    def _scores(self, values: Mapping[str, Value]) -> int:
        shapes = {name: value.shape for name, value in values.items()}
        return count_scores(f"program {self.name}", self.layers, shapes)

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read a file that `save` wrote. Raises NetworkError for anything else; runs nothing."""
        return load_record(path, cls)

    def save(self, path: str | Path) -> None:
        """Write one .npz, whole or not at all."""
        save_record(path, self)

    def with_multiplier(self, table: MultiplierTable, layers: Sequence[str] | None = None) -> Program:
        """The program with the products of multiplying window layers taken from a table; everything else as it is.

        Parameters
        ----------
        table
            The multiplier.
        layers
            Names of the layers; None takes all that multiply.

        Raises
        ------
        NetworkError
            For a name that is no multiplying layer's, operands that the table has no products of, or nothing that multiplies.
        """
        exact = [one.name for one in self.layers if isinstance(one, IntegerWindow) and one.multiplies]
        if not exact:
            raise NetworkError(f"program {self.name}: no layer multiplies, so that a multiplier would change nothing")
        if strange := [name for name in layers or () if name not in exact]:
            raise NetworkError(f"layer {strange[0]}: no multiplying layer has this name; known: {', '.join(exact)}")
        chosen = exact if layers is None else layers
        changed = tuple(
            one.with_multiplier(table) if isinstance(one, IntegerWindow) and one.name in chosen else one for one in self.layers
        )
        return msgspec.structs.replace(self, layers=changed)

    def with_rounding(self, rule: str) -> Program:
        """The program with every layer that narrows sums narrowing them by a requantisation rule; all else as it is.

        What a network was quantised to stays: scales, zero points, codes of weights. Products, resizing, normalisation,
        softmax and functions in straight pieces round as before.

        Parameters
        ----------
        rule
            A name in `addersim.arithmetic.requantisation.RULES`.

        Raises
        ------
        FormatError, NetworkError
            For a name that is none, or a layer that the rule cannot take.
        """
        requantisation_rule(rule)
        values = self.static_values()
        changed = (one.with_rounding(rule, *(values[name] for name in one.inputs)) for one in self.layers)
        return msgspec.structs.replace(self, layers=tuple(changed))

    def static_values(self) -> dict[str, Value]:
        """Shape and format of every value, ``input`` included."""
        return self._values.copy()

    @cached_property
    def _values(self) -> dict[str, Value]:
        found = {INPUT: Value.of(self.input_shape, self.input)}
        for layer in self.layers:
            found[layer.name] = layer.checked_value(*(found[name] for name in layer.inputs))
        return found

    def encode(self, images: Images) -> npt.NDArray[Any]:
        """Codes of images, channels last."""
        return self._encoder(kernels)(images, None)

    def _encoder(self, engine: Engine) -> Callable[[Images, int | None], npt.NDArray[Any]]:
        what = self.input, self.rounding, self.input_shape, self.preprocessing, f"program {self.name}"
        return image_encoder(*what, engine, self._image_rule())

    def _image_rule(self) -> RequantisationRule | None:
        """That of the first layer that has one."""
        name = next(filter(None, (getattr(layer, "rule", "") for layer in self.layers)), None)
        return requantisation_rule(name) if name else None

    def count_clipped(self, images: Images) -> int:
        """Number of the images' values that lie beyond the input's format, and saturate there; where it holds signs, none."""
        if self.input.bits == 1 or (self.takes_codes and images.dtype != np.float32):
            return 0

        def beyond(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
            middle, reach = (self.input.high + self.input.low) / 2, (self.input.high - self.input.low + self.input.scale) / 2
            return (np.abs(values - middle) > reach * (1 + 1e-6)).astype(np.uint8)  # rounding of the last code is none

        if images.dtype == np.float32:
            return int(np.count_nonzero(beyond(images)))
        levels = beyond(self.preprocessing.levels(self.input_shape))
        return int(look_up(images, levels).sum(dtype=np.int64)) if levels.any() else 0

    def runs(
        self, images: Images, engine: Engine = kernels, threads: int | None = None, stream: bool = False
    ) -> Iterator[tuple[str, Run]]:
        """What every layer gives for a batch, ``input`` first, in execution order; `stream` as in `prepared`."""
        yield from self.prepared(engine, stream).runs(images, threads)

    def prepared(self, engine: Engine = kernels, stream: bool = False) -> Prepared:
        """This program ready for many batches: what does not depend on the images is found out once.

        With `stream` a window, what narrows its sums and its ReLU run as one: same numbers, and no values in between. What
        the kernels then need is kept, for they run a program again and again.
        """
        if not self.calibrated:
            raise QuantizationError(f"program {self.name} was made without calibration images: it can be counted, not run")
        return self._streamed if stream and engine is kernels else self._prepared(engine, stream)

    @cached_property
    def _streamed(self) -> Prepared:
        return self._prepared(kernels, stream=True)

    def _prepared(self, engine: Engine, stream: bool) -> Prepared:
        fused = self.fused() if stream else frozenset()
        steps = steps_of(self.layers, fused)
        ready = tuple(step.prepared(engine, self._values) for step in steps)
        chains = chains_of(ready, self._values, fused) if stream and engine is kernels else None
        return Prepared(self._encoder(engine), ready, chains)

    def run(self, images: Images, engine: Engine = kernels, threads: int | None = None) -> npt.NDArray[Any]:
        """Output codes of one batch, shape ``(images, classes)``."""
        for _, result in self.prepared(engine, stream=True).facts(images, threads):
            last = result
        return cast("npt.NDArray[Any]", last.values)

    def fused(self) -> frozenset[str]:
        """Names of layers whose output streams into the next layer, its only reader, and is never stored.

        What the next layer repeats, a gate beside an image, is stored.
        """
        return self._fused

    @cached_property
    def _fused(self) -> frozenset[str]:
        readers: dict[str, list[str]] = {}
        for layer in self.layers:
            for name in layer.inputs:
                readers.setdefault(name, []).append(layer.name)
        shapes = {name: value.shape for name, value in self._values.items()}
        following = zip(self.layers, self.layers[1:], strict=False)
        return frozenset(
            one.name
            for one, nxt in following
            if readers.get(one.name) == [nxt.name] and nxt.kind() in STREAMED_BY and shapes[one.name] == shapes[nxt.name]
        )

    def trace(
        self,
        convention: Convention = "hardware",
        observed: Mapping[str, Observed] | None = None,
        images: int = 0,
        zeros: Mapping[str, Zeros] | None = None,
    ) -> Trace:
        """Facts for one image, with what a run of `images` images saw where there was one: of layers, and of stored values."""
        facts = self._hardware_facts if convention == "hardware" else self._facts(convention)
        if observed is None and zeros is None:
            return Trace(self.name, convention, facts, images)
        fused, seen, found = self._fused, observed or {}, zeros or {}
        layers = [
            replace(
                fact,
                observed=seen.get(layer.name),
                zeros=tuple([found[name] for name in layer.inputs if name not in fused]) if zeros else (),
                output_zeros=found.get(layer.name),
            )
            for layer, fact in zip(self.layers, facts, strict=True)
        ]
        return Trace(self.name, convention, tuple(layers), images)

    @cached_property
    def _hardware_facts(self) -> tuple[LayerTrace, ...]:
        return self._facts("hardware")

    def _facts(self, convention: Convention) -> tuple[LayerTrace, ...]:
        """Of every layer, for one image, before any ran."""
        values, fused, hardware = self._values, self._fused, convention == "hardware"
        operands = {name: value.operand for name, value in values.items()}
        formats = _in_words(values)
        index = {INPUT: -1} | {layer.name: place for place, layer in enumerate(self.layers)}
        layers = []
        for layer in self.layers:
            output, inputs = values[layer.name], [values[name] for name in layer.inputs]
            bill = layer.bill(output, *inputs)
            stored = [name for name in layer.inputs if name not in fused]
            owed = output.correction if layer is self.layers[-1] else _NOTHING  # nobody reads the last layer and adds anyway
            layers.append(
                LayerTrace(
                    name=layer.name,
                    kind=layer.kind(),
                    operations=bill.hardware + owed if hardware else bill.paper,
                    inputs=tuple([operands[name] for name in stored]),
                    output=operands[layer.name],
                    weights=bill.weights,
                    weights_shared=isinstance(layer, IntegerWindow) and layer.shared is not None,
                    datapath=bill.datapath,
                    work=bill.work,
                    accumulator_bits=bill.accumulator_bits,
                    operand_bits=bill.operand_bits,
                    tap_operands=bill.tap_operands,
                    left_out=bill.left_out,
                    nonzero=bill.nonzero,
                    multiplier=bill.multiplier,
                    output_format=formats[layer.name],
                    fused=layer.name in fused,
                    sources=tuple([index[name] for name in stored]),
                )
            )
        return tuple(layers)

    def table(self) -> list[dict[str, Any]]:
        """One row a layer: name, kind, datapath, formats, output shape."""
        values = self.static_values()
        return [
            {
                "layer": layer.name,
                "kind": layer.kind(),
                "input": " + ".join(str(values[name]) for name in layer.inputs),
                "weights": str(getattr(layer, "weight_format", layer.details())),
                "output": str(values[layer.name]),
                "shape": " x ".join(map(str, values[layer.name].shape)),
            }
            for layer in self.layers
        ]

    def _title(self) -> str:
        why = f" ({self.metadata[SIGNED_INPUT]})" if SIGNED_INPUT in self.metadata else ""
        return f"{self.name}: input {self.input}{why}, rounding {self.rounding}"
