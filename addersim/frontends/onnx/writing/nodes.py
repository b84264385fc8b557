"""A graph in the making: nodes, constants, and the codes that each layer gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.frontends.onnx.writing.held import Array, Held

__all__ = ["FLOAT", "INT32", "MOST_BITS", "Nodes"]

MOST_BITS = 8
"""Width of the widest codes that kernels of integers take and give."""
FLOAT, INT32 = 1, 6
"""Types of elements by their number in the format."""


class Nodes:
    """Nodes and constants; tensors of codes are called as the layers that give them.

    Attributes
    ----------
    style
        What the file is called in messages.
    takes_codes
        Whether the image of a program that takes codes comes in as those.
    imports
        Domains of operators beside ONNX's own.
    """

    style, takes_codes = "ONNX QDQ", True
    imports: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.constants: dict[str, Array] = {}
        self._names: set[str] = set()

    def held(self, name: str, form: FixedFormat) -> Held:
        """How codes of a layer's format lie in the file."""
        if form.bits > MOST_BITS:
            raise NetworkError(f"layer {name}: {form}; {self.style} holds codes of at most {MOST_BITS} bits here")
        return Held(form)

    def unique(self, name: str) -> str:
        """A name that no tensor has."""
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name}.{number}"
        self._names.add(found)
        return found

    def constant(self, name: str, values: Array) -> str:
        """A constant; the name that it got."""
        found = self.unique(name)
        self.constants[found] = values
        return found

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node with one output; its name."""
        import onnx

        self._names.add(output)
        self.made.append(onnx.helper.make_node(operator, inputs, [output], name=f"{output}/{operator}", **attributes))
        return output

    def reals(self, codes: str, form: FixedFormat) -> str:
        """What codes stand for: a node for each reader, as runtimes expect it."""
        return self.add("DequantizeLinear", [codes, *self._constants_of(codes, form)], self.unique(f"{codes}.real"))

    def own_reals(self, codes: str, form: FixedFormat) -> str:
        """What codes of a format's own type stand for, in a file whose codes are of another."""
        zero = np.array(form.zero_point, form.dtype)
        return self.step("DequantizeLinear", codes, f"{codes}.own", np.array(form.scale, np.float32), zero)

    def codes(self, reals: str, name: str, form: FixedFormat, low: int | None = None, high: int | None = None) -> str:
        """Codes of reals, between two codes of their format where they end before its type does."""
        if form.bits > MOST_BITS:
            steps = self.step("Div", reals, f"{name}.steps", np.array(form.scale, np.float32))
            return self.rounded(steps, name, form, low, high)
        least, most = self.held(name, form).ends(low, high)
        plain = least is None and most is None
        whole = name if plain else self.unique(f"{name}.whole")
        self.add("QuantizeLinear", [reals, *self._constants_of(name, form)], whole)
        return whole if plain else self._clipped(whole, name, least, most)

    def rounded(self, steps: str, name: str, form: FixedFormat, low: int | None = None, high: int | None = None) -> str:
        """Codes of more than 8 bits, which no kernel of integers gives, in 32 bits, of real numbers of steps."""
        ends = form.minimum if low is None else low, form.maximum if high is None else high
        whole = self.add("Round", [steps], self.unique(f"{name}.rounded"))
        clipped = self.step("Clip", whole, f"{name}.clipped", *(np.array(end, np.float32) for end in ends))
        return self.add("Cast", [clipped], name, to=INT32)

    def step(self, operator: str, value: str, name: str, *constants: Array, **attributes: Any) -> str:
        """A node of one value and constants."""
        found = self.unique(name)
        return self.add(operator, [value, *(self.constant(f"{name}.by", one) for one in constants)], found, **attributes)

    def _clipped(self, codes: str, name: str, least: int | None, most: int | None) -> str:
        """Codes between two of the file's."""
        ends = ("least", least), ("most", most)
        bounds = ["" if end is None else self.constant(f"{name}.{word}", np.array(end, np.uint8)) for word, end in ends]
        return self.add("Clip", [codes, *(bounds if bounds[1] else bounds[:1])], name)

    def _constants_of(self, name: str, form: FixedFormat) -> list[str]:
        scale = self.constant(f"{name}.scale", np.array(form.scale, np.float32))
        if form.bits > MOST_BITS and form.zero_point == 0:
            return [scale]
        return [scale, self.constant(f"{name}.zero", self.held(name, form).zero_point)]
