"""Operators on codes: each is one on reals between what reads codes and what makes them (rule ``ort``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.frontends.onnx.quantised.call import QuantisedCall
from addersim.frontends.onnx.quantised.qdq import dequantised, quantised, quantiser
from addersim.frontends.onnx.quantised.reals import OPERATORS as REALS
from addersim.frontends.onnx.quantised.reals import joined
from addersim.frontends.quantised_values import Coded, Codes, Images, Reals

__all__ = ["OPERATORS"]

Row = Callable[[QuantisedCall], Any]


def _between(operator: str, operands: tuple[int, ...], output: int, more: tuple[int, ...] = ()) -> Row:
    """An operator on reals: places of operands (each followed by scale and zero point), of the output's scale, of others."""

    def row(call: QuantisedCall) -> Any:
        inputs = [dequantised(call, place, place + 1) for place in operands] + [call.input(place) for place in more]
        kind = next(((one.form.bits, one.form.signed) for one in inputs if isinstance(one, Reals)), None)
        node = replace(call.node, inputs=tuple(call.name_of(place) for place in (*operands, *more)))
        found = REALS[operator](replace(call, inputs=tuple(inputs), node=node))
        if call.input(output) is None:
            return found
        return quantised(call, found, quantiser(call, output, kind))

    return row


def _joined(call: QuantisedCall) -> Any:
    parts = [dequantised(call, place, place + 1) for place in range(2, len(call.inputs), 3)]
    if not all(isinstance(one, Reals) for one in parts):
        call.fail("joins what is not all codes that depend on the images")
    return quantised(call, joined(call, parts, call.plain.attribute("axis", 1)), quantiser(call, 0))


def _integer(operator: str) -> Row:
    """Sums of whole numbers, of codes less their zero points."""

    def row(call: QuantisedCall) -> Any:
        value, weights = call.input(0), call.constant(1)
        zero, zeros = (call.optional(place) for place in (2, 3))
        if isinstance(value, Images):
            form = FixedFormat(8, call.building.signed_image, 1.0, 0 if zero is None else int(zero.reshape(())))
            call.building.start(form)
            value = Codes(value.flow, form)
        codes = value if isinstance(value, Codes) else call.codes(0)
        if codes.form.zero_point != (0 if zero is None else int(zero.reshape(()))):
            call.fail(f"zero point {call.name_of(2)!r} is another than that of the codes, {codes.form}")
        if weights.dtype not in (np.int8, np.uint8):
            call.fail(f"weights {call.name_of(1)!r} are {weights.dtype}; read are int8 and uint8")
        given = np.zeros(1, np.int32) if zeros is None else zeros.astype(np.int32).reshape(-1)
        if given.size > 1:
            axis = 0 if operator == "Conv" else weights.ndim - 1
            given = given.reshape([-1 if place == axis else 1 for place in range(weights.ndim)])
        held = Coded(weights, np.ones(1, np.float32), given, FixedFormat(8, weights.dtype == np.int8))
        reals = Reals(codes.flow, codes.form)
        found = REALS[operator](replace(call, inputs=(reals, held), node=replace(call.node, inputs=call.node.inputs[:2])))
        return replace(found, step=np.ones_like(found.step))

    return row


_ONE = (0,)
OPERATORS: Mapping[str, Row] = MappingProxyType(
    {
        "QLinearConv": _between("Conv", (0, 3), 6, (8,)),
        "QLinearMatMul": _between("MatMul", (0, 3), 6),
        "com.microsoft.QGemm": _between("Gemm", (0, 3), 7, (6,)),
        "com.microsoft.QLinearAdd": _between("Add", (0, 3), 6),
        "com.microsoft.QLinearMul": _between("Mul", (0, 3), 6),
        "com.microsoft.QLinearAveragePool": _between("AveragePool", _ONE, 3),
        "com.microsoft.QLinearGlobalAveragePool": _between("GlobalAveragePool", _ONE, 3),
        "com.microsoft.QLinearSigmoid": _between("Sigmoid", _ONE, 3),
        "com.microsoft.QLinearLeakyRelu": _between("LeakyRelu", _ONE, 3),
        "com.microsoft.QLinearSoftmax": _between("Softmax", _ONE, 3),
        "com.microsoft.QLinearConcat": _joined,
        "ConvInteger": _integer("Conv"),
        "MatMulInteger": _integer("MatMul"),
    }
)
