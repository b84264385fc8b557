"""Steps of a program: layers that run as one, and chains of steps that run on few images at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import needing_memory
from addersim.images import Images
from addersim.kernels.chains import Chain, ChainFound, ChainStep, ChainValue, Link, fits_type
from addersim.layers import (
    AnyIntegerLayer,
    Engine,
    IntegerAdd,
    IntegerAffine,
    IntegerRelu,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerWindow,
    Run,
    Value,
)
from addersim.layers.base import observe
from addersim.network import INPUT, walk

__all__ = ["Prepared", "PreparedStep", "Step", "chains_of", "steps_of"]

Array = npt.NDArray[Any]
Call = Callable[[Sequence[Any], int | None], tuple[Run, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """Layers that run as one: a window with what narrows it and alone reads it, affine or add with such a ReLU."""

    layers: tuple[AnyIntegerLayer, ...]

    @property
    def then(self) -> FixedFormat | None:
        """The format that a ReLU at the end clamps to."""
        *before, last = self.layers
        return last.output if before and isinstance(last, IntegerRelu) else None

    def prepared(self, engine: Engine, values: Mapping[str, Value]) -> PreparedStep:
        """A function of input codes and threads; what depends on neither is found out now."""
        first, *rest = self.layers
        then, link = self.then, None
        call: Callable[..., Any]
        if isinstance(first, IntegerWindow):
            window = first.prepared_into(cast("Any", rest[0]), then, engine) if rest else first.prepared(engine)
            call, link = cast("Callable[..., Any]", window.run), window.link
        else:
            how: dict[str, Any] = {"then": then} if isinstance(first, IntegerAffine | IntegerAdd) else {}
            given, run_layer = [values[name] for name in first.inputs], cast("Callable[..., Run]", first.run)

            def call(*codes: Any) -> Run:
                return run_layer(engine, *codes[:-1], threads=codes[-1], **how)

            if isinstance(first, IntegerAdd):
                link = first.link(then, *given)
            elif isinstance(first, IntegerRescaledAdd):
                link = first.link(*given)

        def run(inputs: Sequence[Any], threads: int | None) -> tuple[Run, ...]:
            found = call(*inputs, threads)
            *before, last = found if isinstance(found, tuple) else (found,)
            return (*before, last) if then is None else (*before, Run(None, last.observed), Run(last.values))

        return PreparedStep(self.layers, run, link)


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A step that is ready to run, and what it is in a chain, if it can be in one."""

    layers: tuple[AnyIntegerLayer, ...]
    call: Call
    link: Link | None

    @property
    def name(self) -> str:
        """Of the value that it gives."""
        return self.layers[-1].name

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values that it reads."""
        return self.layers[0].inputs


def steps_of(layers: Sequence[AnyIntegerLayer], fused: Set[str]) -> list[Step]:
    """Layers grouped as they run: `fused` are those whose output goes to the next layer alone."""
    steps: list[list[AnyIntegerLayer]] = []
    for layer in layers:
        before = steps[-1][-1] if steps else None
        if before is not None and before.name in fused and _runs_with(before, layer):
            steps[-1].append(layer)
        else:
            steps.append([layer])
    return [Step(tuple(step)) for step in steps]


def _runs_with(before: AnyIntegerLayer, layer: AnyIntegerLayer) -> bool:
    """Whether the kernels have a layer together with the one that it alone reads."""
    if isinstance(before, IntegerWindow):
        return isinstance(layer, IntegerAffine | IntegerRescale)
    if not isinstance(layer, IntegerRelu) or layer.maximum is not None:  # they saturate at a format's end only
        return False
    if isinstance(before, IntegerRescale):
        return _changes_nothing(layer, before.output)
    return isinstance(before, IntegerAffine | IntegerAdd)


def _changes_nothing(relu: IntegerRelu, given: FixedFormat) -> bool:
    """Whether a ReLU gives codes of a format as they are: its clamp was that of their narrowing."""
    held = relu.output
    return held.dtype == given.dtype and held.minimum <= given.minimum and given.maximum <= held.maximum


@dataclass(frozen=True, slots=True)
class _Part:
    """Steps that run one after the other: as a chain where there is one."""

    steps: tuple[PreparedStep, ...]
    chain: Chain | None


def chains_of(steps: Sequence[PreparedStep], values: Mapping[str, Value], fused: Set[str]) -> tuple[_Part, ...]:
    """Steps in parts, each as long as a chain can be; zeros of values are counted there unless they are `fused`."""
    parts: list[list[PreparedStep]] = []
    given: dict[str, np.dtype[Any]] = {}
    for step in steps:
        fits = step.link is not None and fits_type(_value(step, values, fused))
        if not (fits and parts and parts[-1][0].link and _takes(step, given)):
            parts.append([])
            given = {}
        parts[-1].append(step)
        if step.link is not None:
            given[step.name] = step.link.output
    last = {name: at for at, part in enumerate(parts) for step in part for name in step.inputs}
    return tuple(_Part(tuple(part), _chain(part, values, fused, last, at)) for at, part in enumerate(parts))


def _takes(step: PreparedStep, given: Mapping[str, np.dtype[Any]]) -> bool:
    """Whether codes of the chain so far have the types that a step takes."""
    kinds = step.link.kinds if step.link else ()
    return all(given.get(name, kind) == kind for name, kind in zip(step.inputs, kinds, strict=True))


def _value(step: PreparedStep, values: Mapping[str, Value], fused: Set[str]) -> ChainValue:
    assert step.link is not None
    value = values[step.name]
    return ChainValue(_last(value.shape), step.link.output, value.zero_point, step.name not in fused)


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with its channels last."""
    return (*shape[1:], shape[0])


