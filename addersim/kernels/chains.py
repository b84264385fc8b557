"""Chains: layers that run one after the other in one call, on few images at a time, so that a cache has what lies between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat, Overflow
from addersim.kernels.caches import values_bytes
from addersim.kernels.checks import CODE_ENDS, NATIVE, check_array, check_exact
from addersim.kernels.core import chosen_set, codes_numbers, core, flat, type_number
from addersim.kernels.prepared import PreparedWindow, PreparedWindowAffine
from addersim.kernels.prepared_rescale import PreparedWindowRescale
from addersim.kernels.requantisation import RescaleNumbers, rescaled_add_numbers

__all__ = [
    "Chain",
    "ChainFound",
    "ChainStep",
    "ChainValue",
    "Link",
    "SumLink",
    "WindowLink",
    "add_link",
    "rescaled_add_link",
    "window_link",
]

Array = npt.NDArray[Any]
Seen = tuple[int, int, int]

MOST_TOGETHER = 64
"""Images at a time: from here on what a layer costs each time weighs nothing."""
CACHE_LINE = 64
WINDOW, ADD, RESCALED_ADD = range(3)
"""Kinds of steps, as C numbers them."""


class ChainValue(NamedTuple):
    """Codes between layers: shape of an image, channels last; type; the code of zero; whether zeros are counted."""

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    zero_point: int = 0
    counted: bool = False

    @property
    def words(self) -> int:
        """Codes of an image."""
        return math.prod(self.shape)

    @property
    def image_bytes(self) -> int:
        """What an image takes, in whole cache lines."""
        return -(-self.words * self.kind.itemsize // CACHE_LINE) * CACHE_LINE


@dataclass(frozen=True, slots=True)
class WindowLink:
    """A window layer, and what narrows its sums, as a step of a chain, for any codes of its type."""

    window: PreparedWindow
    output: np.dtype[Any]
    affine: tuple[Array, bool, tuple[int, ...]] | None = None
    rescaling: tuple[RescaleNumbers, bool] | None = None

    @property
    def kinds(self) -> tuple[np.dtype[Any], ...]:
        """Types of the inputs."""
        return (self.window.kind,)

    def step(self, shapes: Sequence[tuple[int, ...]], together: int) -> tuple[int, Any]:
        """The kind of a step in C, and what C has of it."""
        pixels = shapes[0] if len(shapes[0]) == 3 else (1, 1, *shapes[0])
        y_bytes = self.output.itemsize if self.rescaling is None else 4
        return WINDOW, self.window.plan((together, *pixels), y_bytes, self.window.sums, 1, self.affine, self.rescaling)

    def seen(self, found: tuple[Seen, Seen]) -> tuple[Seen, ...]:
        """What was seen in the sums, and in the codes where there are any."""
        check_exact(self.window.register, *found[0][:2])
        return found if self.affine or self.rescaling else found[:1]


@dataclass(frozen=True, slots=True)
class SumLink:
    """The sum of two codes as a step of a chain: `number` says which kind, `numbers` are what C has of it."""

    number: int
    kinds: tuple[np.dtype[Any], ...]
    output: np.dtype[Any]
    numbers: tuple[Any, ...]

    def step(self, shapes: Sequence[tuple[int, ...]], together: int) -> tuple[int, Any]:
        """As of `WindowLink`."""
        return self.number, self.numbers

    def seen(self, found: tuple[Seen, Seen]) -> tuple[Seen, ...]:
        """What was seen in the codes."""
        return found[:1]


Link = WindowLink | SumLink


def window_link(prepared: object) -> WindowLink | None:
    """The step that a prepared window is; None where its codes must be known, or its sums stored before they are narrowed."""
    window = prepared if isinstance(prepared, PreparedWindow) else getattr(prepared, "window", None)
    if not isinstance(window, PreparedWindow) or window.values_matter:
        return None
    if isinstance(prepared, PreparedWindowAffine) and prepared.fuses:
        return WindowLink(window, (prepared.then or prepared.output).dtype, prepared.numbers)
    if isinstance(prepared, PreparedWindowRescale) and prepared.fuses(window.sums):
        return WindowLink(window, prepared.output.dtype, None, (prepared.numbers, prepared.direct))
    return WindowLink(window, np.dtype(window.word)) if isinstance(prepared, PreparedWindow) else None


def add_link(a: FixedFormat, b: FixedFormat, output: FixedFormat, overflow: Overflow, then: FixedFormat | None) -> SumLink:
    """The step that `add` is, of codes of two formats."""
    return SumLink(ADD, (a.dtype, b.dtype), (then or output).dtype, codes_numbers(output, overflow, then))


def rescaled_add_link(
    a: FixedFormat, b: FixedFormat, rule: str, output: FixedFormat, low: int | None, high: int | None
) -> SumLink:
    """The step that `rescaled_add` is."""
    return SumLink(RESCALED_ADD, (a.dtype, b.dtype), output.dtype, rescaled_add_numbers(a, b, rule, output, low, high))


class ChainStep(NamedTuple):
    """A layer of a chain: the name of what it gives, its link, and the names of what it reads."""

    name: str
    link: Link
    inputs: tuple[str, ...]


class ChainFound(NamedTuple):
    """What a chain gave: the values that were asked for; of each step what its link takes; zeros by the names of values.

    Zeros are those of `zero_runs`: how many, in how many runs, and pairs of a code of runs.
    """

    values: dict[str, Array]
    seen: list[tuple[Seen, Seen]]
    zeros: dict[str, tuple[int, int, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A chain for one set of instructions, and workspaces that no run has at the moment."""

    compiled: Any
    spare: list[Array] = field(default_factory=list)

    def workspace(self) -> Array:
        """Bytes from a cache line on, at least as many as a run takes."""
        try:
            return self.spare.pop()
        except IndexError:
            memory = np.empty(self.compiled.bytes + CACHE_LINE, np.uint8)
            return memory[-memory.ctypes.data % CACHE_LINE :]


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps in order. Call it with the arrays that it reads from outside and a number of images; it runs in one thread.

    Several threads may call it at a time: each has a workspace of its own, which the next call takes over. No array that is
    returned lies there.

    Attributes
    ----------
    values
        By name: what the steps read and give.
    steps
        The layers.
    kept
        Names of the values to return, as arrays of all images.

    Examples
    --------
    >>> from addersim.kernels import prepare_window
    >>> layer = window_link(prepare_window("int8", np.array([[[[2, 1]]]], np.int8), arithmetic="mac"))
    >>> values = {"x": ChainValue((1, 1, 2), np.dtype("int8")), "y": ChainValue((1, 1, 1), layer.output, counted=True)}
    >>> found = Chain(values, (ChainStep("y", layer, ("x",)),), frozenset({"y"}))({"x": np.array([[[[3, 4]]]], np.int8)}, 1)
    >>> found.values["y"].item(), layer.seen(found.seen[0]), found.zeros["y"][:2]
    (10, ((10, 10, 0),), (0, 0))
    """

    values: Mapping[str, ChainValue]
    steps: tuple[ChainStep, ...]
    kept: Set[str]
    _plans: dict[int, _Plan] = field(default_factory=dict)

    @property
    def read(self) -> tuple[str, ...]:
        """Names of the values that come from outside, in the order in which they are read."""
        given = {step.name for step in self.steps}
        return tuple(dict.fromkeys(name for step in self.steps for name in step.inputs if name not in given))

    def __call__(self, arrays: Mapping[str, Array], images: int) -> ChainFound:
        kept = {name: np.empty((images, *self.values[name].shape), self.values[name].kind) for name in self._kept}
        outside: list[Array | None] = [None] * len(self.values)
        for number, (name, value) in enumerate(self.values.items()):
            if name in kept:
                outside[number] = flat(kept[name])
            elif name in arrays:
                outside[number] = flat(check_array(name, arrays[name], (NATIVE[value.kind],)))
        plan = self._plan()
        memory = plan.workspace()
        seen, zeros = plan.compiled.run(outside, images, memory)
        plan.spare.append(memory)
        return ChainFound(kept, seen, {name: found for name, found in zip(self.values, zeros, strict=True) if found})

    @property
    def _kept(self) -> list[str]:
        return [step.name for step in self.steps if step.name in self.kept]

    def _plan(self) -> _Plan:
        chosen = chosen_set()
        if chosen not in self._plans:
            self._plans[chosen] = _Plan(self._compiled(chosen))
        return self._plans[chosen]

    def _compiled(self, chosen: int) -> Any:
        places, image_bytes = self._places()
        together = max(1, min(MOST_TOGETHER, values_bytes() // max(image_bytes, 1)))
        numbers = {name: number for number, name in enumerate(self.values)}
        steps = []
        for name, link, inputs in self.steps:
            what = link.step([self.values[one].shape for one in inputs], together)
            steps.append((*what, tuple(numbers[one] for one in inputs), numbers[name]))
        values = [
            (type_number(np.empty(0, one.kind)), one.words, places.get(name, -1), one.zero_point, one.counted)
            for name, one in self.values.items()
        ]
        return core.Chain(steps, values, together, image_bytes, chosen)

    def _places(self) -> tuple[dict[str, int], int]:
        """Where the values inside lie, in bytes an image, and how many bytes they take together."""
        inside = [step.name for step in self.steps if step.name not in self.kept]
        last = {one: at for at, step in enumerate(self.steps) for one in (step.name, *step.inputs)}
        first = {step.name: at for at, step in enumerate(self.steps)}
        lives = [(self.values[name].image_bytes, first[name], last[name]) for name in inside]
        found, most = place_lives(lives)
        return dict(zip(inside, found, strict=True)), most


def place_lives(lives: Sequence[tuple[int, int, int]]) -> tuple[list[int], int]:
    """Places for values so that none lies where another does at the same time, and the bytes that all take together.

    Parameters
    ----------
    lives
        Of each value its bytes, the step that gives it, and the last one that reads it.

    Examples
    --------
    >>> place_lives([(10, 0, 1), (20, 1, 2), (10, 2, 3)])
    ([20, 0, 20], 30)
    """
    places = [0] * len(lives)
    done: list[int] = []
    for number in sorted(range(len(lives)), key=lambda one: -lives[one][0]):
        size, start, end = lives[number]
        beside = sorted((places[one], lives[one][0]) for one in done if lives[one][1] <= end and start <= lives[one][2])
        for place, taken in beside:
            if places[number] + size <= place:
                break
            places[number] = max(places[number], place + taken)
        done.append(number)
    return places, max((place + size for place, (size, *_) in zip(places, lives, strict=True)), default=0)


def fits_type(value: ChainValue) -> bool:
    """Whether the type of the codes holds the one that stands for zero."""
    low, high = CODE_ENDS.get(value.kind, (value.zero_point, value.zero_point))
    return low <= value.zero_point <= high
