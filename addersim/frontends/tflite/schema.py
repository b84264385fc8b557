"""TFLite's schema as the package tflite has it: a file's records as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import tflite

from addersim.errors import LoweringError
from addersim.frontends.tflite.checked import checked, rows, text, vector
from addersim.frontends.tflite.records import Array, Operator, Shape, Tensor

__all__ = ["Schema"]

IDENTIFIER = b"TFL3"
MAX_OPERATORS = 100_000
MAX_TENSORS = 1_000_000
MAX_AXES = 8
CONSTANTS = MappingProxyType({"INT8": "<i1", "UINT8": "<u1", "INT32": "<i4", "INT64": "<i8", "FLOAT32": "<f4"})
"""Types of constants that are read, as numpy has them."""
_NONE = np.zeros(0, np.uint8)


def _names(words: type) -> Mapping[int, str]:
    """Names of an enumeration by their numbers."""
    return MappingProxyType({number: name for name, number in vars(words).items() if not name.startswith("_")})


OPERATORS, TYPES, OPTIONS = (_names(words) for words in (tflite.BuiltinOperator, tflite.TensorType, tflite.BuiltinOptions))
WORDS = MappingProxyType({"Padding": _names(tflite.Padding), "FusedActivationFunction": _names(tflite.ActivationFunctionType)})
"""Options that are given by a number and mean a word."""


class Schema:
    """A whole model.

    Attributes
    ----------
    tensors, operators, inputs, outputs
        As `addersim.frontends.tflite.file.Graph` has them.
    """

    def __init__(self, content: bytes) -> None:
        if content[4:8] != IDENTIFIER:
            raise LoweringError(f"not a TFLite model: bytes 4 to 7 are {content[4:8]!r}, not {IDENTIFIER!r}")
        self._room = 4 * len(content)
        model = checked(tflite.Model.GetRootAs(content, 0))
        self._codes = tuple(map(_code, rows(model, "OperatorCodes")))
        self._buffers = tuple(rows(model, "Buffers"))
        if model.SubgraphsLength() != 1:
            raise LoweringError(f"holds {model.SubgraphsLength()} graphs; one is read, without control flow (IF, WHILE, CALL)")
        (graph,) = rows(model, "Subgraphs")
        for name, most in (("Tensors", MAX_TENSORS), ("Operators", MAX_OPERATORS)):
            if (length := getattr(graph, f"{name}Length")()) > most:
                raise LoweringError(f"{length:,} {name.lower()}; at most {most:,} are read")
        self.tensors = tuple(self._tensor(number, one) for number, one in enumerate(rows(graph, "Tensors")))
        self.inputs, self.outputs = (self._places(vector(graph, name)) for name in ("Inputs", "Outputs"))
        self.operators = tuple(map(self._operator, rows(graph, "Operators")))

    def _tensor(self, number: int, found: Any) -> Tensor:
        name = text(found.Name()) or f"tensor {number}"
        self._take(len(name))
        kind = TYPES.get(found.Type(), f"number {found.Type()}")
        shape = _shape(name, vector(found, "Shape"))
        how = checked(found.Quantization())
        scales, zero_points = (_NONE, _NONE) if how is None else (vector(how, "Scale"), vector(how, "ZeroPoint"))
        content, why = self._content(found)
        data = None
        if content.size and not why:
            data, why = _constant(content, kind, shape)
        return Tensor(
            name=name,
            type=kind,
            shape=shape,
            signature=tuple(vector(found, "ShapeSignature")[:MAX_AXES].tolist()),
            scales=scales.astype(np.float32, copy=False),
            zero_points=zero_points.astype(np.int64, copy=False),
            axis=0 if how is None else int(how.QuantizedDimension()),
            data=data,
            why_unread=why,
        )

    def _content(self, tensor: Any) -> tuple[Array, str]:
        """Bytes of a constant, none for others; and why they are not to be had."""
        place = tensor.Buffer()
        if place >= len(self._buffers):
            raise LoweringError(f"tensor {text(tensor.Name())!r}: lies in buffer {place} of {len(self._buffers)}")
        buffer = self._buffers[place]
        if tensor.Sparsity() is not None:
            return _NONE, "is sparse, which is not supported"
        if tensor.IsVariable():
            return _NONE, "is a variable, which keeps its values from image to image: not supported"
        if buffer.Offset() > 1 or buffer.Size() > 1:
            return _NONE, "lies behind the flatbuffer, as in files of more than 2 GB: not supported"
        return vector(buffer, "Data"), ""

    def _operator(self, found: Any) -> Operator:
        place = found.OpcodeIndex()
        if place >= len(self._codes):
            raise LoweringError(f"an operator has code {place} of {len(self._codes)}")
        inputs, outputs = (self._places(vector(found, name)) for name in ("Inputs", "Outputs"))
        return Operator(self._codes[place], inputs, outputs, MappingProxyType(dict(_options(found))))

    def _take(self, size_bytes: int) -> None:
        """Note what was read: names and lists may lie in one place of the file for many tensors, but not without end."""
        self._room -= size_bytes
        if self._room < 0:
            raise LoweringError("its names and lists take more bytes than the file has")

    def _places(self, numbers: Array) -> tuple[int, ...]:
        """Tensors by number; what all lists hold together takes its bytes in the file."""
        self._take(4 * numbers.size)
        if numbers.size and not -1 <= numbers.min() <= numbers.max() < len(self.tensors):
            raise LoweringError(f"tensors {numbers.min()}..{numbers.max()} are read; the graph has {len(self.tensors)}")
        return tuple(map(int, numbers))


def _constant(content: Array, kind: str, shape: Shape) -> tuple[Array | None, str]:
    """Bytes as an array of a type and a shape, and, where they are not one, why."""
    if kind not in CONSTANTS:
        return None, f"is of type {kind}; constants of {', '.join(CONSTANTS)} are read"
    stored = np.dtype(CONSTANTS[kind])
    wanted = math.prod(shape) * stored.itemsize
    if content.size != wanted:
        return None, f"holds {content.size:,} bytes; its shape {shape} of {kind} takes {wanted:,}"
    return np.frombuffer(content, stored).reshape(shape).astype(stored.newbyteorder("="), copy=False), ""


def _code(found: Any) -> str:
    """Name of an operator; that of a newer schema stands beside the byte that older ones have."""
    number = max(found.BuiltinCode(), found.DeprecatedBuiltinCode())
    name = OPERATORS.get(number, f"number {number}")
    return f"{name} {text(found.CustomCode())}" if name == "CUSTOM" else name


def _shape(name: str, sizes: Array) -> Shape:
    if sizes.size > MAX_AXES or (sizes < 0).any():
        shown = tuple(sizes[: MAX_AXES + 1].tolist())
        raise LoweringError(f"tensor {name!r}: shape {shown}; read are at most {MAX_AXES} axes of no negative size")
    return tuple(map(int, sizes))


def _options(operator: Any) -> Iterator[tuple[str, Any]]:
    """Options by name, each in the words of the schema: numbers, truth, lists of numbers."""
    kind = OPTIONS.get(operator.BuiltinOptionsType(), "NONE")
    table = operator.BuiltinOptions()
    if kind == "NONE" or table is None or not hasattr(tflite, kind):
        return
    options = checked(getattr(tflite, kind)(), table)
    names = {name for name in vars(type(options)) if re.fullmatch(r"(?!GetRoot|Init)[A-Z]\w*", name)}
    for name in names:
        if name.endswith(("AsNumpy", "Length", "IsNone", "HasIdentifier")):
            continue
        if f"{name}AsNumpy" in names:
            yield name, tuple(vector(options, name).tolist())
        else:
            found = getattr(options, name)()
            yield name, WORDS[name].get(found, f"number {found}") if name in WORDS else found
