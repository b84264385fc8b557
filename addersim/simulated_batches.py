"""One batch of a simulation after another: a program beside its float network, and what is kept of both."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.images import Images
from addersim.layers import Engine, Run, Value
from addersim.network import INPUT, Network
from addersim.program import Prepared, Program
from addersim.trace import Observed
from addersim.zeros import Zeros, count_zeros

__all__ = ["Part", "RunBeside"]

Array = npt.NDArray[Any]

LARGEST_WORDS = 1 << 23
"""Of one value of a batch."""
FEW_WORDS = 1 << 21
"""As many, and what becomes of them, stay in a core's cache, about."""
MANY_IMAGES = 100
"""From here on what a layer costs once a batch weighs little."""
MOST_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Part:
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
class RunBeside:
    """A program, ready to run beside its float network."""

    program: Program
    network: Network | None
    prepared: Prepared
    values: dict[str, Value]
    twins: dict[str, str | None]
    streamed: frozenset[str]

    @classmethod
    def of(cls, program: Program, network: Network | None, engine: Engine) -> RunBeside:
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

    def part(self, images: Images, threads: int) -> Part:
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
        return Part(
            observed, zeros, squares, _values(result).argmax(axis=1), float_choices, self.program.count_clipped(images)
        )


def _values(result: Run) -> Array:
    """Codes of a layer that did not stream: one that stands for a float layer, or the last."""
    assert result.values is not None
    return result.values


def _squares(values: Array) -> npt.NDArray[np.float64]:
    """Sum of the squares of each image's values."""
    squared: npt.NDArray[np.float64] = np.square(values, dtype=np.float64).reshape(len(values), -1).sum(axis=1)
    return squared
