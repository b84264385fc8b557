"""What each kind of layer becomes in QONNX: reals everywhere, which Quant and BipolarQuant bring to what codes stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.frontends.onnx.writing.held import Array, Held
from addersim.frontends.onnx.writing.nodes import INT32, Nodes
from addersim.frontends.onnx.writing.qdq import Writer, activation
from addersim.layers import IntegerTable

__all__ = ["RULE", "QuantNodes", "QuantWriter"]

RULE = "qonnx"
"""The rule by which Quant brings sums to codes."""
DOMAIN = "qonnx.custom_op.general"


class QuantNodes(Nodes):
    """Nodes whose tensors of codes are what the codes stand for."""

    style, takes_codes = "QONNX", False
    imports = (DOMAIN,)

    def held(self, name: str, form: FixedFormat) -> Held:
        """Codes of any width: they are reals."""
        return Held(form)

    def reals(self, codes: str, form: FixedFormat) -> str:
        """What codes stand for; those of one bit, -1 and 0, are signs in the file, which are twice the code and one."""
        if form.bits > 1:
            return codes
        below = self.step("Add", codes, f"{codes}.below", np.array(-form.scale, np.float32))
        return self.step("Mul", below, f"{codes}.real", np.array(0.5, np.float32))

    def codes(self, reals: str, name: str, form: FixedFormat, low: int | None = None, high: int | None = None) -> str:
        """Reals that codes stand for; ends of an activation bound them before, where they are reals that a code stands for.

        Codes of one bit are signs, of reals half a step higher: sums in float32 that are zero may lie next to it.
        """
        if form.bits == 1:
            scale = np.array(form.scale, np.float32)
            raised = self.step("Add", reals, f"{name}.raised", scale / np.float32(2))
            return self.add("BipolarQuant", [raised, self.constant(f"{name}.scale", scale)], name, domain=DOMAIN)
        if low is not None or high is not None:
            ends = np.array((form.minimum if low is None else low, form.maximum if high is None else high))
            reals = self.step("Clip", reals, f"{name}.clipped", *(np.array(end, np.float32) for end in form.decode(ends)))
        return self.quantised(reals, name, np.array(form.scale, np.float32), form)

    def quantised(self, reals: str, name: str, scale: Array, form: FixedFormat) -> str:
        """Quant; the scale is one, or one an output of weights."""
        numbers = ("scale", scale), ("zero", np.float32(form.zero_point)), ("bits", np.float32(form.bits))
        constants = [self.constant(f"{name}.{word}", np.asarray(one, np.float32)) for word, one in numbers]
        how = {"signed": int(form.signed), "narrow": 0, "rounding_mode": "ROUND", "domain": DOMAIN}
        return self.add("Quant", [reals, *constants], name, **how)


class QuantWriter(Writer):
    """Layers as nodes of reals. Weights are constants that Quant leaves as they are."""

    style, rule = "QONNX", RULE
    nodes: QuantNodes

    def _narrowed(
        self, layer: Any, place: str, image: str, source: str, weighted: Any, gains: Array, moves: Any
    ) -> tuple[Array, str]:
        (codes, bias), name, output = weighted, layer.name, self.form(layer.name)
        given = np.float32(self.form(source).scale)
        if signs := self.form(source).bits == 1:  # c is (x - 1) / 2, so that sum c w is (sum x w - sum w) / 2
            bias, gains = 2 * bias.astype(np.int64) - codes.sum(axis=(1, 2, 3)), gains / 2
            image = self._bordered(image, name, given, moves)
        scales = (gains * output.scale / given).astype(np.float32)
        steps = (given * scales).astype(np.float64)
        weights = self._weights(name, codes, scales[:, None, None, None])
        added = self.nodes.constant(f"{name}.bias", (bias * steps).astype(np.float32))
        result = self.nodes.add("Conv", [image, weights, added], self.nodes.unique(f"{name}.sums"), **moves)
        return (1 + signs) * steps / output.scale, self.nodes.codes(result, place, output, *activation(layer))

    _wide = _narrowed

    def _bordered(self, image: str, name: str, sign: np.float32, moves: dict[str, Any]) -> str:
        """Signs with their padding, which is that of zero."""
        top, left, bottom, right = moves.pop("pads", (0, 0, 0, 0))
        if not any((top, left, bottom, right)):
            return image
        borders = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        return self.nodes.step("Pad", image, f"{name}.bordered", borders, np.array(sign))

    def _weights(self, name: str, codes: Array, scales: Array) -> str:
        given = self.nodes.constant(f"{name}.weights", (codes * scales).astype(np.float32))
        found = self.nodes.unique(f"{name}.weights.real")
        if (size := np.abs(codes)).min() == size.max() > 0:
            held = self.nodes.constant(f"{name}.weights.scale", (size.flat[0] * scales).astype(np.float32))
            return self.nodes.add("BipolarQuant", [given, held], found, domain=DOMAIN)
        width = bits_for(int(codes.min()), int(codes.max()))
        return self.nodes.quantised(given, found, scales, FixedFormat(max(width, 2), True))

    def places(self, layer: IntegerTable) -> tuple[int, str]:
        """Reals over their scale are codes."""
        given, name, step = layer.source, layer.name, self.nodes.step
        steps = step("Div", self.reals(layer.inputs[0]), f"{name}.steps", np.array(given.scale, np.float32))
        moved = step("Add", steps, f"{name}.moved", np.array(given.zero_point - given.minimum, np.float32))
        whole = self.nodes.add("Round", [moved], self.nodes.unique(f"{name}.rounded"))
        return 0, step("Cast", whole, f"{name}.places", to=INT32)
