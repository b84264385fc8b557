"""Softmax of codes in whole numbers, as a requantisation rule's framework computes it."""

from __future__ import annotations

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.integer_softmax import softmax_bill, softmax_constants
from addersim.errors import AddersimError, NetworkError
from addersim.kernels.requantisation_checks import check_softmax
from addersim.layers.base import Array, Bill, Engine, IntegerLayer, Run, Value

__all__ = ["IntegerRuleSoftmax"]


class IntegerRuleSoftmax(IntegerLayer, frozen=True, tag="rule_softmax"):
    """Shares of the channels, or of the features, in the output's format, whose scale is 1/256: see `kernels.softmax`.

    It keeps its rule whatever a program is run under, for no other has a softmax in whole numbers.
    """

    source: FixedFormat
    output: FixedFormat
    rule: str = "tflite"
    beta: float = 1.0

    TAKES_ZERO_POINTS = True

    def value(self, *inputs: Value) -> Value:
        (given,) = inputs
        if given != Value.of(given.shape, self.source):
            raise NetworkError(f"layer {self.name}: expects its input in {self.source}, layer {self.inputs[0]} gives {given}")
        try:
            check_softmax(
                np.broadcast_to(np.zeros(1, self.source.dtype), given.shape[:1]), self.source, self.rule, self.output
            )
            softmax_constants(self.source, self.beta)
        except AddersimError as error:
            raise NetworkError(f"layer {self.name}: {error}") from None
        return Value.of(given.shape, self.output)

    def run(self, engine: Engine, *codes: Array, threads: int | None = None) -> Run:
        return Run(engine.softmax(codes[0], self.source, self.rule, output=self.output, beta=self.beta, threads=threads))

    def details(self) -> str:
        return self.rule

    def bill(self, output: Value, *inputs: Value) -> Bill:
        return Bill(softmax_bill(output.words, output.shape[0]))
