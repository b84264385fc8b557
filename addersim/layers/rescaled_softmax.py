"""Softmax of codes in the whole numbers of a named requantisation rule's framework."""

from __future__ import annotations

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.integer_softmax import softmax_bill, softmax_constants
from addersim.errors import AddersimError, NetworkError
from addersim.kernels.requantisation_checks import check_softmax
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value

__all__ = ["IntegerRescaledSoftmax"]


class IntegerRescaledSoftmax(IntegerLayer, frozen=True, tag="rescaled_softmax"):
    """Shares of the channels, of exponentials of codes times `beta`: see `addersim.kernels.softmax`.

    `source` is the format of the input, `rule` is as in `IntegerRescale`.
    """

    source: FixedFormat
    rule: str
    output: FixedFormat
    beta: float = 1.0

    TAKES_ZERO_POINTS = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check((1,))

    def _check(self, shape: tuple[int, ...]) -> None:
        try:
            check_softmax(np.zeros((1, shape[0]), self.source.dtype), self.source, self.rule, self.output)
            softmax_constants(self.source, self.beta)
        except AddersimError as error:
            raise NetworkError(f"layer {self.name}: {error}") from None

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if given != Value.of(given.shape, self.source):
            raise NetworkError(f"layer {self.name}: expects {self.source} of layer {self.inputs[0]}, which gives {given}")
        self._check(given.shape)
        return Value.of(given.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        return Run(engine.softmax(codes[0], self.source, self.rule, output=self.output, beta=self.beta, threads=threads))

    def details(self) -> str:
        return self.rule

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(softmax_bill(output.words, output.shape[0]))