def _chain(
    part: Sequence[PreparedStep], values: Mapping[str, Value], fused: Set[str], last: Mapping[str, int], at: int
) -> Chain | None:
    if part[0].link is None or not fits_type(_value(part[0], values, fused)):
        return None
    known: dict[str, ChainValue] = {}
    links = []
    for step in part:
        assert step.link is not None
        for name, kind in zip(step.inputs, step.link.kinds, strict=True):
            known.setdefault(name, ChainValue(_last(values[name].shape), kind))
        known[step.name] = _value(step, values, fused)
        links.append(ChainStep(step.name, step.link, step.inputs))
    kept = frozenset(step.name for step in part if last.get(step.name, at + 1) > at)
    return Chain(known, tuple(links), kept)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program ready to run on one engine: its weights are checked, and what follows from them is known.

    Attributes
    ----------
    encode
        Codes of images, channels last, with some number of threads.
    steps
        Layers as they run together.
    parts
        The steps in chains, where there are any.
    """

    encode: Callable[[Images, int | None], Array]
    steps: tuple[PreparedStep, ...]
    parts: tuple[_Part, ...] | None

    def held(self) -> set[str]:
        """Names of the values that `facts` holds of a whole batch, in one thread."""
        inside = {
            step.name for part in self.parts or () if part.chain for step in part.steps if step.name not in part.chain.kept
        }
        return {INPUT, *(step.name for step in self.steps)} - inside

    def runs(self, images: Images, threads: int | None = None) -> Iterator[tuple[str, Run]]:
        """What every layer gives for a batch, ``input`` first, in execution order."""
        members = {INPUT: (INPUT,)} | {step.name: tuple(layer.name for layer in step.layers) for step in self.steps}

        def run(step: PreparedStep, inputs: Sequence[tuple[Run, ...]]) -> tuple[Run, ...]:
            return step.call([one[-1].values for one in inputs], threads)

        for name, found in walk(self.steps, (Run(self.encode(images, threads)),), run):
            yield from zip(members[name], found, strict=True)

    def facts(self, images: Images, threads: int | None = None) -> Iterator[tuple[str, Run]]:
        """The same for who asks for the last values only: in one thread most others are then None, with zeros counted."""
        if self.parts is None or threads != 1:
            yield from self.runs(images, threads)
            return
        alive = {INPUT: self.encode(images, threads)}
        yield INPUT, Run(alive[INPUT])
        last = {name: at for at, part in enumerate(self.parts) for step in part.steps for name in step.inputs}
        for at, part in enumerate(self.parts):
            with needing_memory(f"layer {part.steps[0].name}"):
                found = _run_part(part, alive, len(images))
            for name, run in found:
                if run.values is not None:
                    alive[name] = run.values
            alive = {name: one for name, one in alive.items() if last.get(name, -1) > at}
            yield from found


def _run_part(part: _Part, alive: Mapping[str, Array], images: int) -> list[tuple[str, Run]]:
    if part.chain is None:
        (step,) = part.steps
        runs = step.call([alive[name] for name in step.inputs], 1)
        return [(layer.name, run) for layer, run in zip(step.layers, runs, strict=True)]
    found = part.chain({name: alive[name] for name in part.chain.read}, images)
    return [one for at, step in enumerate(part.steps) for one in _runs_of(step, at, part.chain, found, images)]


def _runs_of(step: PreparedStep, at: int, chain: Chain, found: ChainFound, images: int) -> Iterator[tuple[str, Run]]:
    """Of each layer of a step what a chain found: extremes of sums and of codes, and then of the last one what it gives."""
    assert step.link is not None
    words = images * chain.values[step.name].words
    narrowing = [one for one in step.layers if isinstance(one, IntegerAffine | IntegerRescale)]
    with narrowing[0].telling() if narrowing else nullcontext():
        seen = step.link.seen(found.seen[at])
    for number, layer in enumerate(step.layers):
        observed = observe(*seen[number], words) if number < len(seen) else None
        if layer is not step.layers[-1]:
            yield layer.name, Run(None, observed)
            continue
        zeros = found.zeros.get(step.name)
        yield layer.name, Run(found.values.get(step.name), observed, zeros and (words, *zeros))
