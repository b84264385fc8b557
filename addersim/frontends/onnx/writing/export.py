"""export_onnx: a program becomes an ONNX file of integer operators, which onnxruntime runs on the same codes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from addersim.errors import NetworkError, check_kind
from addersim.frontends.onnx.quantised.own_notes import PRODUCER
from addersim.frontends.onnx.writing import qdq, qonnx
from addersim.frontends.onnx.writing.nodes import FLOAT, Nodes
from addersim.inputs.text import did_you_mean
from addersim.layers import IntegerRuleSoftmax, IntegerSoftmax
from addersim.network import INPUT
from addersim.program import Program
from addersim.storage import write_atomically

__all__ = ["STYLES", "checked_style", "export_onnx"]

STYLES: Mapping[str, tuple[str, type[Nodes], type[qdq.Writer]]] = MappingProxyType(
    {"qdq": (qdq.RULE, Nodes, qdq.Writer), "qonnx": (qonnx.RULE, qonnx.QuantNodes, qonnx.QuantWriter)}
)
"""Of each style the rule of its runtime, and what writes it."""
OPSET, IR_VERSION = 13, 8


def export_onnx(program: Program, path: str | os.PathLike[str], *, style: str = "qdq") -> Program:
    """Write a program of layers that multiply, or compare signs, as an ONNX file (needs the extra ``onnx``).

    In style ``qdq`` each layer stands between DequantizeLinear and QuantizeLinear, which onnxruntime replaces by its integer
    kernels: their codes are those of the program under rule ``ort``. The image comes in as real numbers, or as codes where
    `Program.takes_codes`; scores are real numbers. Tensors of codes have the names of the layers; all are uint8, signed ones
    128 higher. Sums of two codes are rounded in float32 beside those higher codes, as those of the returned program are: one
    next to a tie may come out as the code beside that of `program`.

    In style ``qonnx`` every tensor is real numbers, those of layers' codes what Quant gives, as package qonnx runs them: they
    are those of the program under rule ``qonnx``, but for sums in float32, whose last bits may bring one next to a tie to the
    code beside it. Weights of one magnitude stand behind BipolarQuant.

    Signs that are compared are products of codes of one bit, -1 and 0: in QDQ codes as all others, in QONNX what BipolarQuant
    gives, -1 and +1, with borders of +1. Sums that are compared with one number a channel become codes exactly.

    On processors without VNNI, onnxruntime's kernels of uint8 by int8 saturate pairs of products unless the session has
    ``session.x64quantprecision`` = ``1``.

    Parameters
    ----------
    program
        What `quantize` or a reader of quantised files gives.
    path
        File to write, whole or not at all.
    style
        ``qdq`` or ``qonnx``.

    Returns
    -------
    The program whose codes the file gives: `program` under rule ``qonnx`` or ``ort``, with those gains that float32 scales
    make, and without a softmax at its end, which its metadata then call left out. `addersim.load` of the file gives a program
    with the same codes.

    Raises
    ------
    NetworkError
        For layers that ONNX cannot say: other arithmetics than products and signs, several thresholds a channel,
        registers that wrap or saturate, multipliers of a table, windows over codes of more than 8 bits; and for a style that
        is none.
    """
    check_kind(program, Program, "export_onnx: program")
    checked_style(style)
    if not program.calibrated:
        raise NetworkError(f"program {program.name} was made without calibration images: its weights are not known")
    try:
        import onnx
    except ImportError:
        raise NetworkError("writing ONNX needs onnx; install it with: pip install 'addersim[onnx]'") from None
    rule, nodes, writer = STYLES[style]
    written, graph = _graph(_up_to_scores(program.with_rounding(rule)), nodes(), writer)
    imports = [onnx.helper.make_opsetid("", OPSET), *(onnx.helper.make_opsetid(one, 1) for one in nodes.imports)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name=PRODUCER)
    notes = {"mean": _listed(program.mean), "std": _listed(program.std)} if not program.takes_codes else {}
    onnx.helper.set_model_props(model, notes | {"classes": "\n".join(program.classes)} if program.classes else notes)
    with write_atomically(os.fspath(path), "wb") as stream:
        stream.write(model.SerializeToString())
    return written


def checked_style(style: str) -> str:
    """The name of a style, or an error that says which there are."""
    if style not in STYLES:
        raise NetworkError(f"ONNX style {style!r} is not one of {', '.join(STYLES)}{did_you_mean(str(style), STYLES)}")
    return style


def _up_to_scores(program: Program) -> Program:
    """The program without a softmax at its end, which has no form of codes there and keeps the order of scores."""
    *before, last = program.layers
    if not before or not isinstance(last, IntegerRuleSoftmax | IntegerSoftmax):
        return program
    left_out = {"left out": "behind the scores, whose order it keeps: Softmax"}
    return replace(program, layers=tuple(before), metadata=program.metadata | left_out)


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(map(repr, values))


def _graph(program: Program, nodes: Nodes, kind: type[qdq.Writer]) -> tuple[Program, Any]:
    """The program as the file has it, and the graph."""
    import onnx

    image, given = _image(program, nodes)
    writer = kind(program, image, nodes)
    layers = tuple(writer.write(layer) for layer in program.layers)
    read = {name for layer in layers for name in layer.inputs}
    ends = [layer.name for layer in layers if layer.name not in read]
    for name in ends:
        if writer.window(name) is not None:
            raise NetworkError(f"layer {name}: its sums are an output; {writer.style} has codes of sums only")
    outputs = [
        onnx.helper.make_tensor_value_info(writer.reals(name), FLOAT, ["images", *writer.values[name].shape]) for name in ends
    ]
    constants = [onnx.numpy_helper.from_array(values, name) for name, values in nodes.constants.items()]
    return replace(program, layers=layers), onnx.helper.make_graph(nodes.made, program.name, [given], outputs, constants)


def _image(program: Program, nodes: Nodes) -> tuple[str, Any]:
    """Codes of the image, and what the graph is given: reals, or codes of the input's own type."""
    import onnx

    held = nodes.held(INPUT, program.input)
    kind: int = FLOAT
    real = INPUT
    if program.takes_codes and nodes.takes_codes:
        kind = onnx.helper.np_dtype_to_tensor_dtype(program.input.dtype)
        real = nodes.own_reals(INPUT, program.input) if held.moved else ""
    given = onnx.helper.make_tensor_value_info(INPUT, kind, ["images", *program.input_shape])
    return (nodes.codes(real, "input.codes", program.input) if real else INPUT), given
